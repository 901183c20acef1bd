/* socket.c - the calls about sockets: names, options and messages between user memory and kernel/net. */
#include "net/socket.h"

#include <linux/limits.h>

#include "fs/file.h"
#include "sys/deadline.h"
#include "sys/sys.h"
#include "sys/vector.h"
#include "task/task.h"
#include "vm/slab.h"

#define CONTROL_MOST 20480 /* net.core.optmem_max */
#define CONTROL_HERE 128   /* so much ancillary data needs no allocation */
#define MANY_MOST 1024U    /* UIO_MAXIOV */

/* The socket of a descriptor; *file is counted. -EBADF, -ENOTSOCK. */
static int take(int fd, struct file **file, struct socket **s) {
    struct file *f = fd_get(fd);
    *s = f && !(f->mode & FILE_PATH) ? socket_of(f) : NULL;
    *file = f;
    if (*s)
        return 0;
    int error = f && !(f->mode & FILE_PATH) ? -ENOTSOCK : -EBADF;
    if (f)
        file_put(f);
    return error;
}

/* ---- addresses ---- */

static int name_from(const void __user *user, int bytes, struct address *a) {
    memset(a, 0, sizeof(*a));
    if (bytes < 0 || bytes > ADDRESS_MOST)
        return -EINVAL;
    a->bytes = (u32)bytes;
    return bytes ? copy_from_user(a->raw, user, min((size_t)bytes, sizeof(a->raw))) : 0;
}

/* As much as there is room for; the length says how long it is. */
static int name_to(const struct address *a, void __user *user, int __user *bytes) {
    int room;
    int error = get_user(room, bytes);
    if (!error && room < 0)
        error = -EINVAL;
    if (!error)
        error = copy_to_user(user, a->raw, min((u32)room, a->bytes));
    return error ? error : put_user((int)a->bytes, bytes);
}

/* ---- making ---- */

static int split_type(int *type, int *flags) {
    *flags = *type & ~SOCK_TYPE_MASK;
    *type &= SOCK_TYPE_MASK;
    return *flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK) ? -EINVAL : 0;
}

/* A descriptor for the socket, whose reference is used up. */
static int install(struct socket *s, int flags) {
    struct file *f = socket_open(s, flags & SOCK_NONBLOCK);
    if (is_err(f)) {
        socket_drop(s);
        return (int)ptr_err(f);
    }
    int fd = fd_install(f, flags & SOCK_CLOEXEC, 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

long sys_socket(int family, int type, int protocol) {
    struct socket *s;
    int flags, error = split_type(&type, &flags);
    if (!error)
        error = socket_create(family, type, protocol, &s);
    return error ? error : install(s, flags);
}

/* Two files for two sockets, whose references are used up. */
static int open_pair(struct socket *s[2], int flags, struct file *files[2]) {
    for (int n = 0; n < 2; n++) {
        files[n] = socket_open(s[n], flags);
        if (!is_err(files[n]))
            continue;
        socket_drop(s[n]);
        if (n)
            file_put(files[0]);
        else
            socket_drop(s[1]);
        return (int)ptr_err(files[n]);
    }
    return 0;
}

static int make_pair(int family, int type, int protocol, int flags, struct file *files[2]) {
    struct socket *s[2];
    int error = socket_create(family, type, protocol, &s[0]);
    if (error)
        return error;
    error = socket_create(family, type, protocol, &s[1]);
    if (error) {
        socket_drop(s[0]);
        return error;
    }
    error = family == AF_UNIX ? unix_pair(s[0], s[1]) : -EOPNOTSUPP;
    if (error) {
        socket_drop(s[0]);
        socket_drop(s[1]);
        return error;
    }
    return open_pair(s, flags, files);
}

long sys_socketpair(int family, int type, int protocol, int __user *fds) {
    struct file *files[2] = {NULL, NULL};
    int flags, numbers[2] = {-1, -1}, error = split_type(&type, &flags);

    for (int n = 0; !error && n < 2; n++) {
        numbers[n] = fd_reserve();
        error = min(numbers[n], 0);
    }
    if (!error)
        error = copy_to_user(fds, numbers, sizeof(numbers));
    if (!error)
        error = make_pair(family, type, protocol, flags & SOCK_NONBLOCK, files);
    for (int n = 0; n < 2; n++) {
        if (numbers[n] >= 0)
            fd_fill(numbers[n], error ? NULL : files[n], flags & SOCK_CLOEXEC);
    }
    return error;
}

long sys_bind(int fd, const void __user *user, int bytes) {
    struct file *f;
    struct socket *s;
    struct address a;
    int error = take(fd, &f, &s);
    if (error)
        return error;
    error = name_from(user, bytes, &a);
    if (!error)
        error = s->ops->bind ? s->ops->bind(s, &a) : -EOPNOTSUPP;
    file_put(f);
    return error;
}

long sys_connect(int fd, const void __user *user, int bytes) {
    struct file *f;
    struct socket *s;
    struct address a;
    int error = take(fd, &f, &s);
    if (error)
        return error;
    error = name_from(user, bytes, &a);
    if (!error && a.bytes < sizeof(a.family))
        error = -EINVAL;
    if (!error)
        error = s->ops->connect ? s->ops->connect(s, &a, socket_deadline(s, f, 0, true)) : -EOPNOTSUPP;
    file_put(f);
    return error;
}

long sys_listen(int fd, int backlog) {
    struct file *f;
    struct socket *s;
    int error = take(fd, &f, &s);
    if (error)
        return error;
    error = socket_listen(s, backlog);
    file_put(f);
    return error;
}

/* The accepted socket's peer, for accept(2): its connection may be over already. */
static int tell_peer(struct socket *s, void __user *user, int __user *bytes) {
    struct address a;
    if (!user)
        return 0;
    return s->ops->name(s, ACCEPTED_NAME, &a) ? -ECONNABORTED : name_to(&a, user, bytes);
}

long sys_accept4(int fd, void __user *user, int __user *bytes, int flags) {
    struct file *f, *made = NULL;
    struct socket *s, *accepted;
    int number, error;

    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    error = take(fd, &f, &s);
    if (error)
        return error;
    number = error = fd_reserve();
    if (number >= 0)
        error = socket_accept(s, socket_deadline(s, f, 0, false), &accepted);
    if (!error) {
        made = socket_open(accepted, flags & SOCK_NONBLOCK);
        if (is_err(made)) {
            listener_return(s, accepted);
            error = (int)ptr_err(made);
        } else {
            error = tell_peer(accepted, user, bytes);
            if (error)
                file_put(made);
        }
    }
    if (number >= 0)
        fd_fill(number, error ? NULL : made, flags & SOCK_CLOEXEC);
    file_put(f);
    return error ? error : number;
}

long sys_accept(int fd, void __user *user, int __user *bytes) { return sys_accept4(fd, user, bytes, 0); }

static long tell_name(int fd, enum whose whose, void __user *user, int __user *bytes) {
    struct file *f;
    struct socket *s;
    struct address a;
    int error = take(fd, &f, &s);
    if (error)
        return error;
    error = s->ops->name(s, whose, &a);
    if (!error)
        error = name_to(&a, user, bytes);
    file_put(f);
    return error;
}

long sys_getsockname(int fd, void __user *user, int __user *bytes) { return tell_name(fd, OWN_NAME, user, bytes); }
long sys_getpeername(int fd, void __user *user, int __user *bytes) { return tell_name(fd, PEER_NAME, user, bytes); }

long sys_shutdown(int fd, int how) {
    static const u32 halves[] = {SHUT_RECEIVE, SHUT_SEND, SHUT_BOTH};
    struct file *f;
    struct socket *s;
    int error = take(fd, &f, &s);
    if (error)
        return error;
    error = how < 0 || how > SHUT_RDWR ? -EINVAL : s->ops->shutdown(s, halves[how]);
    file_put(f);
    return error;
}

/* ---- options ---- */

long sys_setsockopt(int fd, int level, int name, const void __user *user, int bytes) {
    char value[OPTION_MOST];
    struct file *f;
    struct socket *s;
    int error = bytes < 0 ? -EINVAL : take(fd, &f, &s);
    if (error)
        return error;
    u32 size = min((u32)bytes, (u32)sizeof(value)); /* longer ones are padded, by who sizes structs for the future */
    error = size ? copy_from_user(value, user, size) : 0;
    if (!error)
        error = socket_set_option(s, level, name, value, size);
    file_put(f);
    return error;
}

long sys_getsockopt(int fd, int level, int name, void __user *user, int __user *user_bytes) {
    char value[OPTION_MOST];
    struct file *f;
    struct socket *s;
    int bytes, error = take(fd, &f, &s);
    if (error)
        return error;
    error = get_user(bytes, user_bytes);
    if (!error && bytes < 0)
        error = -EINVAL;
    u32 size = min((u32)bytes, (u32)sizeof(value));
    if (!error)
        error = socket_get_option(s, level, name, value, &size);
    if (!error)
        error = copy_to_user(user, value, size);
    if (!error)
        error = put_user((int)size, user_bytes);
    file_put(f);
    return error;
}

/* ---- sending ---- */

/* What sendmsg and sendmmsg do with a header that is in kernel memory. deadline as the socket says. */
struct transfer {
    struct file *file;
    struct socket *socket;
    struct user_message user;
    struct address name;
    struct user_vector vector;
    struct message message;
    char control_here[CONTROL_HERE];
    char *control; /* control_here, or kmalloc'ed; NULL: none */
};

static int control_room(struct transfer *t, size_t bytes) {
    t->control = bytes <= sizeof(t->control_here) ? t->control_here : kmalloc(bytes);
    return t->control ? 0 : -ENOBUFS;
}

static void transfer_end(struct transfer *t) {
    if (t->control != t->control_here)
        kfree(t->control);
    if (t->message.carried)
        ancillary_drop(t->message.carried);
    vector_end(&t->vector);
}

static int begin_send(struct transfer *t, u32 flags) {
    struct user_message *u = &t->user;
    struct message *m = &t->message;
    int error = vector_begin(&t->vector, u->vector, u->count);
    if (u->count > VECTORS_MOST)
        error = -EMSGSIZE;
    *m = (struct message){.data = &t->vector.cursor, .flags = flags};
    t->control = NULL;
    if (!error && u->name && u->name_bytes) {
        error = name_from(u->name, min(u->name_bytes, ADDRESS_MOST), &t->name);
        m->name = &t->name;
    }
    if (!error && u->control_bytes > INT32_MAX)
        error = -ENOBUFS;
    if (error || !u->control_bytes)
        return error;
    if (u->control_bytes > CONTROL_MOST)
        return -ENOBUFS;
    error = control_room(t, u->control_bytes);
    if (!error)
        error = copy_from_user(t->control, u->control, u->control_bytes);
    return error ? error : control_take(t->socket, t->control, u->control_bytes, m);
}

static long send_one(struct transfer *t, u32 flags) {
    ssize_t n = begin_send(t, flags);
    if (!n) {
        t->message.deadline_ns = socket_deadline(t->socket, t->file, flags, true);
        n = t->socket->ops->send(t->socket, &t->message);
    }
    transfer_end(t);
    return n;
}

static struct transfer *transfer_begin(int fd) {
    struct transfer *t = kmalloc(sizeof(*t));
    int error = t ? take(fd, &t->file, &t->socket) : -ENOMEM;
    if (!error)
        return t;
    kfree(t);
    return err_ptr(error);
}

static void transfer_free(struct transfer *t) {
    file_put(t->file);
    kfree(t);
}

long sys_sendmsg(int fd, const struct user_message __user *user, u32 flags) {
    struct transfer *t = transfer_begin(fd);
    if (is_err(t))
        return ptr_err(t);
    long n = get_user(t->user, user);
    if (!n)
        n = send_one(t, flags);
    transfer_free(t);
    return n;
}

/* How many were done counts; an error only when it is the first's. */
long sys_sendmmsg(int fd, struct user_many __user *user, u32 count, u32 flags) {
    struct transfer *t = transfer_begin(fd);
    if (is_err(t))
        return ptr_err(t);
    long n = 0, done;
    for (done = 0; done < min(count, MANY_MOST); done++) {
        n = get_user(t->user, &user[done].message);
        if (!n)
            n = send_one(t, flags);
        if (n >= 0)
            n = put_user((u32)n, &user[done].bytes);
        if (n < 0)
            break;
    }
    transfer_free(t);
    return done ? done : n;
}

long sys_sendto(int fd, const void __user *buffer, size_t bytes, u32 flags, const void __user *name, int name_bytes) {
    struct file *f;
    struct socket *s;
    struct address a;
    struct iov data;
    struct message m = {.data = &data, .flags = flags};
    if (!user_range_fits(buffer, bytes))
        return -EFAULT;
    ssize_t n = take(fd, &f, &s);
    if (n)
        return n;
    iov_user(&data, (void __user *)buffer, min(bytes, TRANSFER_MOST));
    if (name) {
        n = name_from(name, name_bytes, &a);
        m.name = &a;
    }
    m.deadline_ns = socket_deadline(s, f, flags, true);
    if (!n)
        n = s->ops->send(s, &m);
    file_put(f);
    return n;
}

/* ---- receiving ---- */

static int begin_receive(struct transfer *t, u32 flags, struct control_out *out) {
    struct user_message *u = &t->user;
    int error = vector_begin(&t->vector, u->vector, u->count);
    if (u->count > VECTORS_MOST)
        error = -EMSGSIZE;
    if (u->name && u->name_bytes < 0)
        error = -EINVAL;
    t->name.bytes = 0;
    t->control = NULL;
    t->message = (struct message){.data = &t->vector.cursor, .flags = flags, .name = u->name ? &t->name : NULL};
    *out = (struct control_out){.close_on_exec = flags & MSG_CMSG_CLOEXEC};
    if (!error && u->control && u->control_bytes) {
        out->room = min(u->control_bytes, (u64)CONTROL_MOST);
        error = control_room(t, out->room);
        out->buffer = t->control;
        t->message.control = out;
    }
    return error;
}

/* What recvmsg tells beside the bytes. */
static int tell(struct transfer *t, struct user_message __user *user, const struct control_out *out) {
    struct user_message *u = &t->user;
    int error = 0;
    if (u->name) {
        error = copy_to_user(u->name, t->name.raw, min((u32)u->name_bytes, t->name.bytes));
        if (!error)
            error = put_user((s32)t->name.bytes, &user->name_bytes);
    }
    if (!error)
        error = put_user(t->message.out_flags | (t->message.flags & MSG_CMSG_CLOEXEC), &user->flags);
    if (!error && out->used)
        error = copy_to_user(u->control, out->buffer, out->used);
    return error ? error : put_user((u64)out->used, &user->control_bytes);
}

static long receive_one(struct transfer *t, struct user_message __user *user, u32 flags) {
    struct control_out out;
    ssize_t n = get_user(t->user, user);
    if (n)
        return n;
    n = begin_receive(t, flags, &out);
    if (!n) {
        t->message.deadline_ns = socket_deadline(t->socket, t->file, flags, false);
        n = t->socket->ops->receive(t->socket, &t->message);
    }
    if (n >= 0) {
        int error = tell(t, user, &out);
        n = error ? error : n;
    }
    transfer_end(t);
    return n;
}

long sys_recvmsg(int fd, struct user_message __user *user, u32 flags) {
    struct transfer *t = transfer_begin(fd);
    if (is_err(t))
        return ptr_err(t);
    long n = receive_one(t, user, flags);
    transfer_free(t);
    return n;
}

/* Up to `count` messages, until none is there (and MSG_WAITFORONE has one), or the deadline has passed. */
static long receive_many(struct transfer *t, struct user_many __user *user, u32 count, u32 flags, u64 deadline_ns) {
    long n = 0, done = 0;
    while (done < min(count, MANY_MOST)) {
        n = receive_one(t, &user[done].message, flags & ~MSG_WAITFORONE);
        if (n >= 0)
            n = put_user((u32)n, &user[done].bytes);
        if (n < 0)
            break;
        done++;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (deadline_ns != SLEEP_FOREVER && clock_ns() >= deadline_ns)
            break;
    }
    if (done && n < 0 && n != -EAGAIN && n != -ERESTARTSYS && n != -EINTR)
        socket_fail(t->socket, (int)-n); /* told by the next call */
    return done ? done : n;
}

long sys_recvmmsg(int fd, struct user_many __user *user, u32 count, u32 flags,
                  struct __kernel_timespec __user *timeout) {
    u64 deadline_ns;
    int error = deadline_in(timeout, &deadline_ns);
    if (error)
        return error;
    struct transfer *t = transfer_begin(fd);
    if (is_err(t))
        return ptr_err(t);
    long n = socket_error(t->socket);
    if (!n)
        n = receive_many(t, user, count, flags, deadline_ns);
    transfer_free(t);
    if (n > 0 && timeout && deadline_ns != SLEEP_FOREVER) {
        u64 now = clock_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
        struct __kernel_timespec rest = {(s64)(left / 1000000000), (s64)(left % 1000000000)};
        if (copy_to_user(timeout, &rest, sizeof(rest)))
            n = -EFAULT;
    }
    return n;
}

long sys_recvfrom(int fd, void __user *buffer, size_t bytes, u32 flags, void __user *name, int __user *name_bytes) {
    struct file *f;
    struct socket *s;
    struct address a = {0};
    struct iov data;
    struct message m = {.data = &data, .flags = flags, .name = name ? &a : NULL};
    if (!user_range_fits(buffer, bytes))
        return -EFAULT;
    ssize_t n = take(fd, &f, &s);
    if (n)
        return n;
    iov_user(&data, buffer, min(bytes, TRANSFER_MOST));
    m.deadline_ns = socket_deadline(s, f, flags, false);
    n = s->ops->receive(s, &m);
    if (m.carried)
        ancillary_drop(m.carried);
    if (n >= 0 && name) {
        int error = name_to(&a, name, name_bytes);
        n = error ? error : n;
    }
    file_put(f);
    return n;
}
