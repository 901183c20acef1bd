/* madvise.c - advice about memory: madvise(2), process_madvise(2), process_mrelease(2).
 *
 * Each advice is a line of a table: what it refuses, what it changes. What has to do with files (REMOVE, WILLNEED)
 * walks the mappings here, since vm/ knows no file system. */
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/mman.h>
#include <linux/uio.h>
#include <linux/userfaultfd.h>

#include "fs/file.h"
#include "fs/pidfd.h"
#include "fs/synth.h"
#include "fs/userfault.h"
#include "sys/mm.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/frame.h"
#include "vm/slab.h"
#include "vm/space.h"
#include "vm/watch.h"

#define LOCKED_MAPPING (VIEW_LOCKED | VIEW_ONFAULT)

static int refuses_locked(const struct view *v) { return v->flags & VIEW_LOCKED ? -EINVAL : 0; }
static int refuses_files(const struct view *v) { return v->file ? -EINVAL : 0; }
static int refuses_files_and_locked(const struct view *v) {
    return v->file && v->file->object ? -EINVAL : refuses_locked(v);
}
static bool spares_shared(const struct view *v) { return v->flags & VIEW_SHARED; }

static const struct advice advices[] = {
    [MADV_NORMAL] = {.clear = VIEW_SEQUENTIAL | VIEW_RANDOM},
    [MADV_RANDOM] = {.set = VIEW_RANDOM, .clear = VIEW_SEQUENTIAL},
    [MADV_SEQUENTIAL] = {.set = VIEW_SEQUENTIAL, .clear = VIEW_RANDOM},
    [MADV_DONTNEED] = {.discard = true, .refuses = refuses_locked},
    [MADV_DONTNEED_LOCKED] = {.discard = true},
    [MADV_FREE] = {.pages = space_pages_free, .refuses = refuses_files_and_locked},
    [MADV_DONTFORK] = {.set = VIEW_DONTFORK},
    [MADV_DOFORK] = {.clear = VIEW_DONTFORK},
    [MADV_MERGEABLE] = {.set = VIEW_MERGEABLE, .spares = spares_shared},
    [MADV_UNMERGEABLE] = {.clear = VIEW_MERGEABLE},
    [MADV_HUGEPAGE] = {.set = VIEW_HUGE, .clear = VIEW_NOHUGE},
    [MADV_NOHUGEPAGE] = {.set = VIEW_NOHUGE, .clear = VIEW_HUGE},
    [MADV_DONTDUMP] = {.set = VIEW_DONTDUMP},
    [MADV_DODUMP] = {.clear = VIEW_DONTDUMP},
    [MADV_WIPEONFORK] = {.set = VIEW_WIPEONFORK, .refuses = refuses_files},
    [MADV_KEEPONFORK] = {.clear = VIEW_WIPEONFORK},
    [MADV_COLD] = {.refuses = refuses_locked, .pages = space_pages_cold},
    [MADV_PAGEOUT] = {.refuses = refuses_locked, .pages = space_pages_out},
};

static bool is_known(int advice) {
    switch (advice) {
    case MADV_NORMAL ... MADV_DONTNEED:
    case MADV_FREE ... MADV_COLLAPSE:
        return true;
    case MADV_HWPOISON:
    case MADV_SOFT_OFFLINE:
        return true;
    default:
        return false;
    }
}

/* ---- advice about files ---- */

static int remove_pages(const struct mapping *m) {
    const struct view *v = m->view;
    struct file *f = file_of_vm(v->file);
    if ((v->flags & VIEW_LOCKED) || !f)
        return -EINVAL;
    if (!(v->flags & VIEW_SHARED) || !(v->max_prot & VIEW_WRITE))
        return -EACCES;
    const struct file_ops *ops = f->ops->fallocate ? f->ops : f->inode->file_ops;
    if (!ops || !ops->fallocate)
        return -EOPNOTSUPP;
    return ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, m->offset, m->end - m->start);
}

/* Read what the mapping shows into memory, while that is not short. A page that cannot be read is nobody's error yet.
 */
static int read_ahead(const struct mapping *m) {
    struct object *o = m->view->file ? m->view->file->object : NULL;
    u64 index = m->offset >> PAGE_SHIFT;
    if (o)
        object_prefetch(o, index, index + ((m->end - m->start) >> PAGE_SHIFT));
    return 0;
}

/* What is dirty in files of the host can go once it is written back. An error is told to who asks for it (fsync). */
static int write_out(const struct mapping *m) {
    struct object *o = m->view->file && (m->view->flags & VIEW_SHARED) ? m->view->file->object : NULL;
    u64 index = m->offset >> PAGE_SHIFT;
    if (o && !(m->view->flags & VIEW_LOCKED))
        (void)object_sync(o, index, index + ((m->end - m->start) >> PAGE_SHIFT));
    return 0;
}

/* Every mapping of the range, cut to it; -ENOMEM at the end if there was a hole. */
static long each_mapping(struct space *s, u64 start, u64 end, int (*visit)(const struct mapping *m)) {
    struct mapping m;
    u64 at = start;
    bool hole = false;
    int error = 0;
    while (at < end && !error) {
        if (at >= USER_TOP || !space_walk(s, at, &m))
            return -ENOMEM;
        u64 next = m.end;
        hole |= m.start > at;
        if (m.start < end) {
            m.end = min(m.end, end);
            error = visit(&m);
        }
        space_walk_end(&m);
        at = next;
    }
    return error ? error : hole ? -ENOMEM : 0;
}

/* ---- making present ---- */

static long populate(struct space *s, u64 at, u64 end, bool write) {
    long error = 0;
    while (at < end && !error) {
        struct mapping m;
        bool found = at < USER_TOP && space_walk(s, at, &m);
        u64 stop = found ? min(m.end, end) : at;
        if (!found || m.start > at)
            error = -ENOMEM;
        else if (!(m.view->flags & (write ? VIEW_WRITE : VIEW_READ)))
            error = -EINVAL;
        else
            error = space_populate(s, at, stop - at, write);
        if (found)
            space_walk_end(&m);
        at = stop;
    }
    return error;
}

#define BLOCK (2 * MiB)
static bool has_block(struct space *s, const struct mapping *m) {
    const struct view *v = m->view;
    return align_up(m->start, BLOCK) + BLOCK <= m->end && !(v->file && v->file->object) && !(v->flags & VIEW_NOHUGE) &&
           !space_limits(s)->no_large;
}

/* Mapping by mapping: one with no room for an aligned block is an error. */
static long collapse(struct space *s, u64 at, u64 end) {
    long error = 0;
    bool hole = false;
    struct mapping m;
    while (at < end && !error) {
        if (at >= USER_TOP || !space_walk(s, at, &m))
            return -ENOMEM;
        u64 start = max(m.start, at), stop = min(m.end, end);
        hole |= m.start > at;
        if (start < end)
            error = has_block(s, &m) ? space_collapse(s, start, stop - start) : -EINVAL;
        at = m.end;
        space_walk_end(&m);
    }
    return error ? error : hole ? -ENOMEM : 0;
}

/* ---- frames out of use ---- */

static long offline_page(struct space *s, u64 at, bool poison) {
    if (space_fault(s, at, FAULT_READ) != FAULT_DONE)
        return -EFAULT;
    struct frame *f = space_pin(s, at);
    if (!f)
        return poison ? -EBUSY : -EIO; /* the zero frame, a device's */
    long error = frame_offline(f, poison);
    if (!error && !poison)
        (void)space_fault(s, at, FAULT_READ); /* what was there is there */
    return error;
}

static long offline(struct space *s, u64 start, u64 end, bool poison) {
    long error = capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
    for (u64 at = start; at < end && !error; at += PAGE_SIZE)
        error = offline_page(s, at, poison);
    return error;
}

/* Those who watch memory that is about to be empty, and want to know, know it before. */
static long tell_of_removal(struct space *s, u64 start, u64 end) {
    struct userfault_news news;
    long error = userfault_begin(&news, s, start, end, UFFD_FEATURE_EVENT_REMOVE);
    if (!error)
        userfault_removed(&news);
    return error;
}

static long advise(struct space *s, u64 start, u64 bytes, int advice) {
    long error;
    u64 size = page_align_up(bytes), end = start + size;
    if (!is_known(advice) || start % PAGE_SIZE || (bytes && !size) || end < start)
        return -EINVAL;
    if (!size)
        return 0;
    switch (advice) {
    case MADV_HWPOISON:
    case MADV_SOFT_OFFLINE:
        return offline(s, start, start + bytes, advice == MADV_HWPOISON);
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
        return populate(s, start, end, advice == MADV_POPULATE_WRITE);
    case MADV_COLLAPSE:
        return collapse(s, start, end);
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
    case MADV_REMOVE:
        error = space_is_watched(s) ? tell_of_removal(s, start, end) : 0;
        if (error)
            return error;
        return advice == MADV_REMOVE ? each_mapping(s, start, end, remove_pages)
                                     : space_advise(s, start, bytes, &advices[advice]);
    case MADV_WILLNEED:
        if (start < USER_TOP)
            space_pages_in(s, start >> PAGE_SHIFT, min(end, USER_TOP) >> PAGE_SHIFT);
        return each_mapping(s, start, end, read_ahead);
    case MADV_PAGEOUT:
        (void)each_mapping(s, start, min(end, USER_TOP), write_out);
        return space_advise(s, start, bytes, &advices[advice]);
    default:
        return space_advise(s, start, bytes, &advices[advice]);
    }
}

long sys_madvise(u64 address, u64 bytes, int advice) {
    return advise(process_current()->space, address, bytes, advice);
}

/* ---- other processes ---- */

static long advise_each(struct space *s, const struct iovec *v, u64 count, int advice) {
    long done = 0, error = 0;
    for (u64 i = 0; i < count && !error; i++) {
        error = advise(s, (u64)v[i].iov_base, v[i].iov_len, advice);
        done += error ? 0 : v[i].iov_len;
    }
    return done ? done : error;
}

static long advise_process(struct process *p, const struct iovec *v, u64 count, int advice) {
    if (advice != MADV_COLD && advice != MADV_PAGEOUT && advice != MADV_WILLNEED && advice != MADV_COLLAPSE)
        return -EINVAL;
    struct space *s = process_space(p);
    long result = !s ? -ESRCH : !may_inspect(p) ? -EACCES : !capable(CAP_SYS_NICE) ? -EPERM : 0;
    if (!result)
        result = advise_each(s, v, count, advice);
    if (s)
        space_put(s);
    return result;
}

long sys_process_madvise(int pidfd, const struct iovec __user *vector, u64 count, int advice, u32 flags) {
    struct iovec *v = NULL;
    if (flags)
        return -EINVAL;
    long result = vector_take(vector, count, true, &v);
    struct process *p = result ? NULL : pidfd_take(pidfd);
    if (is_err(p))
        result = ptr_err(p);
    if (!result)
        result = advise_process(p, v, count, advice);
    if (p && !is_err(p))
        process_put(p);
    kfree(v);
    return result;
}

/* A dying process gives its memory back by itself, without delay: there is nothing to hasten. */
long sys_process_mrelease(int pidfd, u32 flags) {
    if (flags)
        return -EINVAL;
    struct process *p = pidfd_take(pidfd);
    if (is_err(p))
        return ptr_err(p);
    struct space *s = process_space(p);
    long result = !s ? -ESRCH : p->exiting ? 0 : -EINVAL;
    if (s)
        space_put(s);
    process_put(p);
    return result;
}
