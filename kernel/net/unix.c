/* unix.c - AF_UNIX: connecting, and what a socket of each type does. */
#include "net/unix.h"

#include <linux/poll.h>

#include "arch/x86_64/usercopy.h"
#include "task/task.h"

struct list unix_sockets = LIST_INIT(unix_sockets);
struct spin unix_sockets_lock = SPIN_INIT;

static const struct socket_ops unix_stream_ops, unix_datagram_ops, unix_seqpacket_ops;

static bool is_unix(const struct socket *s) { return s->ops->family == AF_UNIX; }

struct unix_socket *unix_of_file(const struct file *f) {
    struct socket *s = socket_of(f);
    return s && is_unix(s) ? unix_of(s) : NULL;
}

u32 unix_list(struct socket **out, u32 room) {
    struct unix_socket *u;
    u32 count = 0;
    spin_lock(&unix_sockets_lock);
    list_for_each(u, &unix_sockets, all_link) {
        if (count < room && inode_try_get(&u->socket.inode))
            out[count++] = &u->socket;
    }
    spin_unlock(&unix_sockets_lock);
    return count;
}

/* ---- life ---- */

static struct socket *unix_make(const struct socket_ops *ops, int type) {
    struct socket *s = socket_make(ops, type, 0);
    if (!s)
        return NULL;
    struct unix_socket *u = unix_of(s);
    s->backlog = (u32)unix_datagrams_most; /* of a datagram socket: how many may lie in its inbox */
    list_init(&u->name_link);
    list_init(&u->clients);
    list_init(&u->client_link);
    list_init(&u->collect_link);
    waitq_init(&u->room);
    spin_lock(&unix_sockets_lock);
    list_add_tail(&unix_sockets, &u->all_link);
    spin_unlock(&unix_sockets_lock);
    return s;
}

int unix_create(int type, int protocol, struct socket **out) {
    const struct socket_ops *ops = type == SOCK_STREAM                      ? &unix_stream_ops
                                   : type == SOCK_SEQPACKET                 ? &unix_seqpacket_ops
                                   : type == SOCK_DGRAM || type == SOCK_RAW ? &unix_datagram_ops
                                                                            : NULL;
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (!ops)
        return -ESOCKTNOSUPPORT;
    *out = unix_make(ops, type == SOCK_RAW ? SOCK_DGRAM : type);
    return *out ? 0 : -ENOMEM;
}

static void unix_destroy(struct socket *s) {
    spin_lock(&unix_sockets_lock);
    list_del(&unix_of(s)->all_link);
    spin_unlock(&unix_sockets_lock);
}

/* The peer of a connection hears that it is over. broken: something was never read. */
static void hang_up(struct socket *peer, bool broken) {
    spin_lock(&peer->lock);
    atomic_store(&peer->shut, SHUT_BOTH);
    if (broken)
        atomic_store(&peer->error, ECONNRESET);
    spin_unlock(&peer->lock);
    socket_wake(peer);
}

static void unix_close(struct socket *s) {
    bool listened = socket_state(s) == SOCKET_LISTENING, unread;
    unix_unbind(s);
    struct socket *peer = socket_die(s, &unread);
    atomic_store(&s->state, SOCKET_CLOSED);
    if (peer && s->ops->connects)
        hang_up(peer, unread || !s->opened);
    else if (peer)
        unix_datagram_leave(s, peer, false);
    if (peer)
        socket_put(peer);
    if (listened)
        listener_clear(s);
    socket_clear(s);
    socket_wake(s);        /* who connects to it, and waits for a place */
    unix_datagram_room(s); /* who sends, or polls to send, and waits for room */
    flight_collect();
}

/* Two ends of one connection, that nobody else knows so far. */
static void join(struct socket *a, struct socket *b) {
    socket_get(a);
    socket_get(b);
    a->peer = b;
    b->peer = a;
    atomic_store(&a->state, SOCKET_CONNECTED);
    atomic_store(&b->state, SOCKET_CONNECTED);
}

int unix_pair(struct socket *a, struct socket *b) {
    join(a, b);
    if (!a->ops->connects) { /* each may leave the other alone later: then it matters who is whose client */
        list_add(&unix_of(a)->clients, &unix_of(b)->client_link);
        list_add(&unix_of(b)->clients, &unix_of(a)->client_link);
    }
    a->peer_credentials = b->peer_credentials = control_self();
    return 0;
}

/* ---- connecting ---- */

/* Offer `end`, whose peer s is to be, to the listener. -ECONNREFUSED, -EISCONN, -EINVAL; -EAGAIN: no place in the row.
 * s->control is held. The end's reference passes over on success. */
static int offer(struct socket *s, struct socket *listener, struct socket *end) {
    int error = 0;
    spin_lock(&listener->lock);
    if (listener->state != SOCKET_LISTENING || listener->dead || (listener->shut & SHUT_RECEIVE)) {
        error = -ECONNREFUSED;
    } else if (listener_full(listener)) {
        error = -EAGAIN;
    } else if (socket_state(s) != SOCKET_FREE) {
        error = socket_state(s) == SOCKET_CONNECTED ? -EISCONN : -EINVAL;
    } else {
        end->peer_credentials = control_self();
        unix_copy_name(listener, &unix_of(end)->name);
        spin_lock(&s->lock);
        s->peer_credentials = listener->peer_credentials;
        join(s, end);
        spin_unlock(&s->lock);
        end->options.pass_credentials = listener->options.pass_credentials;
        listener_offer(listener, end);
    }
    spin_unlock(&listener->lock);
    return error;
}

static int try_connect(struct socket *s, const struct address *a, struct socket *end, u64 deadline_ns) {
    struct socket *listener;
    int error = unix_find(a, s->type, &listener);
    if (error)
        return error;
    mutex_lock(&s->control);
    error = offer(s, listener, end);
    mutex_unlock(&s->control);
    if (!error)
        socket_readable(listener);
    if (error == -EAGAIN && deadline_ns) {
        error = socket_wait(&listener->writers,
                            !listener_full(listener) || atomic_load(&listener->dead) ||
                                (socket_shut(listener) & SHUT_RECEIVE),
                            deadline_ns);
        error = error ? error : 1; /* once more */
    }
    socket_put(listener);
    return error;
}

static int unix_connect(struct socket *s, const struct address *a, u64 deadline_ns) {
    int error = unix_check(a);
    if (!error && s->options.pass_credentials)
        error = unix_autobind(s);
    if (error)
        return error;
    struct socket *end = unix_make(s->ops, s->type);
    if (!end)
        return -ENOMEM;
    do {
        error = try_connect(s, a, end, deadline_ns);
    } while (error > 0);
    if (error)
        socket_drop(end);
    return error;
}

static int unix_listen(struct socket *s) {
    if (!unix_of(s)->name.bytes)
        return -EINVAL;
    return s->state == SOCKET_FREE || s->state == SOCKET_LISTENING ? 0 : -EINVAL;
}

static int unix_name(struct socket *s, enum whose whose, struct address *out) {
    bool peer = whose != OWN_NAME;
    struct socket *other = peer ? socket_peer(s) : s;
    if (!other)
        return -ENOTCONN;
    unix_copy_name(other, out);
    if (peer)
        socket_put(other);
    return 0;
}

/* ---- transfer ---- */

static bool unix_takes(const struct socket *s) { return !atomic_load(&s->dead) && !(socket_shut(s) & SHUT_RECEIVE); }

static void unix_source(struct socket *s, struct address *out) {
    if (atomic_load(&unix_of(s)->name.bytes))
        unix_copy_name(s, out);
}

bool unix_tells(const struct socket *s, const struct socket *to) {
    return s->options.pass_credentials || to->options.pass_credentials || !to->opened;
}

static ssize_t unix_stream_send(struct socket *s, struct message *m) {
    if ((m->flags & MSG_OOB) && !m->data->bytes)
        return -EOPNOTSUPP;
    if (m->name && m->name->bytes)
        return socket_state(s) == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    struct socket *peer = socket_peer(s);
    if (!peer)
        return -ENOTCONN;
    if (!m->has_credentials && unix_tells(s, peer)) {
        m->credentials = control_sender();
        m->has_credentials = true;
    }
    ssize_t n = stream_send(s, peer, m);
    socket_put(peer);
    return n;
}

/* What a receiver is told beside the bytes. */
static void tell(struct socket *s, struct message *m) {
    struct user_credentials nobody = {0, 65534, 65534};
    if (!m->control) {
        if (s->options.pass_credentials || m->carried)
            m->out_flags |= MSG_CTRUNC;
        return;
    }
    if (s->options.pass_credentials)
        control_put(m, SOL_SOCKET, SCM_CREDENTIALS, m->has_credentials ? &m->credentials : &nobody, sizeof(nobody));
    if (m->carried)
        control_put_files(m);
}

static ssize_t unix_stream_receive(struct socket *s, struct message *m) {
    if (socket_state(s) != SOCKET_CONNECTED)
        return -EINVAL;
    ssize_t n = stream_receive(s, m);
    if (n >= 0)
        tell(s, m);
    return n;
}

static ssize_t unix_datagram_receive(struct socket *s, struct message *m) {
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (s->type == SOCK_SEQPACKET && socket_state(s) != SOCKET_CONNECTED)
        return -ENOTCONN;
    ssize_t n = datagram_receive(s, m);
    unix_datagram_room(s);
    if (n >= 0)
        tell(s, m);
    return n;
}

static ssize_t unix_send_datagram(struct socket *s, struct message *m) {
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (s->type == SOCK_SEQPACKET) {
        if (socket_state(s) != SOCKET_CONNECTED)
            return -ENOTCONN;
        m->name = NULL;
    }
    if (m->name && !m->name->bytes) /* sendto with an address, and 0 for its length */
        m->name = NULL;
    return unix_datagram_send(s, m);
}

static int unix_shutdown(struct socket *s, u32 how) {
    struct socket *peer = s->ops->connects ? socket_peer(s) : NULL;
    u32 theirs = (how & SHUT_RECEIVE ? SHUT_SEND : 0) | (how & SHUT_SEND ? SHUT_RECEIVE : 0);
    spin_lock(&s->lock);
    atomic_store(&s->shut, s->shut | how);
    spin_unlock(&s->lock);
    socket_wake(s);
    if (peer) {
        spin_lock(&peer->lock);
        atomic_store(&peer->shut, peer->shut | theirs);
        spin_unlock(&peer->lock);
        socket_wake(peer);
        socket_put(peer);
    }
    return 0;
}

/* ---- poll, ioctl ---- */

/* Sends of a datagram socket may have to wait for the peer's inbox, unless the peer is connected to it too. */
static bool peer_is_full(struct socket *s) {
    struct socket *peer = s->ops->connects ? NULL : socket_peer(s);
    if (!peer)
        return false;
    bool full = atomic_load(&peer->peer) != s && unix_awaits_room(peer);
    socket_put(peer);
    return full;
}

static u32 unix_poll(struct socket *s) {
    u32 shut = socket_shut(s), events = 0;
    enum socket_state state = socket_state(s);
    if (atomic_load_relaxed(&s->error))
        events |= POLLERR;
    if (shut == SHUT_BOTH)
        events |= POLLHUP;
    if (shut & SHUT_RECEIVE)
        events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (socket_has_packets(s) || !list_empty(&s->pending))
        events |= POLLIN | POLLRDNORM;
    if (s->type == SOCK_STREAM && atomic_load(&s->urgent))
        events |= POLLPRI;
    if (s->ops->connects && state == SOCKET_FREE)
        events |= POLLHUP;
    if (state != SOCKET_LISTENING && socket_poll_room(s) && !peer_is_full(s))
        events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return events;
}

static long unix_ioctl(struct socket *s, u32 command, u64 argument) {
    int bytes;
    if (command == SIOCOUTQ)
        return put_user((int)atomic_load(&s->sent), (int __user *)argument);
    if (command == SIOCATMARK && s->type == SOCK_STREAM)
        return put_user((int)stream_at_mark(s), (int __user *)argument);
    if (command != SIOCINQ)
        return -ENOTTY;
    if (s->state == SOCKET_LISTENING)
        return -EINVAL;
    spin_lock(&s->lock);
    struct packet *first = list_empty(&s->inbox) ? NULL : list_first(&s->inbox, struct packet, link);
    bytes = s->ops->connects ? (int)s->inbox_bytes : first ? (int)first->bytes : 0;
    spin_unlock(&s->lock);
    return put_user(bytes, (int __user *)argument);
}

static int no_option(struct socket *s, int level, int name, const void *value, u32 bytes) { return -EOPNOTSUPP; }
static int no_option_get(struct socket *s, int level, int name, void *value, u32 *bytes) { return -EOPNOTSUPP; }

#define UNIX_OPS                                                                                                       \
    .family = AF_UNIX, .bytes = sizeof(struct unix_socket), .bind = unix_bind, .name = unix_name,                      \
    .shutdown = unix_shutdown, .poll = unix_poll, .ioctl = unix_ioctl, .close = unix_close, .destroy = unix_destroy,   \
    .set_option = no_option, .get_option = no_option_get

static const struct socket_ops unix_stream_ops = {
    UNIX_OPS,
    .connects = true,
    .takes = unix_takes,
    .source = unix_source,
    .connect = unix_connect,
    .listen = unix_listen,
    .send = unix_stream_send,
    .receive = unix_stream_receive,
};

static const struct socket_ops unix_seqpacket_ops = {
    UNIX_OPS,
    .connects = true,
    .connect = unix_connect,
    .listen = unix_listen,
    .send = unix_send_datagram,
    .receive = unix_datagram_receive,
};

static const struct socket_ops unix_datagram_ops = {
    UNIX_OPS,
    .connect = unix_datagram_connect,
    .send = unix_send_datagram,
    .receive = unix_datagram_receive,
};
