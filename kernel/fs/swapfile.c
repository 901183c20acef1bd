/* swapfile.c - swap areas as programs see them: which device, under what name; and the header that mkswap(8) writes.
 *
 * Only block devices: a file of tmpfs or of a directory of the host cannot be swapped to, as on Linux, where neither
 * has blocks that could be written to without the file system (EINVAL).
 *
 * Locks: `changing` (sleeping) for one swapon or swapoff at a time; `listing` (sleeping, shorter) for the list that
 * /proc/swaps shows. Areas themselves are vm/area.c's. */
#include <linux/capability.h>
#include <linux/kdev_t.h>

#include "dev/swap.h"
#include "fs/blockdev.h"
#include "fs/path.h"
#include "fs/proc.h"
#include "fs/swapfile.h"
#include "lib/random.h"
#include "main.h"
#include "task/background.h"
#include "task/task.h"
#include "vm/commit.h"
#include "vm/machine.h"
#include "vm/slab.h"
#include "vm/zswap.h"

/* swapon(2)'s flags: of linux/swap.h, which needs the kernel's own headers. */
#define SWAP_FLAG_PREFER 0x8000
#define SWAP_FLAG_PRIO_MASK 0x7fff
#define SWAP_FLAG_DISCARD 0x10000       /* all of it now ... */
#define SWAP_FLAG_DISCARD_ONCE 0x20000  /* ... only that, ... */
#define SWAP_FLAG_DISCARD_PAGES 0x40000 /* ... only freed pages. Neither: both */
#define SWAP_FLAGS                                                                                                     \
    (SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK | SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_ONCE | SWAP_FLAG_DISCARD_PAGES)

/* The first page of an area, as mkswap writes it. */
#define BOOT_BYTES 1024
#define SIGNATURE "SWAPSPACE2"
#define SIGNATURE_BYTES (sizeof(SIGNATURE) - 1)
#define BAD_MOST ((PAGE_SIZE - SIGNATURE_BYTES - sizeof(struct header)) / sizeof(u32))
struct header {
    u8 boot[BOOT_BYTES];
    u32 version, last_page, bad_count;
    u8 uuid[16];
    char label[16];
    u32 padding[117];
    u32 bad[];
};
_Static_assert(sizeof(struct header) == 1536, "as in Linux's union swap_header");

struct swap_file {
    struct block_device *block; /* NULL: the compressed tier's own */
    struct swap_device *device; /* NULL: no such area */
    char name[64];
};
static struct swap_file files[AREAS_MOST]; /* by the number of the area */
static struct swap_device nothing_below;   /* the device of the compressed tier's own area (vm/area.h) */
static struct mutex changing = MUTEX_INIT(changing), listing = MUTEX_INIT(listing);

/* ---- the header ---- */

static bool is_signed(const struct header *h) {
    return !memcmp((const char *)h + PAGE_SIZE - SIGNATURE_BYTES, SIGNATURE, SIGNATURE_BYTES);
}

/* How many pages the area has; 0: it is none. */
static u64 pages_of(struct header *h, u64 device_pages) {
    if (!is_signed(h))
        return 0;
    if (h->version == __builtin_bswap32(1)) { /* written by a machine of the other byte order */
        h->version = 1;
        h->last_page = __builtin_bswap32(h->last_page);
        h->bad_count = __builtin_bswap32(h->bad_count);
        for (u32 i = 0; i < h->bad_count && i < BAD_MOST; i++)
            h->bad[i] = __builtin_bswap32(h->bad[i]);
    }
    u64 pages = (u64)h->last_page + 1;
    if (h->version != 1 || !h->last_page || pages > device_pages || h->bad_count > BAD_MOST)
        return 0;
    for (u32 i = 0; i < h->bad_count; i++)
        if (!h->bad[i] || h->bad[i] > h->last_page)
            return 0;
    return pages;
}

static void make_header(struct header *h, u64 device_pages) {
    memset(h, 0, PAGE_SIZE);
    h->version = 1;
    h->last_page = (u32)min(device_pages, SLOTS_MOST) - 1;
    random_bytes(h->uuid, sizeof(h->uuid));
    h->uuid[6] = (h->uuid[6] & 0x0f) | 0x40; /* version 4, variant 1: a random one */
    h->uuid[8] = (h->uuid[8] & 0x3f) | 0x80;
    memcpy((char *)h + PAGE_SIZE - SIGNATURE_BYTES, SIGNATURE, SIGNATURE_BYTES);
}

/* ---- on ---- */

/* The area begins; its device is claimed. */
static int begin(struct block_device *block, const char *name, int flags, struct header *h) {
    u64 pages = pages_of(h, block_bytes(block) >> PAGE_SHIFT);
    struct swap_device *d = pages ? swap_on_block(block) : NULL;
    if (!d)
        return pages ? -ENOMEM : -EINVAL;
    if ((flags & SWAP_FLAG_DISCARD) && !((flags & SWAP_FLAG_DISCARD_PAGES) && !(flags & SWAP_FLAG_DISCARD_ONCE)) &&
        d->discard)
        d->discard(d, 1, pages - 1);
    bool freed = (flags & SWAP_FLAG_DISCARD) && !(flags & SWAP_FLAG_DISCARD_ONCE) && d->discard && !discarder_start();
    mutex_lock(&listing);
    int area = area_add(d, pages, flags & SWAP_FLAG_PREFER ? flags & SWAP_FLAG_PRIO_MASK : -1, h->bad, h->bad_count);
    if (area >= 0) {
        files[area] = (struct swap_file){block, d, ""};
        ksnprintf(files[area].name, sizeof(files[area].name), "%s", name);
    }
    if (area >= 0 && freed)
        area_discards((unsigned)area);
    mutex_unlock(&listing);
    if (area < 0)
        swap_off_block(d);
    return area < 0 ? area : 0;
}

/* fresh: without a header it gets one. */
static int use(struct block_device *block, const char *name, int flags, bool fresh) {
    struct frame *page = frame_alloc(0, FRAME_KERNEL, 0);
    int error = page ? 0 : -ENOMEM;
    if (!error && !block_claim(block))
        error = -EBUSY;
    if (!error) {
        struct header *h = frame_va(page);
        error = block_transfer(block, false, 0, &page, 1);
        if (!error && fresh && !pages_of(h, block_bytes(block) >> PAGE_SHIFT)) {
            make_header(h, block_bytes(block) >> PAGE_SHIFT);
            error = block_transfer(block, true, 0, &page, 1);
        }
        if (!error)
            error = begin(block, name, flags, h);
        if (error)
            block_unclaim(block);
    }
    if (page)
        frame_free(page, 0);
    return error;
}

/* What open(2) for reading and writing would say, and which device it is. */
static int find_device(const struct path *path, struct block_device **out) {
    struct inode *inode = path_inode(path);
    u32 type = inode->mode & S_IFMT;
    *out = blockdev_of(inode);
    if (type == S_IFDIR)
        return -EISDIR;
    int error = inode_permission(inode, MAY_READ | MAY_WRITE);
    if (error)
        return error;
    if (type != S_IFBLK)
        return type == S_IFSOCK ? -ENXIO : -EINVAL;
    return !*out ? -ENXIO : block_read_only(*out) ? -EACCES : 0;
}

long swap_on(const char __user *name, int flags) {
    struct path path;
    struct block_device *block;
    char text[64];
    if (flags & ~SWAP_FLAGS)
        return -EINVAL;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    long error = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &path);
    if (error)
        return error;
    error = find_device(&path, &block);
    const char *full = error ? "" : path_string(&path, text, sizeof(text));
    mutex_lock(&changing);
    if (!error)
        error = use(block, is_err(full) ? "swap" : full, flags, false);
    mutex_unlock(&changing);
    path_put(&path);
    return error;
}

void swap_start(void) {
    struct block_device *block;
    for (unsigned n = 0; (block = block_find(n)); n++) {
        char name[] = "/dev/vda";
        name[sizeof(name) - 2] = (char)('a' + n);
        int error = block_read_only(block) ? -EROFS : use(block, name, 0, true);
        if (error)
            host_fail(125, "-s: swap area %u cannot be used: %lu bytes, error %d", n + 1,
                      (unsigned long)block_bytes(block), -error);
    }
}

/* ---- off ---- */

/* With the last free frames in sight it gives up: others need them, and nobody is to be killed for a swapoff. */
static int stop_or_go_on(void) {
    if (signal_pending())
        return -EINTR;
    if (!frame_available() && !vm_reclaim(SWAP_CLUSTER))
        return -ENOMEM;
    machine_breathe();
    return 0;
}

/* The pages must fit elsewhere, by what was promised. */
static int may_go(const struct swap_file *f) {
    struct area_state state;
    area_look((unsigned)(f - files), &state);
    if (!commit_charge(process_current()->space, state.slots))
        return -ENOMEM;
    commit_add(-(s64)state.slots);
    return 0;
}

static int end(struct swap_file *f) {
    unsigned area = (unsigned)(f - files);
    int error = may_go(f);
    bool gone = false;
    while (!error && !gone) {
        task_current()->lacks_alone = true;
        error = area_empty(area, stop_or_go_on);
        task_current()->lacks_alone = false;
        if (error)
            break;
        mutex_lock(&listing);
        gone = area_remove(area);
        if (gone && f->block) {
            swap_off_block(f->device);
            block_unclaim(f->block);
        }
        f->device = gone ? NULL : f->device;
        mutex_unlock(&listing);
    }
    return error;
}

long swap_off(const char __user *name) {
    struct path path;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    long error = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &path);
    if (error)
        return error;
    struct block_device *block;
    error = find_device(&path, &block);
    path_put(&path);
    if (error)
        return error;
    mutex_lock(&changing);
    struct swap_file *f = files;
    while (f < files + AREAS_MOST && !(f->device && f->block == block))
        f++;
    error = f < files + AREAS_MOST ? end(f) : -EINVAL;
    mutex_unlock(&changing);
    return error;
}

/* ---- the compressed tier ---- */

/* Slots for each frame of the tier: pages compress to a sixteenth at best, or repeat a word; counts cost little. */
#define TIER_SLOTS 16

static int tier_begin(u64 frames) {
    mutex_lock(&listing);
    int area = area_add(&nothing_below, 1 + frames * TIER_SLOTS, -1, NULL, 0);
    if (area >= 0)
        files[area] = (struct swap_file){NULL, &nothing_below, "zswap"};
    mutex_unlock(&listing);
    return area < 0 ? area : 0;
}

int swap_set_tier(u64 frames) {
    struct swap_file *own = NULL;
    bool any = false;
    mutex_lock(&changing);
    for (struct swap_file *f = files; f < files + AREAS_MOST; f++) {
        any |= f->device != NULL;
        own = f->device == &nothing_below ? f : own;
    }
    int error = !frames && own ? end(own) : 0;
    if (!error)
        error = zswap_set_limit(frames);
    if (!error && frames && !any)
        error = tier_begin(frames);
    mutex_unlock(&changing);
    return error;
}

/* ---- /proc/swaps ---- */

int proc_swaps(struct synth *s, struct text *t) {
    text_string(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    mutex_lock(&listing);
    for (unsigned n = 0; n < AREAS_MOST; n++) {
        struct area_state a;
        if (!files[n].device)
            continue;
        area_look(n, &a);
        unsigned long size = a.slots * (PAGE_SIZE / KiB), used = a.used * (PAGE_SIZE / KiB);
        text_print(t, "%-40spartition\t%lu\t%s%lu\t%s%d\n", files[n].name, size, size < 10000000 ? "\t" : "", used,
                   used < 10000000 ? "\t" : "", a.priority);
    }
    mutex_unlock(&listing);
    return 0;
}
