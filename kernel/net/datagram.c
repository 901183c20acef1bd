/* datagram.c - receiving whole messages: datagrams and seqpackets.
 *
 * A packet leaves the inbox before its bytes are copied, so two readers get different ones; a pending error comes
 * before any packet. */
#include "net/socket.h"

/* The oldest packet, counted; it stays in the inbox when the call only peeks. NULL: none. */
static struct packet *oldest(struct socket *s, bool peek) {
    struct packet *p = NULL;
    spin_lock(&s->lock);
    if (peek && !list_empty(&s->inbox)) {
        p = list_first(&s->inbox, struct packet, link);
        packet_get(p);
    } else if (!peek) {
        p = socket_take(s);
    }
    spin_unlock(&s->lock);
    return p;
}

/* The next packet: err_ptr, or NULL at the end (shut down). */
static struct packet *await_packet(struct socket *s, struct message *m) {
    for (;;) {
        int error = socket_error(s);
        if (error)
            return err_ptr(error);
        bool shut = socket_shut(s) & SHUT_RECEIVE; /* looked at first: what came before the end is then seen */
        struct packet *p = oldest(s, m->flags & MSG_PEEK);
        if (p)
            return p;
        if (!m->deadline_ns)
            return shut && s->ops->connects ? NULL : err_ptr(-EAGAIN);
        if (shut)
            return NULL;
        error = socket_wait(&s->readers,
                            socket_has_packets(s) || (socket_shut(s) & SHUT_RECEIVE) || atomic_load_relaxed(&s->error),
                            m->deadline_ns);
        if (error)
            return err_ptr(error);
    }
}

ssize_t datagram_receive(struct socket *s, struct message *m) {
    struct packet *p = await_packet(s, m);
    if (!p)
        return 0;
    if (is_err(p))
        return ptr_err(p);
    size_t bytes = min((size_t)p->bytes, m->data->bytes);
    ssize_t result = packet_copy(p, 0, bytes, m->data);
    if (!result) {
        result = m->flags & MSG_TRUNC ? p->bytes : (ssize_t)bytes;
        if (bytes < p->bytes)
            m->out_flags |= MSG_TRUNC;
        if (m->name)
            *m->name = p->from;
        m->credentials = p->credentials;
        m->has_credentials = p->has_credentials;
        if (atomic_load(&p->carried))
            control_take_files(p, m);
        if (s->ops->describe && m->control)
            s->ops->describe(s, p, m);
    }
    packet_put(p);
    return result;
}
