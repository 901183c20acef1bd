/* stream.c - bytes in order between two connected sockets: sending to a peer, and receiving from one's own inbox.
 *
 * The bytes travel in packets that nobody sees, but for what goes with them: a receiver's call ends behind a packet
 * that carried files, and, where credentials are told, before one of another sender. `reading` is held while bytes move
 * to the user, so that two readers do not get them in each other's order; it is let go to wait.
 *
 *     a a a a  b  U  c c c        U: an out-of-band byte (MSG_OOB): a packet of its own, socket->urgent. What is read
 * ends before it, then goes on behind it; SO_OOBINLINE: with it. Only the newest is special. */
#include "net/socket.h"

#include "fs/owner.h"

/* ---- sending ---- */

/* What forbids to send now: 0, a pending error, which stays pending, or -EPIPE. */
static int sending_error(struct socket *s, struct socket *peer) {
    int error = s->ops->refused ? -atomic_load_relaxed(&s->error) : 0;
    bool left = atomic_load(&s->peer) != peer;
    bool closed = left || (socket_shut(s) & SHUT_SEND) || (!s->ops->refused && !s->ops->takes(peer));
    return error ? error : closed ? -EPIPE : 0;
}

/* One packet's worth, made and filled; what MSG_OOB ends with is one of its own. err_ptr(-ENOBUFS, -EFAULT,
 * -ETOOMANYREFS). */
static struct packet *next_packet(struct socket *s, struct message *m, bool urgent) {
    struct packet *p = packet_of(s, m, urgent ? 1 : min(m->data->bytes - !!(m->flags & MSG_OOB), PACKET_STREAM_MOST));
    if (!is_err(p) && s->ops->source)
        s->ops->source(s, &p->from);
    return p;
}

/* Into the peer's inbox; false: it takes nothing any more (it may be in another connection by now), and the packet is
 * gone. */
static bool hand_over(struct socket *s, struct socket *peer, struct packet *p, bool urgent) {
    spin_lock(&peer->lock);
    bool taken = peer->peer == s && peer->ops->takes(peer);
    if (taken)
        socket_deliver(peer, p);
    if (taken && urgent) {
        atomic_store(&peer->urgent, p);
        peer->urgent_taken = false;
        if (peer->file)
            owner_tell(peer->file, OWNER_URGENT);
    }
    spin_unlock(&peer->lock);
    if (taken)
        socket_readable(peer);
    else
        packet_put(p);
    return taken;
}

/* One packet: the bytes, or -errno. */
static ssize_t send_some(struct socket *s, struct socket *peer, struct message *m) {
    ssize_t error = sending_error(s, peer);
    if (error)
        return error;
    if (!socket_has_room(s)) {
        error = socket_await_room(s, m->deadline_ns);
        if (!error)
            error = sending_error(s, peer);
        if (error)
            return error;
    }
    bool urgent = m->flags & MSG_OOB && m->data->bytes == 1;
    struct packet *p = next_packet(s, m, urgent);
    if (is_err(p))
        return ptr_err(p);
    ssize_t bytes = p->bytes;
    if (!hand_over(s, peer, p, urgent)) {
        if (!s->ops->refused)
            return -EPIPE;
        s->ops->refused(s, peer);
    }
    return bytes;
}

ssize_t stream_send(struct socket *s, struct socket *peer, struct message *m) {
    ssize_t done = 0, n = sending_error(s, peer); /* of nothing too */
    while (!n && m->data->bytes) {
        n = send_some(s, peer, m);
        if (n < 0)
            break;
        done += n;
        n = 0;
    }
    if (done)
        return done; /* an error is the next call's */
    if (s->ops->refused && n == -atomic_load_relaxed(&s->error))
        (void)socket_error(s);
    return n == -EPIPE ? socket_broken(m) : n;
}

/* ---- receiving ---- */

/* The packet behind p in the inbox (NULL: the first). s->reading is held, so it stays there. */
static struct packet *packet_after(struct socket *s, struct packet *p) {
    spin_lock(&s->lock);
    struct list *next = p ? p->link.next : s->inbox.next;
    spin_unlock(&s->lock);
    return next == &s->inbox ? NULL : list_entry(next, struct packet, link);
}

/* The bytes up to `upto` of p were had; when that is all of them, the packet goes. */
static void consume(struct socket *s, struct packet *p, u32 upto) {
    spin_lock(&s->lock);
    s->inbox_bytes -= upto - p->taken;
    p->taken = upto;
    bool all = upto == p->bytes;
    if (all)
        (void)socket_take(s);
    spin_unlock(&s->lock);
    if (all)
        packet_put(p);
}

static bool same_sender(const struct packet *p, const struct message *m) {
    return p->has_credentials == m->has_credentials &&
           !memcmp(&p->credentials, &m->credentials, sizeof(p->credentials));
}

/* What the message says of its sender, from the first packet it has bytes of. */
static void begin_message(const struct packet *p, struct message *m) {
    m->credentials = p->credentials;
    m->has_credentials = p->has_credentials;
    if (m->name)
        *m->name = p->from;
}

/* MSG_TRUNC on TCP: the bytes are taken, and go nowhere (tcp(7)). */
static bool discards(const struct socket *s, const struct message *m) {
    return s->ops->refused && (m->flags & (MSG_TRUNC | MSG_PEEK)) == MSG_TRUNC;
}

/* Bytes of packets that are there, from p on. Adds to *done. 0 to go on and wait for more, 1: the call ends here,
 * -EFAULT. s->reading is held. */
static int receive_packets(struct socket *s, struct message *m, struct packet *p, ssize_t *done) {
    bool peek = m->flags & MSG_PEEK;
    while (p && m->data->bytes) {
        if (p == s->urgent && *done)
            return 1;
        if (p == s->urgent && !s->options.oob_inline) {
            struct packet *behind = packet_after(s, p);
            if (!peek)
                consume(s, p, 1);
            p = behind;
            continue;
        }
        if (!*done)
            begin_message(p, m);
        else if (s->options.pass_credentials && !same_sender(p, m))
            return 1;
        size_t bytes = min((size_t)(p->bytes - p->taken), m->data->bytes);
        if (discards(s, m))
            m->data->bytes -= bytes;
        else if (packet_copy(p, p->taken, bytes, m->data))
            return *done ? 1 : -EFAULT;
        *done += (ssize_t)bytes;
        bool files = p->carried, rest = p->taken + bytes < p->bytes;
        if (files)
            control_take_files(p, m);
        struct packet *next = packet_after(s, p);
        if (!peek)
            consume(s, p, p->taken + (u32)bytes);
        if (files || rest)
            return 1;
        p = next;
    }
    return peek && *done;
}

/* Has the end come, or an error? Asked before one looks for packets: those that came before the end are then seen. */
static bool is_over(const struct socket *s) {
    return (s->ops->ended && s->ops->ended(s)) || (socket_shut(s) & SHUT_RECEIVE) || atomic_load(&s->error);
}

/* Nothing is there: what does the call answer? 1: wait. */
static int receive_end(struct socket *s, struct message *m, bool over) {
    if (over && s->ops->ended && s->ops->ended(s))
        return 0;
    int error = over ? socket_error(s) : 0;
    if (error)
        return error;
    if (over && socket_shut(s) & SHUT_RECEIVE)
        return 0;
    return m->deadline_ns ? 1 : -EAGAIN;
}

/* Waits for more, without s->reading. -EPIPE: the connection was left meanwhile. */
static int await_bytes(struct socket *s, u64 deadline_ns) {
    u32 left = atomic_load(&s->left);
    mutex_unlock(&s->reading);
    int error = socket_wait(&s->readers,
                            stream_has_bytes(s) || (socket_shut(s) & SHUT_RECEIVE) || atomic_load_relaxed(&s->error) ||
                                atomic_load(&s->left) != left,
                            deadline_ns);
    mutex_lock(&s->reading);
    return error || atomic_load(&s->left) == left ? error : -EPIPE;
}

/* ---- the out-of-band byte ---- */

/* TCP's stays in its place, as a mark; AF_UNIX's is gone once it is taken. */
static ssize_t receive_urgent(struct socket *s, struct message *m) {
    bool tcp = s->ops->refused, take = !(m->flags & MSG_PEEK);
    mutex_lock(&s->reading);
    spin_lock(&s->lock);
    struct packet *p = s->urgent_taken || s->options.oob_inline ? NULL : s->urgent;
    if (p && take && tcp)
        s->urgent_taken = true;
    else if (p && take)
        socket_take_out(s, p);
    spin_unlock(&s->lock);
    size_t bytes = p ? min(m->data->bytes, (size_t)1) : 0;
    ssize_t n = !p ? -EINVAL : packet_copy(p, 0, bytes, m->data) ? -EFAULT : tcp ? (ssize_t)bytes : 1;
    if (p)
        m->out_flags |= MSG_OOB | (tcp && !bytes ? MSG_TRUNC : 0);
    mutex_unlock(&s->reading);
    if (p && take && !tcp)
        packet_put(p);
    return n;
}

bool stream_at_mark(struct socket *s) {
    spin_lock(&s->lock);
    bool at = s->urgent && s->inbox.next == &s->urgent->link;
    spin_unlock(&s->lock);
    return at;
}

int stream_ahead(struct socket *s) {
    struct packet *p;
    u64 bytes = 0;
    spin_lock(&s->lock);
    bool to_mark = s->urgent && !s->options.oob_inline;
    list_for_each(p, &s->inbox, link) {
        if (to_mark && p == s->urgent)
            break;
        bytes += p->bytes - p->taken;
    }
    spin_unlock(&s->lock);
    return (int)bytes;
}

ssize_t stream_receive(struct socket *s, struct message *m) {
    if (m->flags & MSG_OOB)
        return receive_urgent(s, m);
    size_t least = m->flags & MSG_WAITALL ? m->data->bytes : min((size_t)s->options.receive_least, m->data->bytes);
    ssize_t done = 0;
    int error = 0;
    mutex_lock(&s->reading);
    while (!error) {
        bool over = is_over(s);
        struct packet *p = packet_after(s, NULL);
        error = receive_packets(s, m, p, &done);
        if (error || (size_t)done >= max(least, (size_t)1) || (!m->data->bytes && (p || done)))
            break;
        if (done && (!m->deadline_ns || over))
            break;
        if (!done) {
            error = receive_end(s, m, over);
            if (error <= 0)
                break;
        }
        error = await_bytes(s, m->deadline_ns);
    }
    mutex_unlock(&s->reading);
    return done ? done : min(error, 0);
}
