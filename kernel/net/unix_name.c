/* unix_name.c - what Unix sockets are called: by a file of type socket, or by an abstract name; and finding them.
 *
 * A name in the file system stands for the socket that made the file: the socket holds the file's inode, so no other
 * file can be taken for it. Abstract names live in a table of their own for each type of socket (as on Linux 6.1). */
#include "fs/names.h"
#include "net/unix.h"
#include "task/task.h"
#include "vm/slab.h"

#define BUCKETS 64
#define PATH_AT offsetof(struct sockaddr_un, sun_path)
#define AUTOBIND_NAMES 0x100000 /* five hexadecimal digits */

static struct spin names_lock = SPIN_INIT;
static struct list buckets[BUCKETS]; /* [names_lock]; a zero head: nothing there so far */

static bool is_abstract(const struct address *a) { return !a->un.sun_path[0]; }

static struct list *bucket(u64 key) {
    struct list *l = &buckets[(key ^ key >> 7 ^ key >> 17) % BUCKETS];
    if (!l->next)
        list_init(l);
    return l;
}

static struct list *bucket_of_inode(const struct inode *i) { return bucket((u64)i / sizeof(u64)); }

static struct list *bucket_of_name(const struct address *a) {
    u64 key = 0;
    for (u32 n = PATH_AT; n < a->bytes; n++)
        key = key * 31 + a->raw[n];
    return bucket(key);
}

int unix_check(const struct address *a) {
    bool fits = a->bytes > PATH_AT && a->bytes <= sizeof(struct sockaddr_un);
    return fits && a->family == AF_UNIX ? 0 : -EINVAL;
}

void unix_copy_name(struct socket *s, struct address *out) {
    const struct address *name = &unix_of(s)->name;
    u32 bytes = atomic_load(&name->bytes);
    if (bytes)
        memcpy(out, name, sizeof(*out));
    else
        *out = (struct address){.bytes = sizeof(u16), .family = AF_UNIX};
}

/* ---- finding ---- */

static struct unix_socket *find_by_name(const struct address *a, int type) {
    struct list *l = bucket_of_name(a);
    struct unix_socket *u;
    list_for_each(u, l, name_link) {
        if (!u->path.dentry && u->socket.type == type && u->name.bytes == a->bytes &&
            !memcmp(u->name.raw, a->raw, a->bytes))
            return u;
    }
    return NULL;
}

static struct unix_socket *find_by_inode(const struct inode *i) {
    struct list *l = bucket_of_inode(i);
    struct unix_socket *u;
    list_for_each(u, l, name_link) {
        if (u->path.dentry && path_inode(&u->path) == i)
            return u;
    }
    return NULL;
}

static int find_abstract(const struct address *a, int type, struct socket **out) {
    spin_lock(&names_lock);
    struct unix_socket *u = find_by_name(a, type);
    if (u)
        socket_get(&u->socket);
    spin_unlock(&names_lock);
    *out = u ? &u->socket : NULL;
    return u ? 0 : -ECONNREFUSED;
}

/* The name of the address as a string: the user's need not end with a 0. */
static void path_text(const struct address *a, char *text) {
    size_t bytes = strnlen(a->un.sun_path, a->bytes - PATH_AT);
    memcpy(text, a->un.sun_path, bytes);
    text[bytes] = 0;
}

static int find_by_path(const struct address *a, int type, struct socket **out) {
    char text[sizeof(a->un.sun_path) + 1];
    struct unix_socket *u = NULL;
    struct path p;
    path_text(a, text);
    int error = path_lookup(AT_FDCWD, text, LOOKUP_FOLLOW, &p);
    if (error)
        return error;
    struct inode *i = path_inode(&p);
    error = inode_permission(i, MAY_WRITE);
    if (!error) {
        spin_lock(&names_lock);
        u = find_by_inode(i);
        if (u)
            socket_get(&u->socket);
        spin_unlock(&names_lock);
        error = !u ? -ECONNREFUSED : u->socket.type != type ? -EPROTOTYPE : 0;
    }
    path_put(&p);
    if (error && u)
        socket_put(&u->socket);
    else if (!error)
        *out = &u->socket;
    return error;
}

int unix_find(const struct address *a, int type, struct socket **out) {
    return is_abstract(a) ? find_abstract(a, type, out) : find_by_path(a, type, out);
}

/* ---- binding ---- */

/* The name is in the table: now the socket has it. names_lock is held. */
static void take_name(struct unix_socket *u, const struct address *a, struct list *l) {
    memcpy(u->name.raw, a->raw, sizeof(u->name.raw));
    list_add(l, &u->name_link);
    atomic_store(&u->name.bytes, a->bytes);
}

static int bind_abstract(struct unix_socket *u, const struct address *a) {
    spin_lock(&names_lock);
    bool taken = find_by_name(a, u->socket.type);
    if (!taken)
        take_name(u, a, bucket_of_name(a));
    spin_unlock(&names_lock);
    return taken ? -EADDRINUSE : 0;
}

static int bind_path(struct unix_socket *u, const struct address *a) {
    char text[sizeof(a->un.sun_path) + 1];
    struct address name = *a;
    struct path p;
    path_text(a, text);
    int error = name_make_path(AT_FDCWD, text, S_IFSOCK | (u->socket.inode.mode & 07777), 0, &p);
    if (error)
        return error == -EEXIST ? -EADDRINUSE : error;
    size_t length = strlen(text);
    memset(name.raw + PATH_AT + length, 0, sizeof(name.raw) - PATH_AT - length);
    name.bytes = (u32)(PATH_AT + length + 1);
    spin_lock(&names_lock);
    u->path = p;
    take_name(u, &name, bucket_of_inode(path_inode(&p)));
    spin_unlock(&names_lock);
    return 0;
}

/* bind(2) of what has a name: a file that is there is the first thing that Linux stumbles over. */
static int bind_again(const struct address *a) {
    char text[sizeof(a->un.sun_path) + 1];
    struct path p;
    if (is_abstract(a))
        return -EINVAL;
    path_text(a, text);
    int error = path_lookup(AT_FDCWD, text, 0, &p);
    if (!error)
        path_put(&p);
    return error ? -EINVAL : -EADDRINUSE;
}

int unix_bind(struct socket *s, const struct address *a) {
    struct unix_socket *u = unix_of(s);
    if (a->bytes == PATH_AT && a->family == AF_UNIX)
        return unix_autobind(s);
    int error = unix_check(a);
    if (error)
        return error;
    mutex_lock(&s->control);
    if (u->name.bytes)
        error = bind_again(a);
    else
        error = is_abstract(a) ? bind_abstract(u, a) : bind_path(u, a);
    mutex_unlock(&s->control);
    return error;
}

int unix_autobind(struct socket *s) {
    static u32 next; /* [a] where the search begins */
    struct unix_socket *u = unix_of(s);
    int error = 0;
    mutex_lock(&s->control);
    for (u32 tries = 0; !u->name.bytes && tries < AUTOBIND_NAMES; tries++) {
        struct address a = {.bytes = PATH_AT + 6, .family = AF_UNIX};
        ksnprintf(a.un.sun_path + 1, 6, "%05x", atomic_add(&next, 1) % AUTOBIND_NAMES);
        error = bind_abstract(u, &a);
    }
    mutex_unlock(&s->control);
    return error ? -ENOSPC : 0;
}

void unix_unbind(struct socket *s) {
    struct unix_socket *u = unix_of(s);
    spin_lock(&names_lock);
    struct path p = u->path;
    u->path = (struct path){NULL, NULL};
    list_del(&u->name_link);
    spin_unlock(&names_lock);
    if (p.dentry)
        path_put(&p);
}
