/* udp.c - UDP and UDP-Lite (udplite(7)) inside this machine: a datagram goes into the inbox of whoever has its place,
 * or nowhere.
 *
 * The receiver pays: what its SO_RCVBUF does not hold is dropped, without a word (udp(7)). That nobody has the place is
 * told to a sender that is connected there (ECONNREFUSED), as ICMP would. */
#include <linux/ipv6.h>
#include <linux/poll.h>

#include "arch/x86_64/usercopy.h"
#include "net/inet.h"

#define DATAGRAM_MOST 65507 /* 65535, less the headers */
/* What ICMP quotes of a datagram: 576 bytes (RFC 1812 4.3.2.3), 1280 (RFC 4443 2.4), less the headers. */
#define QUOTED_V4 (576u - 20 - 8 - 20 - 8)
#define QUOTED_V6 (1280u - 40 - 8 - 40 - 8)

/* ---- connecting ---- */

static int udp_disconnect(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    struct place local = i->local, none = {.port = 0};
    ip_any(none.ip, s->ops->family == AF_INET);
    if (!i->ip_asked)
        ip_any(local.ip, s->ops->family == AF_INET);
    port_connect(s, &local, &none);
    if (!i->port_asked) {
        port_leave(s);
        i->local.port = 0; /* unlike TCP's, it is not shown any more */
    }
    spin_lock(&s->lock);
    atomic_store(&s->state, SOCKET_FREE);
    spin_unlock(&s->lock);
    return 0;
}

/* A local port, if it has none. s->control is held. */
static int udp_autobind(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    struct place local = i->local;
    local.port = 0;
    return i->listed ? 0 : port_bind(s, &local, false) ? -EAGAIN : 0;
}

static int udp_connect(struct socket *s, const struct address *a, u64 deadline_ns) {
    struct inet_socket *i = inet_of(s);
    struct place to, local;
    int error = 0;
    mutex_lock(&s->control);
    if (a->family == AF_UNSPEC) {
        error = udp_disconnect(s);
    } else {
        error = place_take(s, a, &to);
        if (!error)
            error = place_route(s, &to);
        if (!error)
            error = udp_autobind(s);
        if (!error) {
            local = i->local;
            if (ip_is_any(local.ip))
                ip_loopback(local.ip, ip_is_v4(to.ip));
            port_connect(s, &local, &to);
            spin_lock(&s->lock);
            atomic_store(&s->state, SOCKET_CONNECTED);
            spin_unlock(&s->lock);
        }
    }
    mutex_unlock(&s->control);
    return error;
}

/* ---- sending ---- */

/* Where to: the message's name, or where it is connected to. */
static int destination(struct socket *s, struct message *m, struct place *to) {
    int error = 0;
    if (m->name) {
        error = m->name->family == AF_UNSPEC && s->ops->family == AF_INET6 ? -EINVAL : place_take(s, m->name, to);
        if (!error && !to->port && !is_ping(s))
            error = -EINVAL;
    } else if (socket_state(s) == SOCKET_CONNECTED) {
        *to = inet_of(s)->remote;
    } else {
        error = -EDESTADDRREQ;
    }
    return error ? error : place_route(s, to);
}

/* Into the inbox, if it has room: one that is not full takes one more, whatever its size. */
void udp_deliver(struct socket *to, struct packet *p) {
    spin_lock(&to->lock);
    bool fits = !to->dead && to->inbox_cost <= to->options.receive_bytes && !packet_memory_short();
    if (fits)
        socket_deliver(to, p);
    spin_unlock(&to->lock);
    if (fits)
        socket_readable(to);
    else
        packet_put(p);
}

static bool hears_errors(const struct socket *s) {
    return s->ops->family == AF_INET ? inet_kept(s, SOL_IP, IP_RECVERR) : inet_kept(s, SOL_IPV6, IPV6_RECVERR);
}

/* Nobody is there: what ICMP would say reaches who is connected, or asked to hear of errors; the latter may look at the
 * packet again, as much of it as ICMP would quote. The packet's reference passes over. */
static void unreachable(struct socket *s, struct packet *p, const struct place *to) {
    bool hears = hears_errors(s), kept = false;
    p->bytes = min(p->bytes, ip_is_v4(to->ip) ? QUOTED_V4 : QUOTED_V6);
    place_give(s, to, &p->from);
    memcpy(p->to, to->ip, sizeof(p->to));
    spin_lock(&s->lock);
    if (hears && !s->dead && s->inbox_cost + p->cost < s->options.receive_bytes) {
        list_add_tail(&inet_of(s)->errors, &p->link);
        s->inbox_cost += p->cost;
        kept = true;
    }
    spin_unlock(&s->lock);
    if (!kept)
        packet_put(p);
    if (hears || socket_state(s) == SOCKET_CONNECTED)
        socket_fail(s, ECONNREFUSED);
}

/* What IP's header would say: the message's own word, or the socket's options. */
static void say_header(struct socket *s, const struct message *m, struct packet *p) {
    bool v4 = s->ops->family == AF_INET;
    int hops = inet_kept(s, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS);
    int traffic_class = inet_kept(s, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TOS : IPV6_TCLASS);
    p->hops = m->hops.set ? m->hops.value : (u8)hops;
    p->traffic_class = m->traffic_class.set ? m->traffic_class.value : (u8)traffic_class;
}

/* One message's hop limit or traffic class (ip(7), RFC 3542 6): a number, -1 for the socket's own. */
static int take_field(const void *data, size_t bytes, int least, struct header_field *f) {
    int number;
    if (bytes != sizeof(number))
        return -EINVAL;
    memcpy(&number, data, sizeof(number));
    if (number < least || number > 255)
        return -EINVAL;
    *f = (struct header_field){number >= 0, (u8)number};
    return 0;
}

static int udp_control(int level, int type, const void *data, size_t bytes, struct message *m) {
    if (level == SOL_IPV6 && (type == IPV6_HOPLIMIT || type == IPV6_TCLASS))
        return take_field(data, bytes, -1, type == IPV6_HOPLIMIT ? &m->hops : &m->traffic_class);
    if (level == SOL_IP && type == IP_TTL)
        return take_field(data, bytes, 1, &m->hops);
    if (level == SOL_IP && type == IP_TOS && bytes == 1)
        m->traffic_class = (struct header_field){true, *(const u8 *)data};
    else if (level == SOL_IP && type == IP_TOS)
        return take_field(data, bytes, 0, &m->traffic_class);
    return 0; /* IP_PKTINFO and others: where it goes from, which here it says itself */
}

/* elsewhere: not where it is connected to: what ICMP would say of that is for no socket. */
static ssize_t send_to(struct socket *s, struct message *m, const struct place *from, const struct place *to,
                       bool elsewhere) {
    size_t bytes = m->data->bytes;
    struct packet *p = packet_make(NULL, bytes);
    int error = p ? packet_fill(p, m->data) : -ENOBUFS;
    struct socket *receiver = error ? NULL : port_find(ports_of(s), to, from);
    if (receiver) {
        place_give(receiver, from, &p->from);
        memcpy(p->to, to->ip, sizeof(p->to));
        say_header(s, m, p);
        udp_deliver(receiver, p);
        socket_put(receiver);
    } else if (p && (error || elsewhere)) {
        packet_put(p);
    } else if (p) {
        unreachable(s, p, to);
    }
    return error ? error : (ssize_t)bytes;
}

static ssize_t udp_send(struct socket *s, struct message *m) {
    struct inet_socket *i = inet_of(s);
    struct place from, to;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (m->data->bytes > DATAGRAM_MOST)
        return -EMSGSIZE;
    mutex_lock(&s->control);
    int error = destination(s, m, &to);
    if (!error)
        error = udp_autobind(s);
    if (!error)
        error = socket_error(s);
    from = i->local;
    bool elsewhere = !error && i->remote.port && (i->remote.port != to.port || !ip_equal(i->remote.ip, to.ip));
    mutex_unlock(&s->control);
    if (!error && (socket_shut(s) & SHUT_SEND))
        error = -EPIPE;
    if (error)
        return error;
    if (ip_is_any(from.ip))
        ip_loopback(from.ip, ip_is_v4(to.ip));
    return is_ping(s) ? ping_send(s, m, &from, &to) : send_to(s, m, &from, &to, elsewhere);
}

/* ---- receiving ---- */

static void describe_v6(struct socket *s, const struct packet *p, struct message *m) {
    int hops = p->hops, traffic_class = p->traffic_class;
    if (inet_kept(s, SOL_IPV6, IPV6_RECVHOPLIMIT))
        control_put(m, SOL_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
    if (inet_kept(s, SOL_IPV6, IPV6_RECVTCLASS))
        control_put(m, SOL_IPV6, IPV6_TCLASS, &traffic_class, sizeof(traffic_class));
}

static void describe_v4(struct socket *s, const struct packet *p, struct message *m) {
    int hops = p->hops;
    if (inet_kept(s, SOL_IP, IP_RECVTTL))
        control_put(m, SOL_IP, IP_TTL, &hops, sizeof(hops));
    if (inet_kept(s, SOL_IP, IP_RECVTOS))
        control_put(m, SOL_IP, IP_TOS, &p->traffic_class, 1);
}

static void udp_describe(struct socket *s, const struct packet *p, struct message *m) {
    if (s->ops->family == AF_INET && inet_kept(s, SOL_IP, IP_PKTINFO)) {
        struct in_pktinfo info = {.ipi_ifindex = 1};
        memcpy(&info.ipi_spec_dst, p->to + 12, 4);
        memcpy(&info.ipi_addr, p->to + 12, 4);
        control_put(m, SOL_IP, IP_PKTINFO, &info, sizeof(info));
    }
    if (s->ops->family == AF_INET6 && inet_kept(s, SOL_IPV6, IPV6_RECVPKTINFO)) {
        struct in6_pktinfo info = {.ipi6_ifindex = 1};
        memcpy(&info.ipi6_addr, p->to, 16);
        control_put(m, SOL_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    if (ip_is_v4(p->to))
        describe_v4(s, p, m);
    else
        describe_v6(s, p, m);
}

/* The oldest packet that found nobody, out of the list; NULL. The pending error tells of the next, or none. */
static struct packet *next_error(struct socket *s) {
    struct list *errors = &inet_of(s)->errors;
    struct packet *p = NULL;
    spin_lock(&s->lock);
    if (!list_empty(errors)) {
        p = list_first(errors, struct packet, link);
        list_del(&p->link);
        s->inbox_cost -= p->cost;
        if (list_empty(errors))
            atomic_store(&s->error, 0);
    }
    spin_unlock(&s->lock);
    return p;
}

/* What ip(7) says of IP_RECVERR: the error, and behind it who said it: here, where the datagram went. */
static void describe_error(struct socket *s, const struct packet *p, struct message *m) {
    bool v4 = ip_is_v4(p->to), plain = s->ops->family == AF_INET;
    struct {
        struct user_error e;
        u8 offender[sizeof(struct sockaddr_in6)];
    } told = {
        .e = {.number = ECONNREFUSED, .origin = v4 ? ORIGIN_ICMP : ORIGIN_ICMP6, .type = 3, .code = 3}}; /* RFC 792 */
    struct place from = {.port = 0};
    struct address a;
    if (!v4)
        told.e.type = 1, told.e.code = 4; /* RFC 4443 3.1: the same */
    memcpy(from.ip, p->to, sizeof(from.ip));
    place_give(s, &from, &a);
    memcpy(told.offender, a.raw, a.bytes);
    control_put(m, plain ? SOL_IP : SOL_IPV6, plain ? IP_RECVERR : IPV6_RECVERR, &told, sizeof(told.e) + a.bytes);
}

static ssize_t receive_error(struct socket *s, struct message *m) {
    struct packet *p = next_error(s);
    if (!p)
        return -EAGAIN;
    size_t bytes = min((size_t)p->bytes, m->data->bytes);
    ssize_t result = packet_copy(p, 0, bytes, m->data) ? -EFAULT : (ssize_t)bytes;
    m->out_flags |= MSG_ERRQUEUE | (bytes < p->bytes ? MSG_TRUNC : 0);
    if (m->name)
        *m->name = p->from;
    if (m->control)
        describe_error(s, p, m);
    else
        m->out_flags |= MSG_CTRUNC;
    packet_put(p);
    return result;
}

static ssize_t udp_receive(struct socket *s, struct message *m) {
    return m->flags & MSG_ERRQUEUE ? receive_error(s, m) : datagram_receive(s, m);
}

static int udp_shutdown(struct socket *s, u32 how) {
    spin_lock(&s->lock);
    int error = s->state == SOCKET_CONNECTED ? 0 : -ENOTCONN;
    atomic_store(&s->shut, s->shut | how);
    spin_unlock(&s->lock);
    socket_wake(s);
    return error;
}

static u32 udp_poll(struct socket *s) {
    u32 shut = socket_shut(s), events = POLLOUT | POLLWRNORM | POLLWRBAND;
    if (atomic_load_relaxed(&s->error) || !list_empty(&inet_of(s)->errors))
        events |= POLLERR;
    if (shut & SHUT_RECEIVE)
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (shut == SHUT_BOTH)
        events |= POLLHUP;
    if (socket_has_packets(s))
        events |= POLLIN | POLLRDNORM;
    return events;
}

static long udp_ioctl(struct socket *s, u32 command, u64 argument) {
    int bytes = 0;
    if (command != SIOCINQ && command != SIOCOUTQ)
        return -ENOTTY;
    if (command == SIOCINQ) {
        spin_lock(&s->lock);
        bytes = list_empty(&s->inbox) ? 0 : (int)list_first(&s->inbox, struct packet, link)->bytes;
        spin_unlock(&s->lock);
    }
    return put_user(bytes, (int __user *)argument);
}

static void udp_close(struct socket *s) {
    bool unread;
    port_leave(s);
    (void)socket_die(s, &unread);
    for (struct packet *p = next_error(s); p; p = next_error(s))
        packet_put(p);
    socket_clear(s);
}

#define UDP_OPS                                                                                                        \
    .bytes = sizeof(struct inet_socket), .bind = inet_bind, .connect = udp_connect, .name = inet_name,                 \
    .send = udp_send, .receive = udp_receive, .shutdown = udp_shutdown, .poll = udp_poll, .ioctl = udp_ioctl,          \
    .set_option = inet_set_option, .get_option = inet_get_option, .control = udp_control, .describe = udp_describe,    \
    .close = udp_close

const struct socket_ops udp_ops = {.family = AF_INET, UDP_OPS};
const struct socket_ops udp6_ops = {.family = AF_INET6, UDP_OPS};
