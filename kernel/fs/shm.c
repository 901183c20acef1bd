/* shm.c - the segments of System V shared memory; shm.h says what they are.
 *
 * A number is `sequence << 15 | index`: the index finds the segment, the sequence makes an old number invalid once the
 * index is used again. Indexes are given out in a cycle, as Linux 6.1 does, so that numbers of tests agree.
 *
 * Locks: shm_mutex protects the table and every segment in it. It is taken in the release of a segment's file, so no
 * file is put with it held. */
#include <linux/capability.h>

#include "fs/inode.h"
#include "fs/proc.h"
#include "fs/shm.h"
#include "vm/commit.h"
#include "vm/slab.h"
#include "vm/space.h"

#define INDEX_BITS 15u
#define INDEX_MOST (1 << INDEX_BITS)
#define SEQUENCES (1u << 16)
#define CYCLE 64 /* so many indexes are used in turn before one comes again */
#define ROOM_FIRST 16u

struct segment {
    struct shmid64_ds stat; /* but for shm_nattch; shm_perm.mode with SHM_DEST, SHM_LOCKED */
    struct file *file;      /* counted until SHM_DEST is set */
    u64 reserved;           /* pages promised for it */
    int id;
};

u64 shm_max = ~0UL - (1UL << 24), shm_all = ~0UL - (1UL << 24), shm_segments_most = 4096;

static struct mutex shm_mutex = MUTEX_INIT(shm_mutex);
static struct segment **segments;
static unsigned room;
static int used, last_index = -1;
static u32 sequence;
static u64 total_pages;

static u64 now_seconds(void) { return clock_wall_ns() / 1000000000UL; }
static u64 pages_of(const struct segment *g) { return page_align_up(g->stat.shm_segsz) >> PAGE_SHIFT; }
static struct segment *at_index(unsigned i) { return i < room ? segments[i] : NULL; }

static struct segment *find(int id) {
    struct segment *g = id < 0 ? NULL : at_index(id % INDEX_MOST);
    return g && g->id == id ? g : NULL;
}

static bool owns(const struct segment *g) {
    u32 uid = cred_current()->euid;
    return uid == g->stat.shm_perm.uid || uid == g->stat.shm_perm.cuid;
}

/* mask: rwx bits, for whichever class the caller is in (svipc(7)). */
static bool may(const struct segment *g, u32 mask) {
    const struct credentials *c = cred_current();
    const struct ipc64_perm *p = &g->stat.shm_perm;
    u32 wanted = (mask >> 6 | mask >> 3 | mask) & 7, granted = p->mode;
    if (owns(g))
        granted >>= 6;
    else if (cred_in_group(c, p->cgid, c->egid) || cred_in_group(c, p->gid, c->egid))
        granted >>= 3;
    return !(wanted & ~granted) || capable(CAP_IPC_OWNER);
}

/* ---- life ---- */

static void released(struct file *f) {
    struct segment *g = f->private_data;
    mutex_lock(&shm_mutex);
    segments[g->id % INDEX_MOST] = NULL;
    used--;
    total_pages -= pages_of(g);
    mutex_unlock(&shm_mutex);
    commit_add(-(s64)g->reserved);
    kfree(g);
}

static const struct file_ops segment_ops = {.release = released};

bool shm_is_segment(const struct file *f) { return f && f->ops == &segment_ops; }

/* Room for one index more than `least`. -ENOMEM. */
static int make_room(unsigned least) {
    unsigned wanted = room ? room : ROOM_FIRST;
    while (wanted <= least)
        wanted *= 2;
    if (wanted == room)
        return 0;
    struct segment **more = kzalloc(wanted * sizeof(struct segment *));
    if (!more)
        return -ENOMEM;
    memcpy(more, segments, room * sizeof(struct segment *));
    kfree(segments);
    segments = more;
    room = wanted;
    return 0;
}

/* The next free index of the cycle, with its sequence; -ENOSPC, -ENOMEM. */
static int next_index(void) {
    int cycle = min(max(used * 3 / 2, CYCLE), (int)shm_segments_most), index = -ENOSPC;
    for (int i = 1; i <= cycle && index < 0; i++)
        if (!at_index((last_index + i) % cycle))
            index = (last_index + i) % cycle;
    if (index < 0 || used >= (int)shm_segments_most)
        return -ENOSPC;
    int error = make_room(index);
    if (error)
        return error;
    if (index <= last_index)
        sequence = (sequence + 1) % SEQUENCES;
    last_index = index;
    return index;
}

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

/* A new segment, into the table; shm_mutex held. */
static long create(int key, size_t bytes, int flags) {
    u64 pages = page_align_up(bytes) >> PAGE_SHIFT;
    const struct credentials *c = cred_current();
    if (!bytes || bytes > shm_max)
        return -EINVAL;
    if (!pages || total_pages + pages < total_pages || total_pages + pages > shm_all)
        return -ENOSPC;
    if (flags & SHM_HUGETLB)
        return -ENOMEM; /* no huge pages are set aside */
    bool reserve = !(flags & SHM_NORESERVE) || commit_mode == COMMIT_NEVER;
    if (reserve && !commit_charge(process_current()->space, pages))
        return -ENOMEM;
    struct segment *g = kzalloc(sizeof(*g));
    struct file *f = g ? segment_file(g, key, bytes) : err_ptr(-ENOMEM);
    if (is_err(f)) {
        commit_add(reserve ? -(s64)pages : 0);
        kfree(g);
        return ptr_err(f);
    }
    int index = next_index();
    if (index < 0) {
        f->ops = NULL; /* not in the table: nothing to take out of it */
        file_put(f);
        kfree(g);
        commit_add(reserve ? -(s64)pages : 0);
        return index;
    }
    g->id = (int)(sequence << INDEX_BITS) | index;
    g->file = f;
    g->reserved = reserve ? pages : 0;
    if (reserve)
        f->inode->object.ops = &inode_pages_promised;
    g->stat = (struct shmid64_ds){
        .shm_perm = {.key = key,
                     .uid = c->euid,
                     .gid = c->egid,
                     .cuid = c->euid,
                     .cgid = c->egid,
                     .mode = flags & 0777,
                     .seq = (unsigned short)sequence},
        .shm_segsz = bytes,
        .shm_ctime = now_seconds(),
        .shm_cpid = process_current()->pid,
    };
    f->inode->ino = g->id; /* shows in /proc/PID/maps */
    segments[index] = g;
    used++;
    total_pages += pages;
    return g->id;
}

static struct segment *find_key(int key) {
    struct segment *g = NULL;
    for (unsigned i = 0; i < room && !g; i++)
        if (segments[i] && segments[i]->stat.shm_perm.key == key)
            g = segments[i];
    return g;
}

long shm_get(int key, size_t bytes, int flags) {
    long result;
    mutex_lock(&shm_mutex);
    struct segment *g = key == IPC_PRIVATE ? NULL : find_key(key);
    if (!g)
        result = key == IPC_PRIVATE || (flags & IPC_CREAT) ? create(key, bytes, flags) : -ENOENT;
    else if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
        result = -EEXIST;
    else if (g->stat.shm_segsz < bytes)
        result = -EINVAL;
    else
        result = may(g, flags) ? g->id : -EACCES;
    mutex_unlock(&shm_mutex);
    return result;
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
    struct file *f = err_ptr(-EINVAL);
    mutex_lock(&shm_mutex);
    struct segment *g = find(id);
    if (g && !may(g, mask)) {
        f = err_ptr(-EACCES);
    } else if (g && hold(g)) {
        f = g->file;
        *bytes = g->stat.shm_segsz;
    }
    mutex_unlock(&shm_mutex);
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
    mutex_lock(&shm_mutex);
    *(attached ? &g->stat.shm_atime : &g->stat.shm_dtime) = now_seconds();
    g->stat.shm_lpid = process_current() ? process_current()->pid : 0;
    mutex_unlock(&shm_mutex);
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
    return hold(g) ? g->file : NULL;
}

long shm_stat(int id, int command, struct shmid64_ds *out) {
    struct file *f = NULL;
    long result = command == IPC_STAT ? 0 : -EINVAL;
    mutex_lock(&shm_mutex);
    struct segment *g = command == IPC_STAT ? find(id) : at_index(id);
    if (!g)
        result = -EINVAL;
    else if (command != SHM_STAT_ANY && !may(g, 0444))
        result = -EACCES;
    else
        result = command == IPC_STAT ? 0 : g->id;
    if (result >= 0)
        f = look(g, out);
    mutex_unlock(&shm_mutex);
    if (f) {
        out->shm_nattch = attaches(f);
        file_put(f);
    }
    return result;
}

/* The segment, for who may change it. shm_mutex held. err_ptr. */
static struct segment *own(int id) {
    struct segment *g = find(id);
    if (!g)
        return err_ptr(-EINVAL);
    return owns(g) || capable(CAP_SYS_ADMIN) ? g : err_ptr(-EPERM);
}

long shm_set(int id, const struct ipc64_perm *from) {
    mutex_lock(&shm_mutex);
    struct segment *g = own(id);
    long result = is_err(g) ? ptr_err(g) : from->uid == ~0u || from->gid == ~0u ? -EINVAL : 0;
    if (!result) {
        g->stat.shm_perm.uid = from->uid;
        g->stat.shm_perm.gid = from->gid;
        g->stat.shm_perm.mode = (g->stat.shm_perm.mode & ~0777u) | (from->mode & 0777);
        g->stat.shm_ctime = now_seconds();
    }
    mutex_unlock(&shm_mutex);
    return result;
}

long shm_remove(int id) {
    struct file *drop = NULL;
    mutex_lock(&shm_mutex);
    struct segment *g = own(id);
    long result = is_err(g) ? ptr_err(g) : 0;
    if (!result && !(g->stat.shm_perm.mode & SHM_DEST)) {
        g->stat.shm_perm.mode |= SHM_DEST;
        g->stat.shm_perm.key = IPC_PRIVATE; /* found by its number only */
        drop = g->file;
    }
    mutex_unlock(&shm_mutex);
    if (drop)
        file_put(drop);
    return result;
}

long shm_lock(int id, bool lock) {
    long result = 0;
    mutex_lock(&shm_mutex);
    struct segment *g = find(id);
    if (!g)
        result = -EINVAL;
    else if (!capable(CAP_IPC_LOCK) && (!owns(g) || (lock && !process_current()->limits[RLIMIT_MEMLOCK].rlim_cur)))
        result = -EPERM;
    else if (lock)
        g->stat.shm_perm.mode |= SHM_LOCKED;
    else
        g->stat.shm_perm.mode &= ~(u32)SHM_LOCKED;
    if (!result)
        atomic_store(&g->file->vm.object->locked, lock);
    mutex_unlock(&shm_mutex);
    return result;
}

void shm_usage(struct shm_use *out) {
    *out = (struct shm_use){.highest = -1};
    mutex_lock(&shm_mutex);
    out->used = used;
    out->pages = total_pages;
    for (unsigned i = 0; i < room; i++)
        if (segments[i]) {
            out->highest = i;
            out->resident += atomic_load(&segments[i]->file->vm.object->cached);
            out->swapped += atomic_load(&segments[i]->file->vm.object->swapped);
        }
    mutex_unlock(&shm_mutex);
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
    for (unsigned i = 0; i < atomic_load(&room); i++) {
        struct shmid64_ds d;
        int id = 0;
        mutex_lock(&shm_mutex);
        struct segment *g = at_index(i);
        struct file *f = g ? look(g, &d) : NULL;
        id = g ? g->id : 0;
        mutex_unlock(&shm_mutex);
        if (!f)
            continue;
        d.shm_nattch = attaches(f);
        show(t, &d, id, f->vm.object);
        file_put(f);
    }
    return 0;
}
