/* mm.c - the system calls on memory: mmap(2) and its family. They check arguments and call the space. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <linux/userfaultfd.h>

#include "fs/file.h"
#include "fs/io.h"
#include "fs/vfs.h"
#include "fs/shm.h"
#include "fs/tree.h"
#include "fs/userfault.h"
#include "sys/mm.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/commit.h"
#include "vm/space.h"
#include "vm/watch.h"

/* What MAP_SHARED_VALIDATE knows: no file here has more. */
#define KNOWN_MAP_FLAGS                                                                                                \
    (MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |    \
     MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_UNINITIALIZED | MAP_HUGE_2MB |      \
     MAP_HUGE_1GB)

static struct space *space(void) { return process_current()->space; }

/* The limits that vm/ looks at follow the process's (setrlimit may have changed them). */
struct space *limited_space(void) {
    struct process *p = process_current();
    struct space_limits *l = space_limits(p->space);
    u64 capabilities = p->cred.cap_effective;
    l->address_space = p->limits[RLIMIT_AS].rlim_cur;
    const struct rlimit *data = &p->limits[RLIMIT_DATA];
    l->data = data->rlim_cur ? data->rlim_cur : data->rlim_max; /* 0 counts what there is, as on Linux */
    l->privileged = capabilities >> CAP_SYS_ADMIN & 1;
    l->low = capabilities >> CAP_SYS_RAWIO & 1;
    l->stack = p->limits[RLIMIT_STACK].rlim_cur;
    l->locked = capabilities >> CAP_IPC_LOCK & 1 ? ~0UL : p->limits[RLIMIT_MEMLOCK].rlim_cur;
    return p->space;
}

u32 view_prot(u64 prot) {
    return (prot & PROT_READ ? VIEW_READ : 0) | (prot & PROT_WRITE ? VIEW_WRITE : 0) |
           (prot & PROT_EXEC ? VIEW_EXEC : 0);
}

/* What a file allows: mmap(2), EACCES. */
static int check_file(struct file *f, struct map_request *r, u64 flags) {
    bool shared = flags & MAP_TYPE & MAP_SHARED;
    if (f->mode & FILE_PATH)
        return -EBADF;
    if (flags & MAP_HUGETLB)
        return -EINVAL; /* no file here has huge pages */
    if (!(f->mode & FILE_READ))
        return -EACCES;
    if (shared && (r->flags & VIEW_WRITE) &&
        (!(f->mode & FILE_WRITE) || (f->flags & O_APPEND && !(f->mode & FILE_WRITE))))
        return -EACCES;
    if (shared && !(f->mode & FILE_WRITE))
        r->max_prot = VIEW_READ | VIEW_EXEC;
    if (shared && tree_get_seals(f) > 0 && tree_get_seals(f) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        r->max_prot = VIEW_READ | VIEW_EXEC;
    if (f->ops->map)
        return f->ops->map(f, r->flags, r->offset, r->bytes);
    if (f->inode->super->made_when_read && (f->inode->mode & S_IFMT) == S_IFREG)
        return -ENODEV;
    return (f->inode->mode & S_IFMT) == S_IFREG || f->ops->maps_anonymous ? 0 : -ENODEV;
}

static int check_flags(u64 flags, u64 address, u64 bytes, u64 offset) {
    u64 type = flags & MAP_TYPE, size = flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
    if (offset & (PAGE_SIZE - 1))
        return -EINVAL;
    if ((flags & MAP_HUGETLB) && (flags & MAP_ANONYMOUS) && size && size != 21 && size != 30)
        return -EINVAL;
    if (!bytes || (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE))
        return -EINVAL;
    if ((flags & MAP_HUGETLB) && (flags & MAP_ANONYMOUS))
        return -ENOMEM; /* no huge pages are set aside: as Linux with nr_hugepages = 0 */
    if (type == MAP_SHARED_VALIDATE && (flags & MAP_ANONYMOUS))
        return -EINVAL; /* there is no file to validate the flags */
    if (type == MAP_SHARED_VALIDATE && (flags & ~(u64)KNOWN_MAP_FLAGS) && !(flags & MAP_HUGETLB))
        return -EOPNOTSUPP;
    if ((flags & MAP_GROWSDOWN) && (type != MAP_PRIVATE || !(flags & MAP_ANONYMOUS)))
        return -EINVAL;
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && address >= -4095UL)
        return (int)address; /* an odd address that Linux takes for an error of its own */
    return 0;
}

static void fill_request(struct map_request *r, u64 flags) {
    if (flags & MAP_TYPE & MAP_SHARED)
        r->flags |= VIEW_SHARED;
    if (flags & MAP_GROWSDOWN)
        r->flags |= VIEW_GROWSDOWN;
    if ((flags & MAP_NORESERVE) && commit_mode != COMMIT_NEVER)
        r->flags |= VIEW_NORESERVE;
    if (flags & MAP_LOCKED)
        r->flags |= VIEW_LOCKED;
    if (flags & MAP_SYNC)
        r->flags |= VIEW_SYNC;
    if ((r->flags & VIEW_PROT) == VIEW_EXEC)
        r->flags |= execute_only(space());
    if (flags & MAP_FIXED_NOREPLACE)
        r->how |= MAP_AT_FREE;
    else if (flags & MAP_FIXED)
        r->how |= MAP_AT;
    if ((flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
        r->how |= MAP_FILL;
    if (flags & MAP_32BIT)
        r->how |= MAP_BELOW_4G;
}

/* Shared anonymous memory is a file without a name, as on Linux (shmem_zero_setup). */
static struct file *shared_memory(struct space *s, u64 bytes, bool reserve) {
    return shm_reserved(s, "/dev/zero (deleted)", bytes, reserve);
}

/* What MAP_FIXED replaces goes. */
static long map_watched(struct space *s, const struct map_request *r) {
    struct userfault_news gone;
    if (likely(!(r->how & MAP_AT) || !space_is_watched(s)))
        return space_map(s, r);
    long result = userfault_begin(&gone, s, r->address, r->address + page_align_up(r->bytes), UFFD_FEATURE_EVENT_UNMAP);
    if (result)
        return result;
    result = space_map(s, r);
    (result < 0 ? userfault_cancel : userfault_unmapped)(&gone);
    return result;
}

static long map_any(u64 address, u64 bytes, u64 prot, u64 flags, int fd, u64 offset) {
    struct map_request r = {.address = address, .bytes = bytes, .flags = view_prot(prot), .offset = offset};
    struct file *f = NULL;
    long result = check_flags(flags, address, bytes, offset);
    if (!result && (flags & MAP_LOCKED) && !may_lock())
        result = -EPERM;
    if (result)
        return result;
    fill_request(&r, flags);
    if (!(flags & MAP_ANONYMOUS)) {
        f = fd_get(fd);
        if (!f)
            return -EBADF;
        result = check_file(f, &r, flags);
        if (!result && f->ops->maps_anonymous) /* /dev/zero */
            flags |= MAP_ANONYMOUS;
    }
    if (!result && (flags & MAP_ANONYMOUS))
        r.offset = f ? offset : 0; /* of /dev/zero it counts */
    if (!result && f && (flags & MAP_ANONYMOUS))
        f->vm.object = NULL; /* private memory in its name */
    if (!result && (flags & MAP_ANONYMOUS) && (r.flags & VIEW_SHARED)) {
        if (f)
            file_put(f);
        f = shared_memory(space(), page_align_up(bytes), !(r.flags & VIEW_NORESERVE));
        if (is_err(f))
            return ptr_err(f);
    }
    if (!result) {
        r.file = f ? &f->vm : NULL;
        result = map_watched(limited_space(), &r);
    }
    if (f)
        file_put(f);
    return result;
}

long sys_mmap(u64 address, u64 bytes, u64 prot, u64 flags, int fd, u64 offset) {
    bool plain = (flags & ~(u64)MAP_STACK) == (MAP_PRIVATE | MAP_ANONYMOUS) && view_prot(prot) != VIEW_EXEC;
    if (!plain || offset & (PAGE_SIZE - 1)) /* what an allocator asks for needs none of the questions below */
        return map_any(address, bytes, prot, flags, fd, offset);
    struct map_request r = {.address = address, .bytes = bytes, .flags = view_prot(prot)};
    return space_map(limited_space(), &r);
}

/* Those who watch what goes of [start, start + bytes) and want to know hear of it. */
static long unmap_watched(struct space *s, u64 start, u64 bytes) {
    struct userfault_news news;
    u64 end = start + page_align_up(bytes);
    long result = userfault_begin(&news, s, start, end, UFFD_FEATURE_EVENT_UNMAP);
    if (result)
        return result;
    result = space_unmap(s, start, bytes);
    if (result)
        userfault_cancel(&news);
    else
        userfault_unmapped(&news);
    return result;
}

long sys_munmap(u64 address, u64 bytes) {
    struct space *s = space();
    if (unlikely(space_info(s)->has_segments) && address % PAGE_SIZE == 0 && bytes <= USER_TOP &&
        address <= USER_TOP - bytes)
        shm_note(s, address, address + bytes, false);
    return unlikely(space_is_watched(s)) ? unmap_watched(s, address, bytes) : space_unmap(s, address, bytes);
}

static long brk_watched(struct space *s, u64 address) {
    struct userfault_news gone;
    u64 from = page_align_up(address), to = page_align_up(space_brk(s, 0));
    long result = userfault_begin(&gone, s, from, to, UFFD_FEATURE_EVENT_UNMAP);
    if (result)
        return space_brk(s, 0);
    result = space_brk(s, address);
    ((u64)result == address && from < to ? userfault_unmapped : userfault_cancel)(&gone);
    return result;
}

long sys_brk(u64 address) {
    struct space *s = limited_space();
    return unlikely(space_is_watched(s)) ? brk_watched(s, address) : space_brk(s, address);
}

/* What moves is told to who follows it; what goes at either place, to who wants to know that. */
static long remap_watched(struct space *s, u64 old, u64 old_bytes, u64 new_bytes, u32 how, u64 to) {
    struct userfault_news moved, gone, replaced;
    u64 end = old + page_align_up(old_bytes), kept = how & REMAP_DONT_UNMAP ? end : old;
    u64 to_end = how & REMAP_FIXED ? to + page_align_up(new_bytes) : to;
    long result = userfault_begin(&moved, s, old, old + 1, UFFD_FEATURE_EVENT_REMAP);
    if (result)
        return result;
    result = userfault_begin(&gone, s, kept, end, UFFD_FEATURE_EVENT_UNMAP);
    if (result) {
        userfault_cancel(&moved);
        return result;
    }
    result = userfault_begin(&replaced, s, to, to_end, UFFD_FEATURE_EVENT_UNMAP);
    if (result) {
        userfault_cancel(&gone);
        userfault_cancel(&moved);
        return result;
    }
    result = space_remap(s, old, old_bytes, new_bytes, how, to);
    bool failed = result < 0, still = result == (long)old;
    moved.end = end;
    gone.start = still ? old + page_align_up(new_bytes) : old;
    (failed ? userfault_cancel : userfault_unmapped)(&replaced);
    if (failed || still)
        userfault_cancel(&moved);
    else
        userfault_moved(&moved, result);
    (failed || gone.start >= end ? userfault_cancel : userfault_unmapped)(&gone);
    return result;
}

long sys_mremap(u64 old, u64 old_bytes, u64 new_bytes, u64 flags, u64 to) {
    u32 how = 0;
    if (flags & ~(u64)(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
        return -EINVAL;
    how |= flags & MREMAP_MAYMOVE ? REMAP_MAY_MOVE : 0;
    how |= flags & MREMAP_FIXED ? REMAP_FIXED : 0;
    how |= flags & MREMAP_DONTUNMAP ? REMAP_DONT_UNMAP : 0;
    struct space *s = limited_space();
    if (unlikely(space_is_watched(s)))
        return remap_watched(s, old, old_bytes, new_bytes, how, to);
    return space_remap(s, old, old_bytes, new_bytes, how, to);
}

long sys_mincore(u64 address, u64 bytes, u8 __user *vector) {
    struct space *s = space();
    u64 frame, pages = page_align_up(bytes) >> PAGE_SHIFT;
    struct iov to;

    if (address % PAGE_SIZE)
        return -EINVAL;
    if (address > USER_TOP || bytes > USER_TOP - address)
        return -ENOMEM;
    if ((u64)vector > USER_TOP || pages > USER_TOP - (u64)vector)
        return -EFAULT;
    iov_user(&to, vector, pages);
    for (u64 i = 0; i < pages; i++) {
        u32 state = space_present(s, address + (i << PAGE_SHIFT), &frame);
        u8 in_core = (state & (PAGE_PRESENT | PAGE_CACHED)) != 0;
        if (!(state & PAGE_MAPPED))
            return -ENOMEM;
        if (iov_put(&to, &in_core, 1) != 1)
            return -EFAULT;
    }
    return 0;
}

long sys_msync(u64 address, u64 bytes, int flags) {
    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || address % PAGE_SIZE || (flags & MS_ASYNC && flags & MS_SYNC))
        return -EINVAL;
    if (address + page_align_up(bytes) < address || page_align_up(bytes) < bytes)
        return page_align_up(bytes) ? -ENOMEM : 0; /* a length that rounds up to nothing is none */
    return space_sync(space(), address, bytes,
                      (flags & MS_SYNC ? SYNC_WRITE : 0) | (flags & MS_INVALIDATE ? SYNC_INVALIDATE : 0));
}

/* How much of [start, end) shows the object of the first mapping with its rights, without a hole. */
static bool shown_alike(struct space *s, const struct mapping *first, u64 end) {
    struct mapping m;
    u64 at = first->end;
    bool alike = true;
    while (alike && at < end) {
        if (!space_walk(s, at, &m))
            return false;
        alike = m.start == at && m.view == first->view;
        at = m.end;
        space_walk_end(&m);
    }
    return alike;
}

/* remap_file_pages(2), as Linux does it since 4.0: another mapping in place of the old. */
static long remap_pages(struct space *s, const struct mapping *m, u64 start, u64 bytes, u64 page, u64 flags) {
    const struct view *v = m->view;
    if (m->start > start || !(v->flags & VIEW_SHARED) || !(v->max_prot & VIEW_WRITE) ||
        !shown_alike(s, m, start + bytes))
        return -EINVAL;
    if (page > ~0UL >> PAGE_SHIFT)
        return -EOVERFLOW; /* its offset is no number of bytes */
    struct map_request r = {.address = start,
                            .bytes = bytes,
                            .flags = v->flags & (VIEW_PROT | VIEW_SHARED | VIEW_LOCKED | VIEW_KEY),
                            .max_prot = v->max_prot,
                            .how = MAP_AT | (flags & MAP_NONBLOCK ? 0 : MAP_FILL),
                            .file = v->file,
                            .offset = page << PAGE_SHIFT};
    long result = space_map(s, &r);
    return result < 0 ? result : 0;
}

long sys_remap_file_pages(u64 start, u64 bytes, u64 prot, u64 page, u64 flags) {
    struct space *s = limited_space();
    struct mapping m;
    start &= PAGE_MASK;
    bytes &= PAGE_MASK;
    if (prot || start + bytes <= start || page + (bytes >> PAGE_SHIFT) < page || start + bytes > USER_TOP)
        return -EINVAL;
    if (!space_walk(s, start, &m))
        return -EINVAL;
    long result = remap_pages(s, &m, start, bytes, page, flags);
    space_walk_end(&m);
    return result;
}
