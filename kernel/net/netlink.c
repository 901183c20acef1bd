/* netlink.c - NETLINK_ROUTE, as far as programs ask what interfaces and addresses there are (rtnetlink(7)): there is
 * lo. And NETLINK_KOBJECT_UEVENT, where who watches devices hears nothing: none comes or goes.
 *
 * A request is answered while it is sent: the answer is in the socket's inbox when send returns. Nothing can be
 * changed, and nothing is ever announced to groups. */
#include <linux/capability.h>
#include <linux/poll.h>

#include "net/netlink.h"
#include "task/task.h"
#include "vm/slab.h"

#define REQUEST_MOST 32768

struct netlink_socket {
    struct socket socket;
    u32 port, groups; /* [control] port: its address; 0: none yet */
    u32 peer_port, peer_groups;
};
static const struct socket_ops netlink_ops;
static u32 ports_given; /* [a] */

static struct netlink_socket *netlink_of(struct socket *s) { return container_of(s, struct netlink_socket, socket); }

int netlink_create(int type, int protocol, struct socket **out) {
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != NETLINK_ROUTE && protocol != NETLINK_KOBJECT_UEVENT)
        return -EPROTONOSUPPORT;
    *out = socket_make(&netlink_ops, type, protocol);
    return *out ? 0 : -ENOMEM;
}

/* ---- names ---- */

static int take_name(const struct address *a) {
    return a->bytes < sizeof(a->nl) || a->family != AF_NETLINK ? -EINVAL : 0;
}

/* The number of the process that makes the first such socket, as programs expect; other numbers for those after it. */
static void autobind(struct netlink_socket *n) {
    u32 before = n->port ? 0 : atomic_add(&ports_given, 1) - 1;
    if (!n->port)
        n->port = before ? ~before : (u32)process_current()->pid;
}

static int netlink_bind(struct socket *s, const struct address *a) {
    struct netlink_socket *n = netlink_of(s);
    int error = take_name(a);
    if (error)
        return error;
    mutex_lock(&s->control);
    if (n->port && a->nl.nl_pid && a->nl.nl_pid != n->port) {
        error = -EINVAL;
    } else {
        n->port = a->nl.nl_pid ? a->nl.nl_pid : n->port;
        autobind(n);
        n->groups = a->nl.nl_groups;
    }
    mutex_unlock(&s->control);
    return error;
}

static int netlink_connect(struct socket *s, const struct address *a, u64 deadline_ns) {
    struct netlink_socket *n = netlink_of(s);
    bool ends = a->family == AF_UNSPEC;
    int error = ends ? 0 : take_name(a);
    if (error)
        return error;
    mutex_lock(&s->control);
    n->peer_port = ends ? 0 : a->nl.nl_pid;
    n->peer_groups = ends ? 0 : a->nl.nl_groups;
    autobind(n);
    mutex_unlock(&s->control);
    return 0;
}

static int netlink_name(struct socket *s, enum whose whose, struct address *out) {
    struct netlink_socket *n = netlink_of(s);
    memset(out, 0, sizeof(*out));
    out->bytes = sizeof(out->nl);
    out->nl.nl_family = AF_NETLINK;
    out->nl.nl_pid = whose == OWN_NAME ? n->port : n->peer_port;
    out->nl.nl_groups = whose == OWN_NAME ? n->groups : n->peer_groups;
    return 0;
}

/* ---- transfer ---- */

int reply_send(struct reply *r) {
    struct socket *s = r->socket;
    struct packet *p = packet_make(NULL, r->used);
    struct iov v;
    if (!p)
        return -ENOBUFS;
    iov_kernel(&v, r->buffer, r->used);
    (void)packet_fill(p, &v); /* kernel memory does not fault */
    p->from.bytes = sizeof(p->from.nl);
    p->from.nl.nl_family = AF_NETLINK;
    spin_lock(&s->lock);
    bool fits = s->inbox_cost + p->cost <= s->options.receive_bytes && !packet_memory_short();
    if (fits)
        socket_deliver(s, p);
    spin_unlock(&s->lock);
    if (fits) {
        socket_readable(s);
    } else {
        packet_put(p);
        socket_fail(s, ENOBUFS);
    }
    r->used = 0;
    return 0;
}

/* The requests in a datagram, one after the other. */
static int handle_all(struct socket *s, const char *buffer, size_t bytes) {
    struct reply r = {.socket = s, .buffer = kmalloc(REPLY_ROOM), .port = netlink_of(s)->port};
    int error = r.buffer ? 0 : -ENOBUFS;
    for (size_t at = 0; !error && bytes - at >= NLMSG_HDRLEN;) {
        r.request = (const struct nlmsghdr *)(buffer + at);
        if (r.request->nlmsg_len < NLMSG_HDRLEN || r.request->nlmsg_len > bytes - at)
            break;
        error = route_request(&r);
        at += min((size_t)NLMSG_ALIGN(r.request->nlmsg_len), bytes - at);
    }
    kfree(r.buffer);
    return error;
}

static ssize_t netlink_send(struct socket *s, struct message *m) {
    struct netlink_socket *n = netlink_of(s);
    size_t bytes = m->data->bytes;
    if (m->name && !m->name->bytes)
        m->name = NULL;
    int error = m->name ? take_name(m->name) : 0;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (error)
        return error;
    if (m->name ? m->name->nl.nl_pid : n->peer_port)
        return -ECONNREFUSED; /* programs do not talk to each other here */
    if (!bytes)
        return -ENODATA;
    if (bytes > REQUEST_MOST)
        return -EMSGSIZE;
    mutex_lock(&s->control);
    autobind(n);
    mutex_unlock(&s->control);
    char *buffer = kmalloc(bytes);
    if (!buffer)
        return -ENOBUFS;
    error = iov_take(m->data, buffer, bytes) == bytes ? 0 : -EFAULT;
    if (!error && s->protocol == NETLINK_ROUTE)
        error = handle_all(s, buffer, bytes);
    kfree(buffer);
    return error ? error : (ssize_t)bytes;
}

static u32 netlink_poll(struct socket *s) {
    u32 events = POLLOUT | POLLWRNORM | POLLWRBAND;
    if (atomic_load_relaxed(&s->error))
        events |= POLLERR;
    return events | (socket_has_packets(s) ? POLLIN | POLLRDNORM : 0);
}

static int netlink_shutdown(struct socket *s, u32 how) { return -EOPNOTSUPP; }

/* Options are about what is announced, and how errors are worded: all are fine. */
static int netlink_set_option(struct socket *s, int level, int name, const void *value, u32 bytes) {
    int number;
    return level == SOL_NETLINK ? option_int(value, bytes, &number) : -ENOPROTOOPT;
}

static int netlink_get_option(struct socket *s, int level, int name, void *value, u32 *bytes) {
    option_put_int(value, bytes, 0);
    return level == SOL_NETLINK ? 0 : -ENOPROTOOPT;
}

static void netlink_close(struct socket *s) {
    bool unread;
    (void)socket_die(s, &unread);
    socket_clear(s);
}

static const struct socket_ops netlink_ops = {
    .family = AF_NETLINK,
    .bytes = sizeof(struct netlink_socket),
    .bind = netlink_bind,
    .connect = netlink_connect,
    .name = netlink_name,
    .send = netlink_send,
    .receive = datagram_receive,
    .shutdown = netlink_shutdown,
    .poll = netlink_poll,
    .set_option = netlink_set_option,
    .get_option = netlink_get_option,
    .close = netlink_close,
};
