/* tcp.c - TCP inside one machine: a connection is two sockets that are each other's peer; no packet is lost, none needs
 * an acknowledgement. What programs see of the protocol is kept: who hears of an end or a reset, and when.
 *
 *     connect: s knocks at the listener's door, with the other end of its connection in hand
 *        listener->knocking: s s s  --(a place in the row is free)-->  listener->pending: end end end  --> accept
 *
 * An end of bytes (FIN): shutdown or close of a sender. A reset (RST): close of one that had bytes unread, or that
 * lingers for no time; or bytes for one that is closed. A socket is CLOSED when it has sent and seen an end, or was
 * reset. */
#include <linux/poll.h>
#include <linux/tcp.h>

#include "arch/x86_64/usercopy.h"
#include "net/inet.h"
#include "task/task.h"

#define CONNECT_NS (127 * 1000000000UL) /* how long Linux tries, by net.ipv4.tcp_syn_retries */
#define SEND_CONNECTED 2626560          /* what Linux gives a connection over lo */

/* ---- ends and resets ---- */

/* It has sent an end and seen one. s->lock is held. */
static void settle(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    if ((i->own_shut & SHUT_SEND) && i->finished) {
        atomic_store(&s->shut, SHUT_BOTH);
        atomic_store(&s->state, SOCKET_CLOSED);
    }
}

/* s hears of the other end only while that is its peer: s may have disconnected, and be in another connection by now.
 */
static void hear_end(struct socket *s, const struct socket *from) {
    spin_lock(&s->lock);
    if (s->peer == from) {
        atomic_store(&inet_of(s)->finished, true);
        atomic_store(&s->shut, s->shut | SHUT_RECEIVE);
        settle(s);
    }
    spin_unlock(&s->lock);
    socket_wake(s);
}

static void hear_reset(struct socket *s, const struct socket *from) {
    spin_lock(&s->lock);
    if (s->peer == from && s->state == SOCKET_CONNECTED) {
        atomic_store(&s->error, inet_of(s)->finished ? EPIPE : ECONNRESET);
        atomic_store(&s->shut, SHUT_BOTH);
        atomic_store(&s->state, SOCKET_CLOSED);
    }
    spin_unlock(&s->lock);
    socket_wake(s);
}

static bool tcp_takes(const struct socket *s) {
    return !s->dead && s->state == SOCKET_CONNECTED && inet_of((struct socket *)s)->own_shut != SHUT_BOTH;
}

/* Bytes for a peer that is closed: it answers with a reset. One that has only shut both halves is reset by them, too.
 */
static void tcp_refused(struct socket *s, struct socket *peer) {
    hear_reset(s, peer);
    hear_reset(peer, s);
}

/* ---- connecting ---- */

/* s and the end that it brought are connected, and the end waits to be accepted. The listener's and s's locks are held.
 */
static void join(struct socket *listener, struct socket *s, struct socket *end) {
    socket_get(s);
    socket_get(end);
    s->peer = end;
    end->peer = s;
    end->peer_credentials = s->peer_credentials;
    atomic_store(&end->state, SOCKET_CONNECTED);
    atomic_store(&s->state, SOCKET_CONNECTED);
    listener_offer(listener, end);
}

/* Let in who knocks, as long as there are places in the row. */
static void admit(struct socket *listener) {
    struct inet_socket *l = inet_of(listener);
    bool more = true;
    while (more) {
        struct socket *s = NULL;
        spin_lock(&listener->lock);
        more = listener->state == SOCKET_LISTENING && !list_empty(&l->knocking) && !listener_full(listener);
        if (more) {
            struct inet_socket *i = list_first(&l->knocking, struct inet_socket, knock_link);
            s = &i->socket;
            list_del(&i->knock_link);
            socket_get(s);
            spin_lock(&s->lock);
            join(listener, s, i->end);
            i->end = NULL;
            spin_unlock(&s->lock);
        }
        spin_unlock(&listener->lock);
        if (s) {
            socket_readable(listener);
            socket_wake(s);
            socket_put(s);
        }
    }
}

/* It stops knocking, if it still does: the end that it brought goes. */
static void turn_away(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    struct socket *door = i->door, *end;
    if (!door)
        return;
    spin_lock(&door->lock);
    list_del(&i->knock_link);
    end = i->end;
    i->end = NULL;
    i->door = NULL;
    spin_unlock(&door->lock);
    if (end)
        socket_drop(end);
    socket_put(door);
}

/* A listener goes: who knocks is refused. */
static void refuse_all(struct socket *listener) {
    struct inet_socket *l = inet_of(listener);
    struct socket *s, *end;
    do {
        s = NULL;
        spin_lock(&listener->lock);
        if (!list_empty(&l->knocking)) {
            struct inet_socket *i = list_first(&l->knocking, struct inet_socket, knock_link);
            list_del(&i->knock_link);
            s = &i->socket;
            end = i->end;
            i->end = NULL;
            socket_get(s);
            spin_lock(&s->lock); /* before it can look: it may leave the door by itself, and knock at another */
            atomic_store(&s->error, ECONNREFUSED);
            atomic_store(&s->shut, SHUT_BOTH);
            atomic_store(&s->state, SOCKET_CLOSED);
            spin_unlock(&s->lock);
        }
        spin_unlock(&listener->lock);
        if (s) {
            socket_drop(end);
            socket_wake(s);
            socket_put(s);
        }
    } while (s);
}

static void stop_listening(struct socket *s) {
    spin_lock(&s->lock);
    atomic_store(&s->state, SOCKET_FREE);
    spin_unlock(&s->lock);
    refuse_all(s);
    listener_clear(s);
    if (!inet_of(s)->port_asked)
        port_leave(s);
    port_unlisten(s);
    socket_wake(s);
}

/* The end that will be accepted: it is what its listener is. */
static struct socket *make_end(struct socket *s, struct socket *listener, const struct place *to) {
    struct socket *end = inet_make(listener->ops, SOCK_STREAM, IPPROTO_TCP);
    if (!end)
        return NULL;
    struct inet_socket *i = inet_of(end);
    memcpy(i->kept, inet_of(listener)->kept, sizeof(i->kept));
    end->inode.uid = listener->inode.uid; /* who may share its port, SO_REUSEPORT */
    end->inode.gid = listener->inode.gid;
    end->options = listener->options;
    end->options.send_bytes = max(end->options.send_bytes, end->options.send_fixed ? 0 : SEND_CONNECTED);
    i->began_ns = clock_ns();
    port_share(end, to, &inet_of(s)->local);
    return end;
}

/* A local place to connect from, if it has none. s->control is held. */
static int choose_local(struct socket *s, const struct place *to) {
    struct inet_socket *i = inet_of(s);
    struct place local = i->local;
    if (!i->listed)
        local.port = 0;
    if (ip_is_any(local.ip))
        ip_loopback(local.ip, ip_is_v4(to->ip));
    int error = i->listed ? 0 : port_bind(s, &local, true);
    if (!error)
        port_connect(s, &local, to);
    return error;
}

/* Back to a fresh socket, with the place that bind gave it. s->control is held. */
static void forget_connection(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    struct place local = i->local, none = {.port = 0};
    turn_away(s);
    spin_lock(&s->lock);
    struct socket *peer = s->peer;
    s->peer = NULL;
    i->own_shut = 0;
    i->finished = false;
    atomic_store(&s->shut, 0);
    atomic_store(&s->state, SOCKET_FREE);
    spin_unlock(&s->lock);
    if (peer) {
        hear_reset(peer, s);
        socket_put(peer);
    }
    mutex_lock(&s->reading); /* a reader may be copying from a packet of the inbox */
    socket_clear(s);
    mutex_unlock(&s->reading);
    if (!i->ip_asked)
        ip_any(local.ip, s->ops->family == AF_INET);
    ip_any(none.ip, s->ops->family == AF_INET);
    port_connect(s, &local, &none);
    if (!i->port_asked)
        port_leave(s);
    i->asked = false;
}

/* connect(AF_UNSPEC), which some programs cancel calls of other threads with. s->control is held. */
static void disconnect(struct socket *s) {
    enum socket_state before = socket_state(s);
    if (before == SOCKET_LISTENING) {
        stop_listening(s);
        return;
    }
    forget_connection(s);
    if (before == SOCKET_CONNECTING || before == SOCKET_CONNECTED)
        atomic_store(&s->error, ECONNRESET);
    atomic_add(&s->left, 1);
    socket_wake(s);
}

/* Knock at whoever listens there. s->control is held. -ECONNREFUSED, -ENOMEM. */
static int knock(struct socket *s, const struct place *to) {
    struct inet_socket *i = inet_of(s);
    struct socket *listener = port_find(PORTS_TCP, to, &i->local);
    if (!listener)
        return -ECONNREFUSED;
    struct socket *end = make_end(s, listener, to);
    if (!end) {
        socket_put(listener);
        return -ENOMEM;
    }
    spin_lock(&listener->lock);
    bool open = listener->state == SOCKET_LISTENING && !listener->dead;
    if (open) {
        i->door = listener;
        i->end = end;
        list_add_tail(&inet_of(listener)->knocking, &i->knock_link);
        atomic_store(&s->state, SOCKET_CONNECTING);
    }
    spin_unlock(&listener->lock);
    if (!open) {
        socket_drop(end);
        socket_put(listener);
        return -ECONNREFUSED;
    }
    admit(listener);
    return 0;
}

/* connect of a fresh socket. s->control is held. 0: it is on the way, or there. */
static int begin(struct socket *s, const struct address *a) {
    struct inet_socket *i = inet_of(s);
    struct place to;
    int error = place_take(s, a, &to);
    if (!error && s->ops->family == AF_INET && a->family != AF_INET)
        error = -EAFNOSUPPORT;
    if (!error)
        error = place_route(s, &to);
    if (!error && ip_is_broadcast(to.ip))
        error = -ENETUNREACH;
    if (!error)
        error = choose_local(s, &to);
    if (error)
        return error;
    if (!s->options.send_fixed)
        s->options.send_bytes = SEND_CONNECTED;
    i->began_ns = clock_ns();
    i->asked = true;
    atomic_store(&s->error, 0); /* an earlier connection's */
    error = knock(s, &to);
    if (error == -ECONNREFUSED) { /* told like any outcome: at once to who waits, later to who does not */
        spin_lock(&s->lock);
        atomic_store(&s->error, ECONNREFUSED);
        atomic_store(&s->shut, SHUT_BOTH);
        atomic_store(&s->state, SOCKET_CLOSED);
        spin_unlock(&s->lock);
        return 0;
    }
    if (error)
        forget_connection(s);
    return error;
}

/* What became of a connect. s->control is held. 1: nothing yet. */
static int outcome(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    if (socket_state(s) == SOCKET_CONNECTING)
        return 1;
    if (socket_state(s) == SOCKET_CONNECTED) {
        i->asked = false;
        return 0;
    }
    int error = socket_error(s);
    forget_connection(s);
    return error ? error : -ECONNABORTED;
}

/* Until the door opens, or it has taken too long. s->control is not held. */
static int await_door(struct socket *s, u64 deadline_ns) {
    u64 until = deadline_ns == SLEEP_FOREVER ? clock_ns() + CONNECT_NS : deadline_ns;
    int error = wait_until_deadline(&s->writers, socket_state(s) != SOCKET_CONNECTING, true, until);
    if (error == -ETIMEDOUT)
        return until == deadline_ns ? -EINPROGRESS : -ETIMEDOUT;
    return socket_wait_error(error, deadline_ns);
}

static int tcp_connect(struct socket *s, const struct address *a, u64 deadline_ns) {
    struct inet_socket *i = inet_of(s);
    bool fresh = false;
    int error = 0;
    mutex_lock(&s->control);
    if (a->family == AF_UNSPEC) {
        disconnect(s);
        mutex_unlock(&s->control);
        return 0;
    }
    u32 left = atomic_load(&s->left);
    if (!i->asked) {
        error = socket_state(s) == SOCKET_FREE ? begin(s, a) : -EISCONN;
        fresh = true;
    }
    if (!error && !deadline_ns && (fresh || socket_state(s) == SOCKET_CONNECTING))
        error = fresh ? -EINPROGRESS : -EALREADY;
    while (!error) {
        error = outcome(s);
        if (error <= 0)
            break;
        mutex_unlock(&s->control);
        error = await_door(s, deadline_ns);
        mutex_lock(&s->control);
        if (atomic_load(&s->left) != left) /* what there is now is not ours */
            error = -EPIPE;
        else if (error == -ETIMEDOUT)
            forget_connection(s);
    }
    mutex_unlock(&s->control);
    return error;
}

static int tcp_listen(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    if (s->state == SOCKET_LISTENING)
        return 0;
    if (s->state != SOCKET_FREE)
        return -EINVAL;
    struct place local = i->local;
    int error = 0;
    local.port = 0;
    if (!i->listed)
        error = port_bind(s, &local, false);
    return error ? error : port_listen(s);
}

/* ---- the end ---- */

static int tcp_shutdown(struct socket *s, u32 how) {
    struct inet_socket *i = inet_of(s);
    int error = 0;
    mutex_lock(&s->control);
    if (s->state == SOCKET_LISTENING) {
        if (how & SHUT_RECEIVE)
            stop_listening(s);
    } else if (s->state == SOCKET_CONNECTING) {
        disconnect(s);
    } else {
        spin_lock(&s->lock);
        error = s->state == SOCKET_CONNECTED ? 0 : -ENOTCONN;
        bool ends = !error && (how & SHUT_SEND) && !(i->own_shut & SHUT_SEND);
        i->own_shut |= error ? 0 : how;
        atomic_store(&s->shut, s->shut | how);
        settle(s);
        spin_unlock(&s->lock);
        struct socket *peer = ends ? socket_peer(s) : NULL;
        if (peer) {
            hear_end(peer, s);
            socket_put(peer);
        }
        socket_wake(s);
    }
    mutex_unlock(&s->control);
    return error;
}

static void tcp_close(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    bool lingers_not = s->options.linger && !s->options.linger_seconds, unread;
    if (socket_state(s) == SOCKET_LISTENING)
        stop_listening(s);
    turn_away(s);
    spin_lock(&s->lock);
    bool ended = i->own_shut & SHUT_SEND;
    spin_unlock(&s->lock);
    struct socket *peer = socket_die(s, &unread);
    if (peer && (unread || lingers_not || !s->opened))
        hear_reset(peer, s);
    else if (peer && !ended)
        hear_end(peer, s);
    if (peer)
        socket_put(peer);
    port_leave(s);
    socket_clear(s);
    socket_wake(s);
}

/* ---- transfer ---- */

static ssize_t tcp_send(struct socket *s, struct message *m) {
    int error = 0;
    if (socket_state(s) == SOCKET_CONNECTING)
        error = socket_wait(&s->writers, socket_state(s) != SOCKET_CONNECTING, m->deadline_ns);
    if (error)
        return error;
    struct socket *peer = socket_peer(s);
    if (!peer) {
        error = socket_error(s);
        return error ? error : socket_broken(m);
    }
    ssize_t n = stream_send(s, peer, m);
    if (n > 0)
        atomic_add(&inet_of(s)->bytes_sent, (u64)n);
    socket_put(peer);
    return n;
}

static ssize_t tcp_receive(struct socket *s, struct message *m) {
    enum socket_state state = socket_state(s);
    if (m->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (state == SOCKET_LISTENING || (state == SOCKET_FREE && !(socket_shut(s) & SHUT_RECEIVE)))
        return -ENOTCONN;
    ssize_t n = stream_receive(s, m);
    if (n > 0 && !(m->flags & MSG_PEEK))
        atomic_add(&inet_of(s)->bytes_received, (u64)n);
    return n;
}

/* After the peer's end of bytes there is nothing but that, whatever error came later. */
static bool tcp_ended(const struct socket *s) { return atomic_load(&inet_of((struct socket *)s)->finished); }

/* As many bytes as SO_RCVLOWAT asks for, before an out-of-band byte or behind it; or as many as there will be, when
 * their sender's poll finds no room for more. */
static bool has_enough(struct socket *s) {
    if (!stream_has_bytes(s) || s->options.receive_least <= 1)
        return stream_has_bytes(s);
    spin_lock(&s->lock);
    bool enough = s->inbox_bytes >= s->options.receive_least;
    spin_unlock(&s->lock);
    struct socket *peer = enough ? NULL : socket_peer(s);
    if (peer) {
        enough = !socket_writable(peer);
        socket_put(peer);
    }
    return enough;
}

static u32 tcp_poll(struct socket *s) {
    u32 shut = socket_shut(s), events = 0;
    enum socket_state state = socket_state(s);
    if (state == SOCKET_LISTENING)
        return list_empty(&s->pending) ? 0 : POLLIN | POLLRDNORM;
    if (shut == SHUT_BOTH || state == SOCKET_FREE || state == SOCKET_CLOSED)
        events |= POLLHUP;
    if (shut & SHUT_RECEIVE)
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (state != SOCKET_CONNECTING) {
        if (has_enough(s))
            events |= POLLIN | POLLRDNORM;
        if (atomic_load(&s->urgent) && !s->urgent_taken)
            events |= POLLPRI;
        if ((shut & SHUT_SEND) || socket_poll_room(s))
            events |= POLLOUT | POLLWRNORM;
    }
    if (atomic_load_relaxed(&s->error))
        events |= POLLERR;
    return events;
}

static long tcp_ioctl(struct socket *s, u32 command, u64 argument) {
    int bytes = 0;
    if (command != SIOCINQ && command != SIOCOUTQ && command != SIOCATMARK && command != SIOCOUTQNSD)
        return -ENOTTY;
    if (socket_state(s) == SOCKET_LISTENING && command != SIOCATMARK)
        return -EINVAL;
    if (command == SIOCINQ)
        bytes = stream_ahead(s);
    else if (command == SIOCATMARK)
        bytes = stream_at_mark(s);
    return put_user(bytes, (int __user *)argument);
}

#define TCP_OPS                                                                                                        \
    .bytes = sizeof(struct inet_socket), .connects = true, .takes = tcp_takes, .refused = tcp_refused,                 \
    .ended = tcp_ended, .room = admit, .bind = inet_bind, .connect = tcp_connect, .listen = tcp_listen,                \
    .name = inet_name, .send = tcp_send, .receive = tcp_receive, .shutdown = tcp_shutdown, .poll = tcp_poll,           \
    .ioctl = tcp_ioctl, .set_option = inet_set_option, .get_option = inet_get_option, .close = tcp_close

const struct socket_ops tcp_ops = {.family = AF_INET, TCP_OPS};
const struct socket_ops tcp6_ops = {.family = AF_INET6, TCP_OPS};
