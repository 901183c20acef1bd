/* tree_data.c - contents of the files in memory: pages that are read from a lower, written, cut and punched (tree.h).
 *
 * There is no copying up. A page below lower_bytes that is not cached is the lower's; above it is zeroes. A page once
 * written is dirty, and an overlay's dirty pages have no other home, so they stay in memory or go to the swap area
 * (vm/evict.c); a clean one may be dropped and is read again. So a write costs the pages it touches, of a file of any
 * size.
 *
 * inode.lock is held by who writes or resizes. Readers hold nothing: a page is whole, the size is read atomically. */
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "fs/inode.h"
#include "fs/io.h"
#include "fs/open.h"
#include "fs/tree.h"
#include "task/task.h"
#include "vm/commit.h"
#include "vm/radix.h"
#include "vm/space.h"

static struct tree_inode *of_object(struct object *o) { return container_of(o, struct tree_inode, inode.object); }

static u64 size_of(struct tree_inode *ti) { return atomic_load(&ti->inode.object.size); }

/* Filling pages from the lower. */

static int fill(struct object *o, u64 index, struct frame **frames, unsigned count) {
    struct tree_inode *ti = of_object(o);
    struct lower *l = tree_of(&ti->inode)->lower;
    u64 bytes = atomic_load(&ti->lower_bytes), end = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
    unsigned below = index >= end ? 0 : (unsigned)min((u64)count, end - index);
    int error = below ? l->ops->read(l, ti->lower, index, frames, below) : 0;

    if (error)
        return error;
    if (below && index + below == end && bytes % PAGE_SIZE)
        memset((char *)frame_va(frames[below - 1]) + bytes % PAGE_SIZE, 0, PAGE_SIZE - bytes % PAGE_SIZE);
    for (unsigned n = below; n < count; n++)
        memset(frame_va(frames[n]), 0, PAGE_SIZE);
    return 0;
}

const struct object_ops tree_layered_pages = {.fill = fill};
const struct object_ops tree_through_pages = {.fill = fill, .write_back = through_write_back};

/* Opening. */

static int tree_open(struct inode *inode, struct file *f) {
    struct tree_inode *ti = tree_inode(inode);
    struct tree *t = tree_of(inode);
    int error = 0;

    if (!ti->lower)
        return 0;
    if (t->mode == TREE_THROUGH)
        return through_open(ti, f);
    /* A file whose contents the lower will not show cannot be opened; one that is all memory by now can. */
    if (ti->lower_bytes && !(f->flags & O_TRUNC) && !(ti->flags & TREE_INODE_READABLE)) {
        error = t->lower->ops->open ? t->lower->ops->open(t->lower, ti->lower, false) : 0;
        if (!error)
            atomic_or(&ti->flags, TREE_INODE_READABLE);
    }
    return error;
}

static void tree_release(struct file *f) {
    if (tree_of(f->inode)->mode == TREE_THROUGH)
        through_release(tree_inode(f->inode));
}

/* Reading. */

static bool is_hole(struct tree_inode *ti, u64 index) { return index << PAGE_SHIFT >= atomic_load(&ti->lower_bytes); }

/* Bytes put, less than wanted only after a fault; -errno when the page cannot be had. */
static ssize_t read_page(struct vm_file *f, struct tree_inode *ti, struct iov *to, u64 position, size_t bytes) {
    u64 index = position >> PAGE_SHIFT;
    struct frame *frame = object_peek(&ti->inode.object, index);
    ssize_t done;

    if (!frame && is_hole(ti, index) && !object_has(&ti->inode.object, index))
        return (ssize_t)iov_zero(to, bytes);
    if (!frame) {
        int error = object_read_for(f, index, HABIT_NORMAL, &frame);
        if (error)
            return error;
    }
    done = (ssize_t)iov_put(to, (char *)frame_va(frame) + position % PAGE_SIZE, bytes);
    frame_unpin(frame);
    return done;
}

static ssize_t tree_read(struct file *f, struct iov *to, u64 *position) {
    struct tree_inode *ti = tree_inode(f->inode);
    size_t done = 0;
    ssize_t n = 0;

    while (to->bytes) {
        u64 size = size_of(ti);
        if (*position >= size)
            break;
        size_t here = (size_t)min(min((u64)to->bytes, size - *position), PAGE_SIZE - *position % PAGE_SIZE);
        n = read_page(&f->vm, ti, to, *position, here);
        if (n > 0) {
            done += (size_t)n;
            *position += (u64)n;
        }
        if (n == -ENODATA) { /* it has been cut meanwhile: as the size says now */
            n = 0;
            continue;
        }
        if (n < (ssize_t)here) {
            n = n < 0 ? n : -EFAULT;
            break;
        }
    }
    if (!(f->flags & O_NOATIME))
        inode_accessed(f->inode);
    return done ? (ssize_t)done : n < 0 ? n : 0;
}

/* Writing. */

static ssize_t write_page(struct tree_inode *ti, struct iov *from, u64 position, size_t bytes) {
    struct object *o = &ti->inode.object;
    u64 index = position >> PAGE_SHIFT;
    /* A whole page past the end, and past what the lower can fill: nobody sees what it holds before the size says so.
     */
    bool fresh = bytes == PAGE_SIZE && position >= size_of(ti) && is_hole(ti, index) && !object_has(o, index);
    struct frame *frame;
    int error;

    if (unlikely(tree_memory_full()) && !object_has(o, index))
        return -ENOSPC;
    error = object_get(o, index, fresh ? OBJECT_OVERWRITE : OBJECT_WRITE, &frame);
    if (error)
        return error == -ENOMEM ? -ENOSPC : error;
    ssize_t done = (ssize_t)iov_take(from, (char *)frame_va(frame) + position % PAGE_SIZE, bytes);
    if (fresh && done < (ssize_t)bytes)
        memset((char *)frame_va(frame) + done, 0, PAGE_SIZE - (size_t)done);
    frame_unpin(frame);
    return done;
}

static void set_size(struct tree_inode *ti, u64 bytes) {
    struct object *o = &ti->inode.object;

    mutex_lock(&o->mutex);
    object_resize(o, bytes);
    mutex_unlock(&o->mutex);
}

ssize_t tree_take_to_pages(struct tree_inode *ti, struct iov *from, u64 position, size_t bytes) {
    size_t done = 0;
    ssize_t n = 0;

    while (done < bytes) {
        u64 at = position + done;
        size_t here = min(bytes - done, PAGE_SIZE - at % PAGE_SIZE);
        n = write_page(ti, from, at, here);
        done += n > 0 ? (size_t)n : 0;
        if (n < (ssize_t)here) {
            n = n < 0 ? n : -EFAULT;
            break;
        }
    }
    if (done && position + done > size_of(ti))
        set_size(ti, position + done);
    return done ? (ssize_t)done : n;
}

/* How many of `bytes` may be written at `position`: -EFBIG (with its signal), -EPERM by a seal. */
static ssize_t write_limit(struct tree_inode *ti, u64 position, size_t bytes) {
    struct process *p = process_current();
    u64 limit = p ? p->limits[RLIMIT_FSIZE].rlim_cur : ~0UL;

    if (ti->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    /* As Linux, which asks page by page: of the page in which the file ends nothing is written, or all that was wanted.
     */
    if ((ti->seals & F_SEAL_GROW) && position + bytes > size_of(ti)) {
        u64 whole = size_of(ti) & PAGE_MASK;
        if (position >= whole)
            return -EPERM;
        bytes = whole - position;
    }
    if (position >= limit) {
        signal_task(task_current(), SIGXFSZ, NULL);
        return -EFBIG;
    }
    limit = min(limit, ~0UL >> 1);
    if (position >= limit)
        return -EFBIG;
    return (ssize_t)min((u64)bytes, limit - position);
}

static ssize_t tree_write(struct file *f, struct iov *from, u64 *position) {
    struct tree_inode *ti = tree_inode(f->inode);
    ssize_t n;

    if (!from->bytes)
        return 0;
    mutex_lock(&ti->inode.lock);
    if (f->flags & O_APPEND || from->flags & RWF_APPEND)
        *position = size_of(ti);
    n = write_limit(ti, *position, from->bytes);
    if (n > 0) {
        size_t all = from->bytes;
        size_t allowed = (size_t)n;
        inode_drop_privileges(&ti->inode);
        tree_changed(ti);
        from->bytes = allowed;
        n = tree_of(&ti->inode)->mode == TREE_THROUGH ? through_write(ti, from, *position)
                                                      : tree_take_to_pages(ti, from, *position, allowed);
        from->bytes += all - allowed;
    }
    if (n > 0) {
        *position += (u64)n;
        inode_touch(&ti->inode, true);
    }
    mutex_unlock(&ti->inode.lock);
    return n;
}

/* Sizes and holes. */

static int resize_pages(struct tree_inode *ti, u64 bytes) {
    struct object *o = &ti->inode.object;
    struct frame *tail = NULL;
    int error = 0;

    mutex_lock(&o->mutex);
    if (tree_of(&ti->inode)->mode != TREE_THROUGH) /* else the lower has done its part, and has the page */
        error = object_hold_tail(o, bytes, &tail);
    if (!error && bytes < ti->lower_bytes)
        atomic_store(&ti->lower_bytes, bytes);
    if (!error)
        object_resize(o, bytes);
    mutex_unlock(&o->mutex);
    if (tail)
        frame_unpin(tail);
    return error;
}

int tree_resize(struct inode *inode, u64 bytes) {
    struct tree_inode *ti = tree_inode(inode);
    u64 size = size_of(ti);
    int error = 0;

    if ((bytes < size && (ti->seals & F_SEAL_SHRINK)) || (bytes > size && (ti->seals & F_SEAL_GROW)))
        return -EPERM;
    mutex_lock(&inode->object.storing); /* a page past the new end would make the lower's file longer again */
    if (tree_of(inode)->mode == TREE_THROUGH)
        error = through_resize(ti, bytes);
    if (!error) {
        tree_changed(ti);
        error = resize_pages(ti, bytes);
    }
    mutex_unlock(&inode->object.storing);
    if (!error)
        inode_touch(inode, true);
    return error;
}

/* Zero part of one page, which exists afterwards. */
static int zero_part(struct tree_inode *ti, u64 start, u64 end) {
    struct frame *frame;
    bool whole = end - start == PAGE_SIZE;
    int error = object_get(&ti->inode.object, start >> PAGE_SHIFT, whole ? OBJECT_OVERWRITE : OBJECT_WRITE, &frame);

    if (!error) {
        memset((char *)frame_va(frame) + start % PAGE_SIZE, 0, end - start);
        frame_unpin(frame);
    }
    return error == -ENOMEM ? -ENOSPC : error;
}

/* Make [start, end) read as zeroes. Pages that the lower would give back are kept as pages of zeroes. */
static int punch(struct tree_inode *ti, u64 start, u64 end) {
    struct object *o = &ti->inode.object;
    u64 first = page_align_up(start), past = end & PAGE_MASK;
    int error = 0;

    end = min(end, page_align_up(size_of(ti)));
    past = min(past, page_align_up(end));
    if (start >= end)
        return 0;
    if (start < first && (!is_hole(ti, start >> PAGE_SHIFT) || object_has(o, start >> PAGE_SHIFT)))
        error = zero_part(ti, start, min(first, end));
    if (!error && past < end && past >= first &&
        (!is_hole(ti, past >> PAGE_SHIFT) || object_has(o, past >> PAGE_SHIFT)))
        error = zero_part(ti, past, end);
    for (u64 at = first; !error && at < past && at < ti->lower_bytes; at += PAGE_SIZE) {
        error = zero_part(ti, at, at + PAGE_SIZE);
        first = at + PAGE_SIZE;
    }
    if (!error && first < past) {
        mutex_lock(&o->mutex);
        object_punch(o, first >> PAGE_SHIFT, past >> PAGE_SHIFT);
        mutex_unlock(&o->mutex);
    }
    return error;
}

/* Pages of zeroes where a file that lives only in memory has none yet. Whether they may all be promised is asked first;
 * a failure after that leaves those made so far. */
static int make_pages(struct tree_inode *ti, u64 start, u64 end) {
    struct object *o = &ti->inode.object;
    u64 first = start >> PAGE_SHIFT, past = page_align_up(end) >> PAGE_SHIFT, missing = 0;
    struct frame *frame;
    int error = 0;

    if (past - first > frame_count / 2) /* as much as files in memory may have */
        return -ENOSPC;
    for (u64 i = first; i < past; i++)
        missing += !object_has(o, i);
    if (!o->ops->promise(missing))
        return -ENOSPC;
    commit_add(-(s64)missing); /* each asks again as it comes */
    for (u64 i = first; i < past && !error; i++) {
        error = tree_memory_full() ? -ENOSPC : object_get(o, i, OBJECT_WRITE, &frame);
        if (!error)
            frame_unpin(frame);
    }
    return error == -ENOMEM ? -ENOSPC : error;
}

/* Before any page is made. Files in memory are asked even if they are not to grow, as on Linux. */
static int may_allocate(struct tree_inode *ti, int mode, u64 end) {
    int error = 0;

    if (mode & FALLOC_FL_PUNCH_HOLE)
        return 0;
    if (!(mode & FALLOC_FL_KEEP_SIZE) || ti->inode.object.ops->promise)
        error = inode_may_grow(&ti->inode, end);
    return !error && (ti->seals & F_SEAL_GROW) && end > size_of(ti) ? -EPERM : error;
}

static int tree_fallocate(struct file *f, int mode, u64 offset, u64 bytes) {
    struct tree_inode *ti = tree_inode(f->inode);
    bool zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE), through;
    u64 end = offset + bytes;
    int error = 0;

    through = tree_of(f->inode)->mode == TREE_THROUGH;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        return -EOPNOTSUPP;
    mutex_lock(&ti->inode.lock);
    if (zeroes && (ti->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
        error = -EPERM;
    if (!error)
        error = may_allocate(ti, mode, end);
    if (!error)
        tree_changed(ti);
    if (!error && zeroes)
        error = through ? through_zero(ti, offset, min(end, size_of(ti))) : punch(ti, offset, end);
    if (!error && !(mode & FALLOC_FL_PUNCH_HOLE) && ti->inode.object.ops->promise)
        error = make_pages(ti, offset, end);
    if (!error && !(mode & FALLOC_FL_KEEP_SIZE) && end > size_of(ti))
        error = tree_resize(&ti->inode, end);
    if (!error)
        inode_touch(&ti->inode, zeroes);
    mutex_unlock(&ti->inode.lock);
    return error;
}

/* The first byte >= from that is data, or ~0. */
static u64 next_data(struct tree_inode *ti, u64 from) {
    struct object *o = &ti->inode.object;
    u64 index;

    if (from < atomic_load(&ti->lower_bytes))
        return from;
    spin_lock(&o->lock);
    index = radix_next(&o->tree, from >> PAGE_SHIFT, NULL);
    spin_unlock(&o->lock);
    return index == RADIX_NONE ? ~0UL : max(from, index << PAGE_SHIFT);
}

static u64 next_hole(struct tree_inode *ti, u64 from) {
    struct object *o = &ti->inode.object;
    u64 at = max(from, atomic_load(&ti->lower_bytes)), index = at >> PAGE_SHIFT;
    bool cached = true;

    while (cached) {
        /* A bounded number of steps for one hold of the lock. */
        spin_lock(&o->lock);
        for (unsigned n = 0; cached && n < 64; n++) {
            cached = radix_find(&o->tree, index) != NULL;
            index += cached;
        }
        spin_unlock(&o->lock);
    }
    return max(at, index << PAGE_SHIFT);
}

static s64 tree_seek(struct file *f, s64 offset, int whence) {
    struct tree_inode *ti = tree_inode(f->inode);
    s64 size = (s64)size_of(ti), to;

    switch (whence) {
    case SEEK_SET:
        to = offset;
        break;
    case SEEK_CUR:
        if (__builtin_add_overflow((s64)f->position, offset, &to))
            return -EINVAL;
        break;
    case SEEK_END:
        if (__builtin_add_overflow(size, offset, &to))
            return -EINVAL;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        if (offset < 0 || offset >= size)
            return -ENXIO;
        if (whence == SEEK_DATA) {
            u64 data = next_data(ti, (u64)offset);
            if (data >= (u64)size)
                return -ENXIO;
            to = (s64)data;
        } else {
            to = (s64)min(next_hole(ti, (u64)offset), (u64)size);
        }
        break;
    default:
        return -EINVAL;
    }
    if (to < 0)
        return -EINVAL;
    f->position = (u64)to;
    return to;
}

static int tree_map(struct file *f, u32 view_flags, u64 offset, u64 bytes) {
    struct tree_inode *ti = tree_inode(f->inode);

    if ((view_flags & VIEW_SHARED) && (f->mode & FILE_WRITE)) {
        if ((ti->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) && (view_flags & VIEW_WRITE))
            return -EPERM;
        tree_changed(ti); /* a store through the mapping tells nobody */
    }
    inode_accessed(f->inode);
    return 0;
}

static bool is_memory_file(const struct file *f) {
    return f->ops == &tree_file_ops && tree_of(f->inode)->mode == TREE_MEMORY;
}

long tree_get_seals(struct file *f) {
    struct tree_inode *ti = tree_inode(f->inode);

    if (!is_memory_file(f))
        return -EINVAL;
    return ti->flags & TREE_INODE_SEALABLE ? ti->seals : F_SEAL_SEAL;
}

long tree_add_seals(struct file *f, u32 seals) {
    const u32 known = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    struct tree_inode *ti = tree_inode(f->inode);
    long error = 0;

    if (!is_memory_file(f) || (seals & ~known))
        return -EINVAL;
    if (!(f->mode & FILE_WRITE) || !(ti->flags & TREE_INODE_SEALABLE))
        return -EPERM;
    mutex_lock(&ti->inode.lock);
    if (ti->seals & F_SEAL_SEAL)
        error = -EPERM;
    else if ((seals & F_SEAL_WRITE) && atomic_load(&ti->inode.object.writable_shared))
        error = -EBUSY;
    else
        ti->seals |= seals;
    mutex_unlock(&ti->inode.lock);
    return error;
}

static int tree_fsync(struct file *f, bool data_only) {
    struct tree_inode *ti = tree_inode(f->inode);
    struct tree *t = tree_of(f->inode);
    int error;

    if (t->mode != TREE_THROUGH)
        return 0;
    error = object_sync_file(&f->vm, 0, ~0UL >> PAGE_SHIFT);
    if (!error && t->lower->ops->fsync)
        error = t->lower->ops->fsync(t->lower, ti->lower, data_only);
    return error;
}

/* Always ready, as poll(2) has it for files: no poll function says so. */
const struct file_ops tree_file_ops = {
    .open = tree_open,
    .release = tree_release,
    .read = tree_read,
    .write = tree_write,
    .seek = tree_seek,
    .fsync = tree_fsync,
    .map = tree_map,
    .fallocate = tree_fallocate,
};
