/* shm.c - the segments of System V shared memory; shm.h says what they are.
 *
 * Locks: the table's mutex protects every segment in it. It is taken in the release of a segment's file, so no
 * file is put with it held. */
#include <linux/capability.h>

#include "fs/inode.h"
#include "fs/proc.h"
#include "fs/shm.h"
#include "vm/commit.h"
#include "vm/slab.h"
#include "vm/space.h"

struct segment {
    struct ipc ipc;         /* its mode with SHM_DEST, SHM_LOCKED */
    struct shmid64_ds stat; /* but for shm_nattch and shm_perm */
    struct file *file;      /* counted until SHM_DEST is set */
    u64 reserved;           /* pages promised for it */
};

u64 shm_max = ~0UL - (1UL << 24), shm_all = ~0UL - (1UL << 24), shm_segments_most = 4096;

static struct ipc_table table = IPC_TABLE_INIT(table, &shm_segments_most);
static u64 total_pages;

static u64 pages_of(const struct segment *g) { return page_align_up(g->stat.shm_segsz) >> PAGE_SHIFT; }
static struct segment *segment_of(struct ipc *i) { return i ? container_of(i, struct segment, ipc) : NULL; }

/* ---- life ---- */

static void released(struct file *f) {
    struct segment *g = f->private_data;
    mutex_lock(&table.mutex);
    ipc_drop(&table, &g->ipc);
    total_pages -= pages_of(g);
    mutex_unlock(&table.mutex);
    commit_add(-(s64)g->reserved);
    kfree(g);
}

static const struct file_ops segment_ops = {.release = released};

bool shm_is_segment(const struct file *f) { return f && f->ops == &segment_ops; }

static struct file *segment_file(struct segment *g, int key, size_t bytes) {
    char name[32];
    ksnprintf(name, sizeof(name), "/SYSV%08x (deleted)", (unsigned)key);
    struct file *f = shmem_file(name, bytes, 0);
    if (is_err(f))
        return f;
    f->ops = &segment_ops;
    f->private_data = g;
    return f;
}

/* A new segment, into the table. */
static long create(const struct ipc_wish *w) {
    u64 bytes = w->size;
    u64 pages = page_align_up(bytes) >> PAGE_SHIFT;
    if (!bytes || bytes > shm_max)
        return -EINVAL;
    if (!pages || total_pages + pages < total_pages || total_pages + pages > shm_all)
        return -ENOSPC;
    if (w->flags & SHM_HUGETLB)
        return -ENOMEM; /* no huge pages are set aside */
    bool reserve = !(w->flags & SHM_NORESERVE) || commit_mode == COMMIT_NEVER;
    if (reserve && !commit_charge(process_current()->space, pages))
        return -ENOMEM;
    struct segment *g = kzalloc(sizeof(*g));
    struct file *f = g ? segment_file(g, w->key, bytes) : err_ptr(-ENOMEM);
    if (is_err(f)) {
        commit_add(reserve ? -(s64)pages : 0);
        kfree(g);
        return ptr_err(f);
    }
    long id = ipc_add(&table, &g->ipc, w);
    if (id < 0) {
        f->ops = NULL; /* not in the table: nothing to take out of it */
        file_put(f);
        kfree(g);
        commit_add(reserve ? -(s64)pages : 0);
        return id;
    }
    g->file = f;
    g->reserved = reserve ? pages : 0;
    if (reserve)
        f->inode->object.ops = &inode_pages_promised;
    g->stat = (struct shmid64_ds){.shm_segsz = bytes, .shm_ctime = ipc_seconds(), .shm_cpid = process_current()->pid};
    f->inode->ino = id; /* shows in /proc/PID/maps */
    total_pages += pages;
    return id;
}

static int fits(const struct ipc *i, const struct ipc_wish *w) {
    return container_of(i, const struct segment, ipc)->stat.shm_segsz < w->size ? -EINVAL : 0;
}

long shm_get(int key, size_t bytes, int flags) {
    struct ipc_wish w = {.size = bytes, .key = key, .flags = flags, .fits = fits, .make = create};
    return ipc_get(&table, &w);
}

/* The file, counted, while its last reference is not gone yet: then its release waits for the mutex that we hold. */
static bool hold(struct segment *g) {
    u32 n = atomic_load(&g->file->references);
    while (n &&
           !__atomic_compare_exchange_n(&g->file->references, &n, n + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
    return n;
}

struct file *shm_attach(int id, u32 mask, u64 *bytes) {
    mutex_lock(&table.mutex);
    struct ipc *i = ipc_look(&table, id, false, mask);
    struct file *f = is_err(i) ? (void *)i : err_ptr(-EINVAL);
    if (!is_err(i) && hold(segment_of(i))) {
        f = segment_of(i)->file;
        *bytes = segment_of(i)->stat.shm_segsz;
    }
    mutex_unlock(&table.mutex);
    return f;
}

/* ---- shared memory without a number ---- */

static void given_back(struct file *f) { commit_add(-(s64)(u64)(uintptr_t)f->private_data); }

static const struct file_ops reserved_ops = {.release = given_back};

struct file *shm_reserved(const struct space *s, const char *name, u64 bytes, bool reserve) {
    u64 pages = page_align_up(bytes) >> PAGE_SHIFT;
    if (reserve && !commit_charge(s, pages))
        return err_ptr(-ENOMEM);
    struct file *f = shmem_file(name, bytes, O_RDWR);
    if (is_err(f)) {
        commit_add(reserve ? -(s64)pages : 0);
    } else if (reserve) {
        f->inode->object.ops = &inode_pages_promised;
        f->ops = &reserved_ops;
        f->private_data = (void *)(uintptr_t)pages;
    }
    return f;
}

/* ---- who maps it ---- */

static u64 count_in(struct space *space, const struct vm_file *file) {
    struct mapping m;
    u64 n = 0;
    for (u64 at = 0; space_walk(space, at, &m); at = m.end) {
        n += m.view->file == file;
        space_walk_end(&m);
    }
    return n;
}

/* Another process with a smaller number has the same space: its mappings are counted there. */
static bool counted_before(const struct process *p, const struct space *space) {
    struct process *other;
    bool found = false;
    for (int pid = 0; !found && (other = process_next(pid)) && other != p;) {
        found = atomic_load(&other->space) == space;
        pid = other->pid;
        process_put(other);
    }
    if (!found && other)
        process_put(other);
    return found;
}

static u64 attaches(struct file *f) {
    struct process *p;
    u64 n = 0;
    for (int pid = 0; object_mapped(f->vm.object) && (p = process_next(pid));) {
        struct space *space = process_space(p);
        pid = p->pid;
        if (space && space_info(space)->has_segments && !(p->space_shared && counted_before(p, space)))
            n += count_in(space, &f->vm);
        if (space)
            space_put(space);
        process_put(p);
    }
    return n;
}

static void stamp(struct file *f, bool attached) {
    struct segment *g = f->private_data;
    mutex_lock(&table.mutex);
    *(attached ? &g->stat.shm_atime : &g->stat.shm_dtime) = ipc_seconds();
    g->stat.shm_lpid = process_current() ? process_current()->pid : 0;
    mutex_unlock(&table.mutex);
}

void shm_note(struct space *s, u64 start, u64 end, bool attached) {
    struct mapping m;
    if (likely(!space_info(s)->has_segments))
        return;
    for (u64 at = start; space_walk(s, at, &m); at = m.end) {
        bool within = m.start < end;
        if (within && shm_is_segment(file_of_vm(m.view->file)))
            stamp(file_of_vm(m.view->file), attached);
        space_walk_end(&m);
        if (!within)
            break;
    }
}

/* ---- control ---- */

/* *out as it is now; the segment's file, counted, NULL if it is going. */
static struct file *look(struct segment *g, struct shmid64_ds *out) {
    *out = g->stat;
    out->shm_perm = g->ipc.perm;
    return hold(g) ? g->file : NULL;
}

long shm_stat(int id, int command, struct shmid64_ds *out) {
    bool by_index = command != IPC_STAT;
    struct file *f = NULL;
    mutex_lock(&table.mutex);
    struct ipc *i = ipc_look(&table, id, by_index, command == SHM_STAT_ANY ? 0 : 0444);
    long result = is_err(i) ? ptr_err(i) : by_index ? i->id : 0;
    if (!is_err(i))
        f = look(segment_of(i), out);
    mutex_unlock(&table.mutex);
    if (f) {
        out->shm_nattch = attaches(f);
        file_put(f);
    }
    return result;
}

long shm_set(int id, const struct ipc64_perm *from) {
    mutex_lock(&table.mutex);
    struct ipc *i = ipc_own(&table, id);
    long result = is_err(i) ? ptr_err(i) : ipc_set(i, from);
    if (!result)
        segment_of(i)->stat.shm_ctime = ipc_seconds();
    mutex_unlock(&table.mutex);
    return result;
}

long shm_remove(int id) {
    struct file *drop = NULL;
    mutex_lock(&table.mutex);
    struct ipc *i = ipc_own(&table, id);
    long result = is_err(i) ? ptr_err(i) : 0;
    if (!result && !(i->perm.mode & SHM_DEST)) {
        i->perm.mode |= SHM_DEST;
        i->perm.key = IPC_PRIVATE; /* found by its number only */
        drop = segment_of(i)->file;
    }
    mutex_unlock(&table.mutex);
    if (drop)
        file_put(drop);
    return result;
}

long shm_lock(int id, bool lock) {
    long result = 0;
    mutex_lock(&table.mutex);
    struct segment *g = segment_of(ipc_find(&table, id));
    if (!g)
        result = -EINVAL;
    else if (!capable(CAP_IPC_LOCK) &&
             (!ipc_owns(&g->ipc) || (lock && !process_current()->limits[RLIMIT_MEMLOCK].rlim_cur)))
        result = -EPERM;
    else if (lock)
        g->ipc.perm.mode |= SHM_LOCKED;
    else
        g->ipc.perm.mode &= ~(u32)SHM_LOCKED;
    if (!result)
        atomic_store(&g->file->vm.object->locked, lock);
    mutex_unlock(&table.mutex);
    return result;
}

void shm_usage(struct shm_use *out) {
    mutex_lock(&table.mutex);
    *out = (struct shm_use){.highest = ipc_highest(&table), .used = table.used, .pages = total_pages};
    for (unsigned n = 0; n < table.room; n++) {
        struct segment *g = segment_of(ipc_at(&table, n));
        out->resident += g ? atomic_load(&g->file->vm.object->cached) : 0;
        out->swapped += g ? atomic_load(&g->file->vm.object->swapped) : 0;
    }
    mutex_unlock(&table.mutex);
}

/* ---- /proc/sysvipc/shm ---- */

static void show(struct text *t, const struct shmid64_ds *d, int id, const struct object *o) {
    const struct ipc64_perm *p = &d->shm_perm;
    text_print(t, "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u %10lu %10lu %10lu %21lu %21lu\n", p->key, id,
               p->mode, d->shm_segsz, d->shm_cpid, d->shm_lpid, d->shm_nattch, p->uid, p->gid, p->cuid, p->cgid,
               (unsigned long)d->shm_atime, (unsigned long)d->shm_dtime, (unsigned long)d->shm_ctime,
               (unsigned long)atomic_load(&o->cached) * PAGE_SIZE, (unsigned long)atomic_load(&o->swapped) * PAGE_SIZE);
}

int proc_sysvipc_shm(struct synth *s, struct text *t) {
    text_string(
        t, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime "
           "     dtime      ctime                   rss                  swap\n");
    for (unsigned i = 0; i < atomic_load(&table.room); i++) {
        struct shmid64_ds d;
        int id = 0;
        mutex_lock(&table.mutex);
        struct segment *g = segment_of(ipc_at(&table, i));
        struct file *f = g ? look(g, &d) : NULL;
        id = g ? g->ipc.id : 0;
        mutex_unlock(&table.mutex);
        if (!f)
            continue;
        d.shm_nattch = attaches(f);
        show(t, &d, id, f->vm.object);
        file_put(f);
    }
    return 0;
}
