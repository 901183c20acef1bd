/* lower.h - a lower layer: files that live outside this kernel's memory (the host's, over 9p), behind one struct of
 * functions.
 *
 * tree.c keeps names, attributes and pages; a lower layer keeps nothing but handles. A node is a handle of one file of
 * the layer (a 9p fid); the layer's own struct begins with or contains struct lower, its handles are whatever it likes.
 * A handle names the file, not the path: it goes on working after the file is renamed through this layer.
 *
 * All functions may sleep, are called without spin locks, and may be called by several tasks at once, for one node too.
 * They return 0 (or a count) or -errno as the other side gave it (-EIO when it does not answer). Names are not
 * 0-terminated, at most 255 bytes, never "." or "..". A layer that is read-only leaves the functions below "changes"
 * NULL. */
#pragma once

#include "lib/base.h"

struct frame;
struct lower_node; /* a handle: defined by the layer */

struct lower_attr {
    u64 ino,
        dev;  /* together: the same file under another name has the same pair. dev may be one number for the layer */
    u32 mode; /* with type */
    u32 uid, gid, links;
    u64 rdev;                                   /* Linux's kernel-to-user encoding, as stat(2) shows it */
    u64 bytes;                                  /* size */
    u64 blocks;                                 /* of 512 bytes */
    s64 atime_ns, mtime_ns, ctime_ns, btime_ns; /* since 1970; btime 0: not known */
};

/* Which fields of lower_attr a setattr sets. Times: given, never "now" (the guest's clock is the host's). */
#define LOWER_MODE 1u
#define LOWER_UID 2u
#define LOWER_GID 4u
#define LOWER_SIZE 8u
#define LOWER_ATIME 16u
#define LOWER_MTIME 32u

/* Receives directory entries; returns false to stop: that entry was not taken. It may sleep and may call the layer. */
struct lower_sink {
    bool (*entry)(struct lower_sink *sink, const char *name, size_t bytes, u64 ino, unsigned type /* DT_* */,
                  u64 next_position);
};

struct lower_statfs {
    u64 block_bytes, blocks, free, available, files, files_free;
    u32 name_most, type;
};

struct lower;
struct lower_ops {
    /* lookup: a new handle of an entry of dir, and its attributes. -ENOENT. */
    int (*lookup)(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, struct lower_node **out,
                  struct lower_attr *attr);
    /* put: give a handle back. Any I/O handle that the layer opened for it goes too. */
    void (*put)(struct lower *l, struct lower_node *node);
    /* getattr: of what the handle's name leads to now: of another file (ino tells) where somebody else than this layer
     * has put one in its place. -ENOENT. */
    int (*getattr)(struct lower *l, struct lower_node *node, struct lower_attr *attr);
    /* open: can the contents be read (and written)? Called at each first open(2) of an inode, so that -EACCES comes
     * from open(2) and not from a fault; the layer may open its I/O handle here and keep it until put. */
    int (*open)(struct lower *l, struct lower_node *node, bool write);
    /* readdir: entries after `position` (0: from the start) in the layer's order, as many as one exchange brings; "."
     * and ".." may be among them (the caller skips them). Returns 0. The end: a call that gives no entry. */
    int (*readdir)(struct lower *l, struct lower_node *dir, u64 position, struct lower_sink *sink);
    /* readlink: at most `bytes` bytes of the target, not 0-terminated; returns how many. */
    ssize_t (*readlink)(struct lower *l, struct lower_node *node, char *buffer, size_t bytes);
    /* read: fill `count` frames with pages index, index + 1, ...; zeroes past the end of the file. Several exchanges
     * may be in flight at once. */
    int (*read)(struct lower *l, struct lower_node *node, u64 index, struct frame **frames, unsigned count);
    int (*statfs)(struct lower *l, struct lower_node *node, struct lower_statfs *out);
    /* getxattr, listxattr: bytes, or the size needed when bytes == 0; -ERANGE, -ENODATA, -EOPNOTSUPP. name is
     * 0-terminated. */
    ssize_t (*getxattr)(struct lower *l, struct lower_node *node, const char *name, void *value, size_t bytes);
    ssize_t (*listxattr)(struct lower *l, struct lower_node *node, char *list, size_t bytes);

    /* changes */
    /* create: a file, directory, node, FIFO or socket by mode's type, exclusively (-EEXIST), owned by uid and gid. */
    int (*create)(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, u32 mode, u64 rdev, u32 uid,
                  u32 gid, struct lower_node **out, struct lower_attr *attr);
    int (*symlink)(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, const char *target, u32 uid,
                   u32 gid, struct lower_node **out, struct lower_attr *attr);
    int (*link)(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, struct lower_node *target);
    int (*unlink)(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, bool directory);
    /* rename: replaces what new_name names, as rename(2). */
    int (*rename)(struct lower *l, struct lower_node *from, const char *name, size_t bytes, struct lower_node *to,
                  const char *new_name, size_t new_bytes);
    int (*setattr)(struct lower *l, struct lower_node *node, u32 valid, const struct lower_attr *attr);
    /* write: from kernel memory; returns bytes written, at least 1. */
    ssize_t (*write)(struct lower *l, struct lower_node *node, const void *from, size_t bytes, u64 offset);
    /* write_pages: what the file is to hold from the first frame's begin on; returns bytes written, at least 1. */
    ssize_t (*write_pages)(struct lower *l, struct lower_node *node, struct frame **frames, size_t bytes, u64 offset);
    int (*fsync)(struct lower *l, struct lower_node *node, bool data_only);
    int (*setxattr)(struct lower *l, struct lower_node *node, const char *name, const void *value, size_t bytes,
                    int flags);
};

struct lower {
    const struct lower_ops *ops;
    struct lower_node *root; /* of the layer: never put */
    struct lower_attr root_attr;
};

/* fs/9p.c: attach the 9p device with this mount tag. err_ptr(-ENODEV...). */
struct lower *ninep_attach(const char *tag);
