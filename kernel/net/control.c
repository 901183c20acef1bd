/* control.c - ancillary data as users write and read it (cmsg(3)), and the files that it holds. */
#include "net/control.h"

#include <linux/capability.h>

#include "fs/file.h"
#include "net/socket.h"
#include "task/task.h"
#include "vm/slab.h"

/* ---- files ---- */

struct ancillary *ancillary_make(u32 files) {
    struct ancillary *a = kzalloc(sizeof(*a) + files * sizeof(struct file *));
    if (a)
        list_init(&a->link);
    return a;
}

struct ancillary *ancillary_copy(const struct ancillary *a) {
    struct ancillary *copy = ancillary_make(a->count);
    if (!copy)
        return NULL;
    copy->count = a->count;
    for (u32 n = 0; n < a->count; n++) {
        copy->files[n] = a->files[n];
        file_get(copy->files[n]);
    }
    return copy;
}

/* What waits to be dropped, and the right to do so. A file that is closed by it may be a socket with files in its
 * inbox, and so on: those come to the list, and the one who holds the right goes on. */
static struct mutex dropping = MUTEX_INIT(dropping);
static struct spin drop_lock = SPIN_INIT;
static struct list to_drop = LIST_INIT(to_drop); /* [drop_lock] */

static struct ancillary *next_to_drop(void) {
    struct ancillary *a = NULL;
    spin_lock(&drop_lock);
    if (!list_empty(&to_drop)) {
        a = list_first(&to_drop, struct ancillary, link);
        list_del(&a->link);
    }
    spin_unlock(&drop_lock);
    return a;
}

void ancillary_drop(struct ancillary *a) {
    spin_lock(&drop_lock);
    list_add_tail(&to_drop, &a->link);
    spin_unlock(&drop_lock);
    if (mutex_held(&dropping))
        return;
    mutex_lock(&dropping);
    while ((a = next_to_drop())) {
        for (u32 n = 0; n < a->count; n++) {
            if (a->files[n])
                file_put(a->files[n]);
        }
        kfree(a);
    }
    mutex_unlock(&dropping);
}

void control_take_files(struct packet *p, struct message *m) {
    flight_lock();
    if (p->carried && (m->flags & MSG_PEEK)) {
        m->carried = ancillary_copy(p->carried);
    } else if (p->carried) {
        m->carried = p->carried;
        p->carried = NULL;
        flight_end(m->carried);
    }
    flight_unlock();
}

/* ---- what the caller sends ---- */

struct user_credentials control_self(void) {
    const struct credentials *c = cred_current();
    struct process *p = process_current();
    return (struct user_credentials){p ? p->pid : 0, c->euid, c->egid};
}

struct user_credentials control_sender(void) {
    const struct credentials *c = cred_current();
    return (struct user_credentials){process_current()->pid, c->uid, c->gid};
}

/* May the caller say that it is this (unix(7))? */
static bool may_claim(const struct user_credentials *u) {
    const struct credentials *c = cred_current();
    bool pid = u->pid == process_current()->pid || capable(CAP_SYS_ADMIN);
    bool uid = u->uid == c->uid || u->uid == c->euid || u->uid == c->suid || capable(CAP_SETUID);
    bool gid = u->gid == c->gid || u->gid == c->egid || u->gid == c->sgid || capable(CAP_SETGID);
    return pid && uid && gid;
}

static int take_credentials(const char *data, size_t bytes, struct message *m) {
    if (bytes != sizeof(m->credentials))
        return -EINVAL;
    memcpy(&m->credentials, data, sizeof(m->credentials));
    if (!may_claim(&m->credentials))
        return -EPERM;
    struct process *p = process_find(m->credentials.pid);
    if (!p)
        return -ESRCH;
    process_put(p);
    m->has_credentials = true;
    return 0;
}

static int take_files(const char *data, size_t bytes, struct message *m) {
    const int *fds = (const int *)data;
    u32 count = (u32)(bytes / sizeof(int));
    if (!count)
        return 0;
    if (!m->carried)
        m->carried = ancillary_make(SCM_MAX_FD);
    if (!m->carried)
        return -ENOMEM;
    struct ancillary *a = m->carried;
    if (a->count + count > SCM_MAX_FD)
        return -EINVAL;
    for (u32 n = 0; n < count; n++) {
        struct file *f = fd_get(fds[n]);
        if (!f)
            return -EBADF;
        a->files[a->count++] = f;
    }
    return 0;
}

/* One piece. Levels but SOL_SOCKET are the family's, and ignored by who has no use for them (as on Linux). */
static int take_piece(const struct socket *s, const struct control_header *h, const char *data, size_t bytes,
                      struct message *m) {
    if (h->level != SOL_SOCKET)
        return s->ops->control ? s->ops->control(h->level, h->type, data, bytes, m) : 0;
    bool ip = s->ops->family == AF_INET || s->ops->family == AF_INET6; /* does not look at them (as on Linux) */
    switch (h->type) {
    case SCM_RIGHTS:
        return ip ? 0 : s->ops->family == AF_UNIX ? take_files(data, bytes, m) : -EINVAL;
    case SCM_CREDENTIALS:
        return ip ? 0 : take_credentials(data, bytes, m);
    default:
        return -EINVAL;
    }
}

int control_take(const struct socket *s, const char *buffer, size_t bytes, struct message *m) {
    struct control_header h;
    int error = 0;
    for (size_t at = 0; !error && at + sizeof(h) <= bytes; at += control_align(h.bytes)) {
        memcpy(&h, buffer + at, sizeof(h));
        if (h.bytes < sizeof(h) || h.bytes > bytes - at)
            error = -EINVAL;
        else
            error = take_piece(s, &h, buffer + at + sizeof(h), h.bytes - sizeof(h), m);
    }
    if (error && m->carried) {
        ancillary_drop(m->carried);
        m->carried = NULL;
    }
    return error;
}

/* ---- what a receiver is told ---- */

/* The header of a piece with so many bytes of data; returns where they go, and in *bytes how many fit. */
static char *piece_begin(struct control_out *out, int level, int type, size_t *bytes) {
    struct control_header h = {sizeof(h) + *bytes, level, type};
    char *place = out->buffer + out->used;
    size_t room = out->room - out->used;
    if (room < sizeof(h))
        return NULL;
    *bytes = min(*bytes, room - sizeof(h));
    h.bytes = sizeof(h) + *bytes;
    memcpy(place, &h, sizeof(h));
    out->used += min(control_align(h.bytes), room);
    memset(place + h.bytes, 0, out->buffer + out->used - (place + h.bytes));
    return place + sizeof(h);
}

void control_put(struct message *m, int level, int type, const void *data, size_t bytes) {
    size_t fit = bytes;
    char *to = piece_begin(m->control, level, type, &fit);
    if (to)
        memcpy(to, data, fit);
    if (!to || fit < bytes)
        m->out_flags |= MSG_CTRUNC;
}

/* How many descriptors fit into what is left. */
static u32 files_that_fit(const struct control_out *out) {
    size_t room = out->room - out->used;
    return room < sizeof(struct control_header) ? 0 : (u32)((room - sizeof(struct control_header)) / sizeof(int));
}

void control_put_files(struct message *m) {
    struct control_out *out = m->control;
    struct ancillary *a = m->carried;
    u32 most = min(a->count, files_that_fit(out)), done = 0;
    int *fds = (int *)(out->buffer + out->used + sizeof(struct control_header));
    while (done < most) {
        int fd = fd_install(a->files[done], out->close_on_exec, 0);
        if (fd < 0)
            break;
        fds[done] = fd;
        a->files[done++] = NULL; /* the descriptor has it now */
    }
    size_t bytes = done * sizeof(int);
    if (done)
        (void)piece_begin(out, SOL_SOCKET, SCM_RIGHTS, &bytes);
    if (done < a->count)
        m->out_flags |= MSG_CTRUNC;
}
