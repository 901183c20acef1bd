/* tree.h - the one file system in memory: tmpfs, the overlay over the host's files, and the write-through cache of
 * them.
 *
 * Nouns. tree: a super of this kind. lower: the layer below, or NULL (tmpfs). A tree inode has a node of the lower, or
 * was made here. lower_bytes: how much of a file's contents may still be read from the lower: its size there, and the
 * smallest size that any truncation since has given it; what lies above starts as zeroes. changed: an overlay's inode
 * that differs from the lower's; it counts itself, so that it is found again by (dev, ino) after its names were
 * evicted. */
#pragma once

#include "fs/lower.h"
#include "fs/vfs.h"

enum tree_mode {
    TREE_MEMORY,  /* tmpfs: no lower */
    TREE_OVERLAY, /* writes stay in memory */
    TREE_THROUGH, /* each change goes to the lower first; but FIFOs, sockets and devices live in memory */
    TREE_READ_ONLY,
};

struct tree_options {
    enum tree_mode mode;
    struct lower *lower; /* NULL for TREE_MEMORY */
    const char *type;    /* as /proc/mounts shows it */
    const char *options; /* NULL: "rw" or "ro" */
    u32 root_mode;       /* TREE_MEMORY: permissions of its root */
};
struct super *tree_super_create(const struct tree_options *o); /* NULL: no memory */

struct tree {
    struct super super;
    struct lower *lower;
    enum tree_mode mode;
    u32 root_mode;
};

struct xattr; /* tree_xattr.c */

struct tree_inode {
    struct inode inode;
    struct lower_node *lower; /* NULL: made here */
    u64 lower_bytes;          /* under inode.lock; read atomically by fill */
    u64 lower_blocks;
    struct tree_inode *hash_next; /* by (tree, dev, ino) */
    u32 flags;                    /* TREE_INODE_*; atomically */
    u32 seals;                    /* F_SEAL_* of a memory file; under inode.lock */
    char *target;                 /* of a symbolic link, once read */
    struct xattr *xattrs;         /* set here; under inode.lock */
    s64 lower_mtime_ns;           /* write-through: what the pages belong to */
    u32 opens;                    /* write-through: descriptions open */
    u32 hidden;                   /* write-through: its name on the lower after it was removed while open; 0: none */
    struct tree_inode *hidden_in; /* counted */
    struct listing *listing;      /* of an overlay's directory: what the lower lists, once asked; under inode.lock */
    struct old_node *others; /* write-through: nodes under other names, and ones that were replaced; under inode.lock */
};
#define TREE_INODE_HASHED 1u
#define TREE_INODE_CHANGED 2u  /* of an overlay, and counts itself */
#define TREE_INODE_MADE 4u     /* made in an overlay, counted among its changes */
#define TREE_INODE_READABLE 8u /* the lower has said that its contents can be read */
#define TREE_INODE_WRITABLE 16u
#define TREE_INODE_NO_XATTRS 32u /* the lower has none for it */
#define TREE_INODE_SEALABLE 64u
#define TREE_INODE_STALE 256u     /* write-through: the node's name is gone and no other is known */
#define TREE_INODE_FORGOTTEN 512u /* of an overlay: its last name is gone, and it counts itself no more */
#define TREE_INODE_LONG 1024u     /* its lower's listing is too long to be kept */
#define TREE_INODE_WROTE 128u     /* write-through: the lower's new modification time is our own doing */

static inline struct tree *tree_of(const struct inode *i) { return container_of(i->super, struct tree, super); }
static inline struct tree_inode *tree_inode(struct inode *i) { return container_of(i, struct tree_inode, inode); }

/* tree.c */
void tree_init(void);
struct inode *tree_make(struct tree *t, struct inode *dir, u32 mode,
                        u64 rdev); /* a new file here; dir NULL: no directory; err_ptr */
struct inode *tree_from_lower(struct tree *t, struct lower_node *node,
                              const struct lower_attr *a); /* takes the node; err_ptr */
bool tree_memory_full(void);                               /* no more files or contents that live only here: -ENOSPC */
void tree_changed(struct tree_inode *ti); /* before an inode of an overlay is made to differ from the lower */
void tree_take_attr(struct tree_inode *ti, const struct lower_attr *a);
void tree_sync_all(void); /* write back what is dirty in every write-through tree */
extern const struct inode_ops tree_inode_ops;
extern u64 tree_changes; /* [a] overlay_changes */

/* tree_data.c: contents. */
extern const struct file_ops tree_file_ops;
extern const struct object_ops tree_layered_pages, tree_through_pages;
int tree_resize(struct inode *inode, u64 bytes);
/* Seals (memfd_create): F_SEAL_* of fcntl. -EINVAL: no memory file. */
long tree_add_seals(struct file *f, u32 seals);
long tree_get_seals(struct file *f);
ssize_t tree_take_to_pages(struct tree_inode *ti, struct iov *from, u64 position, size_t bytes);

/* tree_dir.c: directories' contents. */
extern const struct file_ops tree_dir_ops;
int tree_dir_empty(struct inode *dir); /* no entry that is not removed: 0, -ENOTEMPTY, or an error; dir locked */

/* tree_through.c: the changes that go to the lower. NULL node for names of TREE_MEMORY never comes here. */
int through_open(struct tree_inode *ti, struct file *f);
void through_release(struct tree_inode *ti);
struct inode *through_create(struct inode *dir, const char *name, size_t bytes, u32 mode, u64 rdev, const char *target);
struct inode *through_tmpfile(struct inode *dir, u32 mode); /* O_TMPFILE: a file that is hidden from the start */
int through_unlink(struct inode *dir, const char *name, size_t bytes, struct tree_inode *victim, bool directory);
int through_rename(const struct rename_names *r);
int through_link(struct inode *dir, const char *name, size_t bytes, struct tree_inode *target); /* target locked */
/* through_adopt: a node that a lookup has found for it: takes it. false: the inode is in use, the node the caller's. */
bool through_adopt(struct tree_inode *ti, struct lower_node *node);
void through_put_nodes(struct tree_inode *ti);
int through_zero(struct tree_inode *ti, u64 start, u64 end); /* make [start, end) read as zeroes on the lower */
int through_setattr(struct tree_inode *ti, u32 valid);
int through_resize(struct tree_inode *ti, u64 bytes);
ssize_t through_write(struct tree_inode *ti, struct iov *from, u64 position);
int through_write_back(struct object *o, u64 index, struct frame **frames, unsigned count);
int through_refresh(struct tree_inode *ti);         /* attributes from the lower; -ESTALE: its name is another file's */
bool through_hides(const char *name, size_t bytes); /* a name that stands for a removed open file */

/* tree_xattr.c */
ssize_t tree_getxattr(struct inode *i, const char *name, void *value, size_t bytes);
int tree_setxattr(struct inode *i, const char *name, const void *value, size_t bytes, int flags);
ssize_t tree_listxattr(struct inode *i, char *list, size_t bytes);
void tree_xattr_free(struct tree_inode *ti);
