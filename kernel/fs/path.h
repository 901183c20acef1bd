/* path.h - walking a name, for the calls that need more than path_lookup: to make, remove or rename what it ends in.
 *
 * walk_begin, then walk_parent or walk_all, then walk_end, always. A walk is about 100 bytes: it lives on the stack. */
#pragma once

#include "fs/dentry.h"
#include "fs/mount.h"

enum walk_last { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

struct walk {
    struct path path; /* where it is; counted */
    struct path root; /* what ".." and absolute links stop at; counted */
    const char *rest; /* not yet walked */
    char *buffer;     /* kmalloc'ed: what rest points into after a symbolic link; or NULL */
    u32 flags;        /* LOOKUP_* */
    u32 links;        /* symbolic links followed */
    const char *name; /* walk_parent: the last component (not 0-terminated) */
    size_t bytes;
    enum walk_last last;
    bool slash; /* a slash follows it */
};

/* walk_begin: name must stay until walk_end. -EBADF, -ENOTDIR, -ENOENT (""). After an error walk_end is still to be
 * called. */
int walk_begin(struct walk *w, int at, const char *name, u32 flags);
int walk_all(struct walk *w);    /* w->path is what the name names */
int walk_parent(struct walk *w); /* w->path is the directory, name the last component */
/* walk_child: find the last component after walk_parent, mounts on it not crossed, links not followed; counted.
 * -ENOENT... */
int walk_child(struct walk *w, struct dentry **out);
/* walk_follow: after walk_parent and walk_child: the child is a symbolic link: go on as if the name had ended in its
 * target. Then walk_parent again. Takes over the child's reference. */
int walk_follow(struct walk *w, struct dentry *link);
void walk_end(struct walk *w);

/* Copies of user's names, in kernel memory: kfree. err_ptr(-EFAULT, -ENAMETOOLONG, -ENOMEM). "" is allowed here. */
char *name_from_user(const char __user *name);
/* fs_get_root, fs_get_cwd: the caller's, counted. */
void fs_get_root(struct path *out);
void fs_get_cwd(struct path *out);
struct fs_root *fs_current(void); /* NULL in a kernel thread */
/* path_from_fd: the path behind a descriptor; counted. -EBADF. */
int path_from_fd(int fd, struct path *out);
