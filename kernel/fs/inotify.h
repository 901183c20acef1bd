/* inotify.h - watches of files, and telling them what happens (inotify(7)).
 *
 * Whoever changes something calls one of the notify functions with IN_* afterwards; they cost a load while nobody
 * watches anything. No lock but a directory's inode->lock may be held; they may sleep. IN_ISDIR is added here. */
#pragma once

#include <linux/inotify.h>

#include "fs/dentry.h"

extern u32 inotify_watches; /* [a] all there are */

/* inotify_create: the file of an instance. flags: O_NONBLOCK. err_ptr(-EMFILE: RLIMITs of inotify, -ENOMEM). */
struct file *inotify_create(int flags);
/* inotify_watch: watch the inode, or change its watch as the mask says. The watch's number; -EINVAL: no inotify;
 * -EEXIST, -ENOSPC, -ENOMEM. */
long inotify_watch(struct file *f, struct inode *inode, u32 mask);
bool file_is_inotify(const struct file *f);
long inotify_forget(struct file *f, int number);                              /* 0, -EINVAL */
extern u64 inotify_instances_most, inotify_watches_most, inotify_events_most; /* /proc/sys/fs/inotify */

void notify_told(const struct dentry *d, u32 mask); /* the file of that name: its directory's watches, and its own */
void notify_inode_told(struct inode *inode, u32 mask, u32 cookie); /* its own watches */
/* The watches of a directory, by a name in it that child has, or had. */
void notify_name_told(struct inode *dir, const char *name, size_t bytes, const struct inode *child, u32 mask,
                      u32 cookie);
void notify_gone_told(struct inode *inode, u32 mask); /* it is removed, or unmounted: a last event, and no watch more */
void notify_unmounted(struct super *s);
u32 notify_cookie(void); /* for a move's two events */

static inline bool notify_wanted(void) { return unlikely(atomic_load_relaxed(&inotify_watches) != 0); }

static inline void notify(const struct dentry *d, u32 mask) {
    if (notify_wanted())
        notify_told(d, mask);
}
static inline void notify_file(const struct file *f, u32 mask) {
    if (notify_wanted() && f->path.mount)
        notify_told(f->path.dentry, mask);
}
static inline void notify_inode(struct inode *inode, u32 mask) {
    if (notify_wanted())
        notify_inode_told(inode, mask, 0);
}
static inline void notify_name(struct inode *dir, const char *name, size_t bytes, const struct inode *child, u32 mask) {
    if (notify_wanted())
        notify_name_told(dir, name, bytes, child, mask, 0);
}
/* notify_gone: d is about to be freed: was it the last name that a removed file had? */
static inline void notify_gone(struct inode *inode) {
    if (notify_wanted() && inode->watches && !inode->links)
        notify_gone_told(inode, IN_DELETE_SELF);
}
