/* socket.c - the socket as a file, and what happens to every socket: made, woken, failed, closed.
 *
 * Knows no family. Which kinds there are: create.c. */
#include "net/socket.h"
#include "net/interface.h"

#include <linux/poll.h>

#include "arch/x86_64/usercopy.h"
#include "fs/owner.h"
#include "fs/pipe.h"
#include "task/task.h"
#include "vm/slab.h"

#define SEND_DEFAULT 212992 /* net.core.wmem_default, rmem_default */

static struct super socket_super = {
    .type = "sockfs",
    .dev = 8,
    .options = "rw",
};
static const struct file_ops socket_file_ops;

/* ---- life ---- */

static struct socket *socket_of_inode(struct inode *i) { return container_of(i, struct socket, inode); }

static void release_inode(struct inode *i) {
    struct socket *s = socket_of_inode(i);
    socket_clear(s);
    if (s->ops->destroy)
        s->ops->destroy(s);
    if (s->peer)
        socket_put(s->peer);
    kfree(s);
}
static const struct inode_ops socket_inode_ops = {.release = release_inode};

struct socket *socket_make(const struct socket_ops *ops, int type, int protocol) {
    struct socket *s = kzalloc(ops->bytes);
    if (!s)
        return NULL;
    inode_init(&s->inode, &socket_super, S_IFSOCK | 0777);
    s->inode.ino = anon_number();
    s->inode.ops = &socket_inode_ops;
    s->inode.file_ops = &socket_file_ops;
    s->ops = ops;
    s->type = type;
    s->protocol = protocol;
    mutex_init(&s->control);
    mutex_init(&s->reading);
    list_init(&s->inbox);
    waitq_init(&s->readers);
    waitq_init(&s->writers);
    list_init(&s->pending);
    list_init(&s->pending_link);
    s->peer_credentials = (struct user_credentials){0, ~0u, ~0u};
    s->options = (struct socket_options){.send_bytes = SEND_DEFAULT,
                                         .receive_bytes = SEND_DEFAULT,
                                         .receive_least = 1,
                                         .send_ns = SLEEP_FOREVER,
                                         .receive_ns = SLEEP_FOREVER};
    return s;
}

struct file *socket_open(struct socket *s, int flags) {
    char name[32];
    ksnprintf(name, sizeof(name), "socket:[%lu]", (unsigned long)s->inode.ino);
    struct file *f = file_make(&s->inode, &socket_file_ops, O_RDWR | (flags & O_NONBLOCK), name);
    if (is_err(f))
        return f;
    f->private_data = s;
    s->opened = true;
    atomic_store(&s->file, f);
    return f;
}

void socket_get(struct socket *s) { inode_get(&s->inode); }
void socket_put(struct socket *s) { inode_put(&s->inode); }

void socket_drop(struct socket *s) {
    s->ops->close(s);
    socket_put(s);
}

static void socket_release(struct file *f) {
    struct socket *s = f->private_data;
    spin_lock(&s->lock); /* who holds it may tell the file's owner */
    atomic_store(&s->file, NULL);
    spin_unlock(&s->lock);
    s->ops->close(s);
}

struct socket *socket_of(const struct file *f) {
    return f->ops == &socket_file_ops ? f->private_data : NULL;
}

struct socket *socket_peer(struct socket *s) {
    spin_lock(&s->lock);
    struct socket *peer = s->peer;
    if (peer)
        socket_get(peer);
    spin_unlock(&s->lock);
    return peer;
}

struct socket *socket_die(struct socket *s, bool *unread) {
    spin_lock(&s->lock);
    struct socket *peer = s->peer;
    s->peer = NULL;
    s->dead = true;
    *unread = s->inbox_bytes != 0;
    atomic_store(&s->shut, SHUT_BOTH);
    spin_unlock(&s->lock);
    return peer;
}

/* ---- the inbox ---- */

void socket_deliver(struct socket *s, struct packet *p) {
    list_add_tail(&s->inbox, &p->link);
    s->inbox_bytes += p->bytes;
    s->inbox_cost += p->cost;
    atomic_store(&s->inbox_packets, s->inbox_packets + 1);
}

void socket_take_out(struct socket *s, struct packet *p) {
    list_del(&p->link);
    if (s->urgent == p)
        atomic_store(&s->urgent, NULL);
    s->inbox_bytes -= p->bytes - p->taken;
    s->inbox_cost -= p->cost;
    atomic_store(&s->inbox_packets, s->inbox_packets - 1);
}

struct packet *socket_take(struct socket *s) {
    struct packet *p = list_empty(&s->inbox) ? NULL : list_first(&s->inbox, struct packet, link);
    if (p)
        socket_take_out(s, p);
    return p;
}

void socket_clear(struct socket *s) {
    struct packet *p;
    do {
        spin_lock(&s->lock);
        p = socket_take(s);
        spin_unlock(&s->lock);
        if (p)
            packet_put(p);
    } while (p);
}

/* ---- waking and failing ---- */

void socket_readable(struct socket *s) { waitq_wake_all(&s->readers); }

void socket_wake(struct socket *s) {
    waitq_wake_all(&s->readers);
    waitq_wake_all(&s->writers);
}

int socket_error(struct socket *s) { return atomic_load_relaxed(&s->error) ? -atomic_xchg(&s->error, 0) : 0; }

void socket_fail(struct socket *s, int error) {
    atomic_store(&s->error, error);
    socket_wake(s);
}

int socket_wait_error(int error, u64 deadline_ns) {
    if (error == -EINTR)
        return deadline_ns == SLEEP_FOREVER ? -ERESTARTSYS : -EINTR;
    return error ? -EAGAIN : 0;
}

u64 socket_deadline(const struct socket *s, const struct file *f, u32 flags, bool sending) {
    u64 ns = sending ? s->options.send_ns : s->options.receive_ns;
    if ((f->flags & O_NONBLOCK) || (flags & MSG_DONTWAIT))
        return 0;
    return ns == SLEEP_FOREVER ? SLEEP_FOREVER : clock_ns() + ns;
}

bool socket_has_room(const struct socket *s) {
    u64 sent = atomic_load(&s->sent);
    return sent < s->options.send_bytes && (!sent || !packet_memory_short());
}

/* A quarter used at most: so that who is woken can send more than a little. */
bool socket_writable(const struct socket *s) { return atomic_load(&s->sent) * 4 <= s->options.send_bytes; }

bool socket_poll_room(struct socket *s) {
    if (socket_writable(s))
        return true;
    atomic_store(&s->crowded, true);
    atomic_fence(); /* packet_put lowers `sent`, then looks at `crowded` */
    return socket_writable(s);
}

/* Asked again when registered with `writers`, so whoever clears `crowded` wakes us: a wake that comes before it is for
 * the look that follows. */
static bool no_more_waiting(struct socket *s) {
    atomic_store(&s->crowded, true);
    atomic_fence();
    return socket_has_room(s) || (socket_shut(s) & SHUT_SEND) || atomic_load_relaxed(&s->error);
}

int socket_await_room(struct socket *s, u64 deadline_ns) {
    if (!deadline_ns) /* who does not wait here may wait for the edge in epoll: packet_put is to tell of it */
        return no_more_waiting(s) ? 0 : -EAGAIN;
    return socket_wait(&s->writers, no_more_waiting(s), deadline_ns);
}

ssize_t socket_broken(const struct message *m) {
    if (!(m->flags & MSG_NOSIGNAL))
        signal_broken_pipe();
    return -EPIPE;
}

/* ---- the file ---- */

static ssize_t socket_read(struct file *f, struct iov *to, u64 *position) {
    struct socket *s = f->private_data;
    struct message m = {.data = to, .deadline_ns = socket_deadline(s, f, 0, false)};
    if (!to->bytes) /* read(2) of nothing takes nothing, not even an empty datagram */
        return 0;
    ssize_t n = s->ops->receive(s, &m);
    if (m.carried)
        ancillary_drop(m.carried);
    return n;
}

static ssize_t socket_write(struct file *f, struct iov *from, u64 *position) {
    struct socket *s = f->private_data;
    struct message m = {.data = from, .deadline_ns = socket_deadline(s, f, 0, true)};
    if (s->type == SOCK_SEQPACKET)
        m.flags |= MSG_EOR;
    return s->ops->send(s, &m);
}

static u32 socket_poll(struct file *f, struct poll_table *table) {
    struct socket *s = f->private_data;
    poll_wait(table, &s->readers);
    poll_wait(table, &s->writers);
    return s->ops->poll(s);
}

static long socket_ioctl(struct file *f, u32 command, u64 argument) {
    struct socket *s = f->private_data;
    int number;
    if (command == FIOSETOWN || command == SIOCSPGRP)
        return get_user(number, (int __user *)argument) ? -EFAULT : owner_control(f, F_SETOWN, (u64)number);
    if (command == FIOGETOWN || command == SIOCGPGRP)
        return put_user((int)owner_control(f, F_GETOWN, 0), (int __user *)argument);
    long result = s->ops->ioctl ? s->ops->ioctl(s, command, argument) : -ENOTTY;
    return result == -ENOTTY ? interface_ioctl(s, command, argument) : result;
}

static const struct file_ops socket_file_ops = {
    .async = true,
    .release = socket_release,
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
};
