/* unix_datagram.c - Unix datagrams and seqpackets on their way: to the peer, or to whoever has the name.
 *
 * A receiver's inbox takes so many packets; who sends more waits for room. Those that are connected to the receiver are
 * its clients: their poll says that they can send, so they are woken when there is room again. */
#include "net/unix.h"

u64 unix_datagrams_most = 512; /* as systemd sets it */

bool unix_inbox_full(const struct socket *s) { return atomic_load(&s->inbox_packets) > s->backlog; }

/* As socket_poll_room: full, and whoever makes room wakes the clients, if it does so after this look. */
bool unix_awaits_room(struct socket *s) {
    if (!unix_inbox_full(s))
        return false;
    atomic_store(&unix_of(s)->awaited, true);
    atomic_fence(); /* unix_datagram_room comes when there is room, then looks at `awaited` */
    return unix_inbox_full(s);
}

void unix_datagram_room(struct socket *s) {
    struct unix_socket *u = unix_of(s), *client;
    if (unix_inbox_full(s))
        return;
    waitq_wake_all(&u->room);
    if (!atomic_xchg(&u->awaited, false))
        return;
    spin_lock(&s->lock);
    list_for_each(client, &u->clients, client_link) waitq_wake_all(&client->socket.writers);
    spin_unlock(&s->lock);
}

/* ---- who is connected to whom ---- */

void unix_datagram_leave(struct socket *s, struct socket *peer, bool lost) {
    spin_lock(&peer->lock);
    list_del(&unix_of(s)->client_link);
    bool mutual = peer->peer == s;
    spin_unlock(&peer->lock);
    if (mutual && lost)
        socket_fail(peer, ECONNRESET);
}

/* The peer that s is to have from now on, counted, or NULL. s->control is held. */
static void set_peer(struct socket *s, struct socket *peer) {
    struct socket *old = s->peer;
    if (old == peer) { /* no change; its count is one too many */
        if (peer)
            socket_put(peer);
        return;
    }
    if (old)
        unix_datagram_leave(s, old, socket_has_packets(s));
    spin_lock(&s->lock);
    s->peer = peer;
    atomic_store(&s->state, peer ? SOCKET_CONNECTED : SOCKET_FREE);
    spin_unlock(&s->lock);
    if (peer) {
        spin_lock(&peer->lock);
        list_add(&unix_of(peer)->clients, &unix_of(s)->client_link);
        spin_unlock(&peer->lock);
    }
    if (old) {
        socket_clear(s); /* what the old peer sent is not for the new one */
        unix_datagram_room(s);
        socket_put(old);
    }
    socket_wake(s);
}

/* Only from the one it is connected to, if any, does a socket take datagrams. */
static bool may_send(const struct socket *s, const struct socket *to) {
    struct socket *theirs = atomic_load(&to->peer);
    return !theirs || theirs == s;
}

int unix_datagram_connect(struct socket *s, const struct address *a, u64 deadline_ns) {
    struct socket *peer = NULL;
    int error = 0;
    if (a->family != AF_UNSPEC) {
        error = unix_check(a);
        if (!error && s->options.pass_credentials)
            error = unix_autobind(s);
        if (!error)
            error = unix_find(a, s->type, &peer);
        if (!error && !may_send(s, peer)) {
            socket_put(peer);
            error = -EPERM;
        }
    }
    if (!error) {
        mutex_lock(&s->control);
        set_peer(s, peer);
        mutex_unlock(&s->control);
    }
    return error;
}

/* ---- sending ---- */

static struct packet *make_packet(struct socket *s, struct message *m) {
    int error = 0;
    if (m->data->bytes > s->options.send_bytes - 32) /* as Linux reckons */
        return err_ptr(-EMSGSIZE);
    if (!socket_has_room(s))
        error = socket_await_room(s, m->deadline_ns);
    if (!error)
        error = socket_error(s);
    if (!error && (socket_shut(s) & SHUT_SEND))
        error = -EPIPE;
    struct packet *p = error ? err_ptr(error) : packet_of(s, m, m->data->bytes);
    if (!is_err(p) && atomic_load(&unix_of(s)->name.bytes))
        unix_copy_name(s, &p->from);
    return p;
}

enum delivered { DELIVERED, NOT_ALLOWED, GONE, SHUT, FULL };

static enum delivered deliver(struct socket *s, struct socket *to, struct packet *p) {
    enum delivered how = DELIVERED;
    if (!p->has_credentials && unix_tells(s, to)) {
        p->credentials = control_sender();
        p->has_credentials = true;
    }
    spin_lock(&to->lock);
    if (!s->ops->connects && !may_send(s, to))
        how = NOT_ALLOWED;
    else if (to->dead)
        how = GONE;
    else if (to->shut & SHUT_RECEIVE)
        how = SHUT;
    else if (to->peer != s && unix_inbox_full(to))
        how = FULL;
    else
        socket_deliver(to, p);
    spin_unlock(&to->lock);
    if (how == DELIVERED)
        socket_readable(to);
    return how;
}

/* The peer is closed: no more connected. */
static int peer_gone(struct socket *s, struct socket *to, bool by_name) {
    if (s->ops->connects)
        return -EPIPE;
    mutex_lock(&s->control);
    if (s->peer == to)
        set_peer(s, NULL);
    mutex_unlock(&s->control);
    return -ECONNREFUSED;
}

/* Until the packet is in the inbox of `to`. 0 or -errno. */
static int send_to(struct socket *s, struct socket *to, struct packet *p, struct message *m) {
    struct unix_socket *u = unix_of(to);
    int error = 0;
    while (!error) {
        switch (deliver(s, to, p)) {
        case DELIVERED:
            return 0;
        case NOT_ALLOWED:
            return -EPERM;
        case GONE:
            return peer_gone(s, to, m->name);
        case SHUT:
            return -EPIPE;
        case FULL:
            if (unix_awaits_room(to)) /* who does not wait here may wait in poll */
                error = socket_wait(&u->room,
                                    !unix_inbox_full(to) || atomic_load(&to->dead) || (socket_shut(to) & SHUT_RECEIVE),
                                    m->deadline_ns);
        }
    }
    return error;
}

ssize_t unix_datagram_send(struct socket *s, struct message *m) {
    struct socket *to = NULL;
    int error = m->name ? unix_check(m->name) : 0;
    if (error)
        return error;
    if (!m->name) {
        to = socket_peer(s);
        if (!to)
            return -ENOTCONN;
    }
    if (s->options.pass_credentials)
        error = unix_autobind(s);
    ssize_t bytes = m->data->bytes;
    struct packet *p = error ? err_ptr(error) : make_packet(s, m);
    if (is_err(p)) {
        error = (int)ptr_err(p);
    } else {
        if (!to)
            error = unix_find(m->name, s->type, &to);
        if (!error)
            error = send_to(s, to, p, m);
        if (error)
            packet_put(p);
    }
    if (to)
        socket_put(to);
    return error ? error : bytes;
}
