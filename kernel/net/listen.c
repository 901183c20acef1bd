/* listen.c - sockets that listen: connections wait in a row until somebody accepts them.
 *
 *     connect --> listener->pending: c c c --> accept
 *
 * A connection is whole before it is offered: its two ends are each other's peer, so the connecting side may send at
 * once. How a listener is found is the family's. */
#include "net/socket.h"
#include "task/task.h"

u64 listen_most = 4096; /* net.core.somaxconn */

int socket_listen(struct socket *s, int backlog) {
    int error;
    if (!s->ops->listen)
        return -EOPNOTSUPP;
    mutex_lock(&s->control);
    error = s->ops->listen(s);
    if (!error) {
        spin_lock(&s->lock);
        s->backlog = (u32)min((u64)(u32)backlog, atomic_load_relaxed(&listen_most));
        s->peer_credentials = control_self();
        atomic_store(&s->state, SOCKET_LISTENING);
        spin_unlock(&s->lock);
        waitq_wake_all(&s->writers); /* who waits for a longer row */
        if (s->ops->room)
            s->ops->room(s);
    }
    mutex_unlock(&s->control);
    return error;
}

bool listener_full(const struct socket *listener) { return listener->pending_count > listener->backlog; }

void listener_offer(struct socket *listener, struct socket *connection) {
    list_add_tail(&listener->pending, &connection->pending_link);
    listener->pending_count++;
}

static struct socket *take_pending(struct socket *s) {
    struct socket *c = NULL;
    spin_lock(&s->lock);
    if (!list_empty(&s->pending)) {
        c = list_first(&s->pending, struct socket, pending_link);
        list_del(&c->pending_link);
        s->pending_count--;
    }
    spin_unlock(&s->lock);
    return c;
}

int socket_accept(struct socket *s, u64 deadline_ns, struct socket **out) {
    int error = 0;
    if (!s->ops->listen)
        return -EOPNOTSUPP;
    while (!error) {
        if (socket_state(s) != SOCKET_LISTENING)
            return -EINVAL;
        *out = take_pending(s);
        if (*out)
            break;
        if (socket_shut(s) & SHUT_RECEIVE)
            return -EINVAL;
        error = socket_wait(&s->readers,
                            !list_empty(&s->pending) || socket_state(s) != SOCKET_LISTENING ||
                                (socket_shut(s) & SHUT_RECEIVE),
                            deadline_ns);
    }
    if (!error) { /* whoever connected has made it */
        (*out)->inode.uid = cred_current()->fsuid;
        (*out)->inode.gid = cred_current()->fsgid;
    }
    if (!error && s->ops->room)
        s->ops->room(s);
    if (!error)
        waitq_wake_all(&s->writers); /* who connects, and waits for a place in the row */
    return error;
}

void listener_return(struct socket *s, struct socket *connection) {
    spin_lock(&s->lock);
    bool listens = s->state == SOCKET_LISTENING;
    if (listens) {
        list_add(&s->pending, &connection->pending_link);
        s->pending_count++;
    }
    spin_unlock(&s->lock);
    if (listens)
        waitq_wake_all(&s->readers);
    else
        socket_drop(connection);
}

void listener_clear(struct socket *s) {
    struct socket *c;
    while ((c = take_pending(s)))
        socket_drop(c);
}
