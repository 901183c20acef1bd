/* start.c - the tree of files as the first process finds it: what is mounted where; and each process's root and cwd.
 *
 *     /          the host's files, under an overlay        /dev      devices        /proc, /sys
 *     /run       empty, in memory                          /dev/shm  empty, in memory     /dev/pts  pseudo-terminals
 *     and what --ro and --rw asked for, on directories made in the overlay where they are missing. */
#include "fs/dentry.h"
#include "fs/file_alloc.h"
#include "fs/names.h"
#include "fs/path.h"
#include "fs/tree.h"
#include "main.h"
#include "vm/slab.h"

static struct super *shm; /* where memory files live; mounted nowhere */

static u64 shrink(u64 pages) {
    /* A name with its inode takes about half a KiB: 8 of them are a page's worth. */
    return dentry_shrink(pages * 8) / 8;
}

u64 tree_shrink(u64 count) { return dentry_shrink(count); }

void vfs_sync(void) { tree_sync_all(); }

void vfs_init(void) {
    static const struct tree_options memory = {.mode = TREE_MEMORY, .type = "tmpfs", .root_mode = 0777};

    dentry_init();
    file_init();
    tree_init();
    shm = tree_super_create(&memory);
    if (!shm)
        panic("no memory for the first file system");
    reclaim_register(shrink);
}

struct file *shmem_file(const char *name, u64 bytes, int flags) {
    struct tree *t = container_of(shm, struct tree, super);
    struct inode *i = tree_make(t, NULL, S_IFREG | 0777, 0);

    if (is_err(i))
        return err_ptr(ptr_err(i));
    i->links = 0;
    i->object.size = bytes;
    struct file *f = file_make(i, &tree_file_ops, O_RDWR | O_LARGEFILE | flags, name);
    if (is_err(f))
        inode_put(i);
    return f;
}

/* Mounting. */

static int mount_here(const char *where, struct super *s, const char *source) {
    int error = s ? name_make_dirs(where) : -ENOMEM;

    if (!error)
        error = mount_at(where, s, source);
    if (error)
        kprintf(LOG_NOTICE "cannot mount %s on %s: error %d", source, where, -error);
    return error;
}

static int mount_lower(const struct boot_mount *m) {
    struct tree_options o = {.mode = m->overlay     ? TREE_OVERLAY
                                     : m->read_only ? TREE_READ_ONLY
                                                    : TREE_THROUGH,
                             .type = m->overlay ? "overlay" : "9p"};

    o.lower = ninep_attach(m->tag);
    if (is_err(o.lower)) {
        kprintf(LOG_NOTICE "no 9p device \"%s\" for %s: error %ld", m->tag, m->where, -ptr_err(o.lower));
        return (int)ptr_err(o.lower);
    }
    struct super *s = tree_super_create(&o);
    return m->where[1] ? mount_here(m->where, s, m->tag) : s ? mount_at(m->where, s, m->tag) : -ENOMEM;
}

static struct super *memory_super(u32 mode) {
    struct tree_options o = {.mode = TREE_MEMORY, .type = "tmpfs", .root_mode = mode};
    return tree_super_create(&o);
}

int vfs_mount_all(const struct boot_config *config) {
    const struct boot_mount root = {.tag = "root", .where = "/", .overlay = true}, *first = &root;
    int error;

    for (unsigned n = 0; n < config->mount_count; n++)
        if (!config->mounts[n].where[1])
            first = &config->mounts[n];
    error = mount_lower(first);
    if (error)
        return error;
    /* A machine without one of these still runs most programs: only the user's own mounts must succeed. */
    (void)mount_here("/run", memory_super(0755), "tmpfs");
    (void)mount_here("/proc", proc_super(), "proc");
    (void)mount_here("/sys", sysfs_super(), "sysfs");
    if (!mount_here("/dev", devfs_super(), "devtmpfs"))
        (void)devfs_fill();
    (void)mount_here("/dev/pts", devpts_super(), "devpts");
    (void)mount_here("/dev/shm", memory_super(01777), "tmpfs");
    for (unsigned n = 0; !error && n < config->mount_count; n++)
        if (config->mounts[n].where[1])
            error = mount_lower(&config->mounts[n]);
    atomic_store(&tree_changes, 0); /* mount points are nobody's change */
    return error;
}

/* Roots and working directories. */

struct fs_root *fs_root_create(void) {
    struct fs_root *f = kzalloc(sizeof(*f));

    if (f) {
        f->references = 1;
        f->umask = 022;
        f->root = f->cwd = (struct path){mount_root(), mount_root()->root};
        path_get(&f->root);
        path_get(&f->cwd);
    }
    return f;
}

int fs_root_chdir(struct fs_root *f, const char *where) {
    struct path p, old;
    int error = path_lookup(AT_FDCWD, where, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

    /* A directory that only the host has (under /run, say) exists in the guest too, empty. */
    if (error == -ENOENT && !name_make_dirs(where))
        error = path_lookup(AT_FDCWD, where, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
    if (error)
        return error;
    spin_lock(&f->lock);
    old = f->cwd;
    f->cwd = p;
    spin_unlock(&f->lock);
    path_put(&old);
    return 0;
}

struct fs_root *fs_root_fork(struct fs_root *from) {
    struct fs_root *f = kzalloc(sizeof(*f));

    if (f) {
        f->references = 1;
        spin_lock(&from->lock);
        f->root = from->root;
        f->cwd = from->cwd;
        f->umask = from->umask;
        path_get(&f->root);
        path_get(&f->cwd);
        spin_unlock(&from->lock);
    }
    return f;
}

void fs_root_get(struct fs_root *f) { atomic_add(&f->references, 1); }

void fs_root_put(struct fs_root *f) {
    if (atomic_sub(&f->references, 1))
        return;
    path_put(&f->root);
    path_put(&f->cwd);
    kfree(f);
}
