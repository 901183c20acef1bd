/* proc_frames.c - /proc/{kpagecount, kpageflags}: a word a frame of memory, by frame number, as
 * Documentation/admin-guide/mm/pagemap of Linux describes them. Reading shows each frame as it is at that instant. */
#include <linux/kernel-page-flags.h>

#include "fs/io.h"
#include "fs/proc.h"
#include "vm/frame.h"
#include "vm/space.h"

#define BIT(n) (1UL << (n))

static u64 flags_of(struct frame *f) {
    u64 flags = 0;
    bool mapped = atomic_load_relaxed(&f->mapped) != 0;
    u8 own = atomic_load_relaxed(&f->flags);
    switch (f->class) {
    case FRAME_FREE:
        return own & FRAME_LISTED ? BIT(KPF_BUDDY) : 0;
    case FRAME_RESERVED:
        return own & FRAME_ERROR ? BIT(KPF_HWPOISON) : BIT(KPF_NOPAGE);
    case FRAME_SLAB:
        return BIT(KPF_SLAB);
    case FRAME_TABLE:
        return BIT(KPF_PGTABLE);
    case FRAME_ANON:
        flags = BIT(KPF_ANON) | BIT(KPF_SWAPBACKED);
        break;
    case FRAME_SHMEM:
        flags = BIT(KPF_SWAPBACKED);
        break;
    case FRAME_FILE:
        break;
    default:
        return f == zero_frame ? BIT(KPF_ZERO_PAGE) : 0; /* the kernel's own: no flag says more */
    }
    flags |= BIT(KPF_LRU) | (mapped ? BIT(KPF_MMAP) : 0);
    flags |= own & FRAME_DIRTY ? BIT(KPF_DIRTY) : 0;
    flags |= own & FRAME_REFERENCED ? BIT(KPF_REFERENCED) : 0;
    flags |= own & FRAME_FILLING ? BIT(KPF_LOCKED) : BIT(KPF_UPTODATE);
    flags |= own & FRAME_ERROR ? BIT(KPF_ERROR) : 0;
    return flags;
}

static ssize_t read_words(struct iov *to, u64 *position, u64 (*word_of)(struct frame *)) {
    ssize_t done = 0;
    if (*position % sizeof(u64) || to->bytes % sizeof(u64))
        return -EINVAL;
    while (to->bytes && *position / sizeof(u64) < frame_count) {
        u64 word = word_of(&frames[*position / sizeof(u64)]);
        if (iov_put(to, &word, sizeof(word)) != sizeof(word))
            return done ? done : -EFAULT;
        *position += sizeof(word);
        done += sizeof(word);
    }
    return done;
}

static ssize_t count_read(struct file *f, struct iov *to, u64 *position) {
    return read_words(to, position, frame_seen);
}
static ssize_t flags_read(struct file *f, struct iov *to, u64 *position) { return read_words(to, position, flags_of); }

static s64 words_seek(struct file *file, s64 offset, int whence) {
    s64 to = whence == 1 /* SEEK_CUR */ ? (s64)file->position + offset : offset;
    if (whence > 1 || to < 0)
        return -EINVAL;
    file->position = to;
    return to;
}

const struct file_ops proc_kpagecount_ops = {.read = count_read, .seek = words_seek};
const struct file_ops proc_kpageflags_ops = {.read = flags_read, .seek = words_seek};
