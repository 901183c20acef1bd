/* shm.c - the system calls on System V shared memory: shmget(2), shmat, shmdt, shmctl. The segments are fs/shm.c's. */
#include "fs/shm.h"
#include "sys/mm.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/space.h"

struct shm_info { /* of linux/shm.h, which needs a C library */
    int used_ids;
    u64 shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes;
};

long sys_shmget(int key, size_t bytes, int flags) { return shm_get(key, bytes, flags); }

/* Where, and how: shmat(2) with an address. */
static int place(u64 *address, int flags, struct map_request *r) {
    if (!*address)
        return flags & SHM_REMAP ? -EINVAL : 0;
    if (*address % PAGE_SIZE) {
        if (!(flags & SHM_RND))
            return -EINVAL;
        *address &= PAGE_MASK;
        if (!*address && (flags & SHM_REMAP))
            return -EINVAL;
    }
    r->how = flags & SHM_REMAP ? MAP_AT : MAP_AT_FREE;
    return 0;
}

long sys_shmat(int id, u64 address, int flags) {
    struct space *s = limited_space();
    struct map_request r = {.flags = VIEW_SHARED | VIEW_READ};
    u32 mask = 0444;
    int error = id < 0 ? -EINVAL : place(&address, flags, &r);
    if (error)
        return error;
    if (flags & SHM_RDONLY) {
        r.max_prot = VIEW_READ | VIEW_EXEC;
    } else {
        r.flags |= VIEW_WRITE;
        mask |= 0222;
    }
    if (flags & SHM_EXEC) {
        r.flags |= VIEW_EXEC;
        mask |= 0111;
    }
    struct file *f = shm_attach(id, mask, &r.bytes);
    if (is_err(f))
        return ptr_err(f);
    r.address = address;
    r.file = &f->vm;
    long result = r.how == MAP_AT_FREE && address + r.bytes < address ? -EINVAL : 0;
    if (!result) {
        space_info(s)->has_segments = true;
        result = space_map(s, &r);
        result = result == -EEXIST ? -EINVAL : result;
    }
    if (result >= 0)
        shm_note(s, result, result + r.bytes, true);
    file_put(f);
    return result;
}

/* The first piece of the segment that was attached at `address`: what of it is still there tells by its offset. */
static bool piece_from(struct space *s, u64 from, u64 address, const struct vm_file *only, struct mapping *m) {
    for (u64 at = from; space_walk(s, at, m); at = m->end) {
        const struct vm_file *file = m->view->file;
        if (m->start >= address && shm_is_segment(file_of_vm(m->view->file)) && m->start - address == m->offset &&
            (!only || only == file))
            return true;
        space_walk_end(m);
    }
    return false;
}

long sys_shmdt(u64 address) {
    struct space *s = process_current()->space;
    struct mapping m;
    const struct vm_file *file = NULL;
    u64 end = USER_TOP, at = address;
    if (address % PAGE_SIZE || address >= USER_TOP)
        return -EINVAL;
    while (at < end && piece_from(s, at, address, file, &m)) {
        bool within = m.end <= end;
        if (!file) {
            file = m.view->file;
            end = address + page_align_up(atomic_load(&file->object->size));
        }
        if (within) {
            shm_note(s, m.start, m.end, false);
            (void)space_unmap(s, m.start, m.end - m.start);
        }
        at = m.end;
        space_walk_end(&m);
    }
    return file ? 0 : -EINVAL;
}

static long info(void __user *out) {
    struct shm_use use;
    struct shminfo64 i = {
        .shmmax = shm_max, .shmmin = 1, .shmmni = shm_segments_most, .shmseg = shm_segments_most, .shmall = shm_all};
    shm_usage(&use);
    return copy_to_user(out, &i, sizeof(i)) ? -EFAULT : use.highest;
}

static long usage(void __user *out) {
    struct shm_use use;
    shm_usage(&use);
    struct shm_info i = {.used_ids = use.used, .shm_tot = use.pages, .shm_rss = use.resident, .shm_swp = use.swapped};
    return copy_to_user(out, &i, sizeof(i)) ? -EFAULT : use.highest;
}

long sys_shmctl(int id, int command, void __user *out) {
    struct shmid64_ds d = {0};
    long result;
    if (id < 0 || command < 0)
        return -EINVAL;
    switch (command) {
    case IPC_INFO:
        return info(out);
    case SHM_INFO:
        return usage(out);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        result = shm_stat(id, command, &d);
        return result >= 0 && copy_to_user(out, &d, sizeof(d)) ? -EFAULT : result;
    case IPC_SET:
        return copy_from_user(&d, out, sizeof(d)) ? -EFAULT : shm_set(id, &d.shm_perm);
    case IPC_RMID:
        return shm_remove(id);
    case SHM_LOCK:
    case SHM_UNLOCK:
        return shm_lock(id, command == SHM_LOCK);
    default:
        return -EINVAL;
    }
}
