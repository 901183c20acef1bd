/* mount.h - mounts: which file system covers which directory.
 *
 * A mount, once made, is never freed (there are a handful), so nobody counts them; one that is unmounted leaves the
 * list and goes on working for who is inside. */
#pragma once

#include "fs/dentry.h"

/* All constant once the mount is in the list, but link: [m] mount.c's lock. */
struct mount {
    struct mount *parent; /* NULL: the root of everything */
    struct dentry *point; /* what it covers, in parent; counted */
    struct dentry *root;  /* its own root; counted */
    struct super *super;
    const char *source;
    int id;
    struct list link; /* [m] in the order of mounting */
};

struct mount *mount_root(void); /* NULL before the first mount */
/* mount_over: what covers the directory, or NULL. */
struct mount *mount_over(const struct mount *m, const struct dentry *d);
/* mount_cross: go up to the topmost mount on p, whose references change with it. */
void mount_cross(struct path *p);
/* mount_on: mount s on p (counted by the mount; NULL for the root of everything). 0, -ENOMEM, -ENOTDIR. */
int mount_on(const struct path *p, struct super *s, const char *source);
/* mount_remove: take the mount whose root p is out of the tree. -EINVAL (p is no mount's root), -EBUSY (others on top).
 */
int mount_remove(const struct path *p);
