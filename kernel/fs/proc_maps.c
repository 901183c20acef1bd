/* proc_maps.c - /proc/PID/{maps, smaps, smaps_rollup, mem, pagemap}: an address space as text and as bytes.
 *
 * The formats are proc(5)'s, with the columns of Linux 6.1. maps and smaps are made piece by piece (text.h): the cursor
 * is the address where the next piece begins. */
#include <linux/capability.h>
#include <linux/kdev_t.h>
#include <linux/mempolicy.h>

#include "arch/x86_64/usercopy.h"
#include "fs/io.h"
#include "fs/proc.h"
#include "vm/slab.h"
#include "vm/space.h"
#include "vm/watch.h"

#define NAME_COLUMN 73 /* where a mapping's name starts */
#define KB(pages) ((unsigned long)(pages) * (PAGE_SIZE / KiB))

static unsigned dev_major(u64 dev) { return dev >> 8 & 0xfff; }
static unsigned dev_minor(u64 dev) { return (dev & 0xff) | (dev >> 12 & ~0xffUL); }

/* "START-END PERM OFFSET DEV INO": one blank ends it, the name comes behind. */
static void show_range(struct text *t, const struct mapping *m) {
    const struct view *v = m->view;
    const struct file *f = file_of_vm(v->file);
    u64 dev = f ? f->inode->dev : 0;
    text_print(t, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", (unsigned long)m->start, (unsigned long)m->end,
               v->flags & VIEW_READ ? 'r' : '-', v->flags & VIEW_WRITE ? 'w' : '-', v->flags & VIEW_EXEC ? 'x' : '-',
               v->flags & VIEW_SHARED ? 's' : 'p', f ? (unsigned long)m->offset : 0UL, dev_major(dev), dev_minor(dev),
               f ? (unsigned long)f->inode->ino : 0UL);
}

/* buffer: a page for names. */
static void show_mapping(struct text *t, const struct mapping *m, char *buffer) {
    const struct view *v = m->view;
    const struct file *f = file_of_vm(v->file);
    const char *name = v->name;
    size_t start = t->bytes;

    show_range(t, m);
    if (f)
        name = path_string(&f->path, buffer, PAGE_SIZE);
    else if (!name && v->flags & VIEW_HEAP)
        name = "[heap]";
    else if (!name && v->flags & VIEW_STACK)
        name = "[stack]";
    if (name && !is_err(name)) {
        text_pad(t, start, NAME_COLUMN);
        text_escaped(t, name, "\n");
    }
    text_string(t, "\n");
}

static void line_kb(struct text *t, const char *label, u64 pages) { text_print(t, "%-16s%8lu kB\n", label, KB(pages)); }

/* The figures that smaps and smaps_rollup have in common; rollup says more of the proportional share. */
static void show_usage(struct text *t, const struct space_usage *u, u64 locked, bool rollup) {
    unsigned long pss = u->pss_bytes / KiB;
    u64 dirty = u->shared_dirty + u->private_dirty, present = dirty + u->shared_clean + u->private_clean;
    line_kb(t, "Rss:", present);
    text_print(t, "%-16s%8lu kB\n", "Pss:", pss);
    /* The share of the dirty pages is not counted apart: taken as the same part of them as of all. */
    text_print(t, "%-16s%8lu kB\n", "Pss_Dirty:", present ? pss * dirty / present : 0UL);
    if (rollup) {
        text_print(t, "%-16s%8lu kB\n", "Pss_Anon:", present ? pss * u->anon / present : 0UL);
        text_print(t, "%-16s%8lu kB\n", "Pss_File:", present ? pss * u->file / present : 0UL);
        text_print(t, "%-16s%8lu kB\n", "Pss_Shmem:", present ? pss * u->shmem / present : 0UL);
    }
    line_kb(t, "Shared_Clean:", u->shared_clean);
    line_kb(t, "Shared_Dirty:", u->shared_dirty);
    line_kb(t, "Private_Clean:", u->private_clean);
    line_kb(t, "Private_Dirty:", u->private_dirty);
    line_kb(t, "Referenced:", u->referenced);
    line_kb(t, "Anonymous:", u->anon);
    line_kb(t, "LazyFree:", u->lazy);
    line_kb(t, "AnonHugePages:", u->large);
    static const char *const none[] = {"ShmemPmdMapped:", "FilePmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:"};
    for (unsigned i = 0; i < array_count(none); i++)
        line_kb(t, none[i], 0);
    line_kb(t, "Swap:", u->swap);
    text_print(t, "%-16s%8lu kB\n", "SwapPss:", (unsigned long)(u->swap_pss_bytes / KiB));
    text_print(t, "%-16s%8lu kB\n", "Locked:", locked);
}

/* In the order of Linux's bits. */
static void show_flags(struct text *t, const struct view *v) {
    const struct file *f = file_of_vm(v->file);
    const struct {
        bool set;
        char letters[4];
    } flags[] = {
        {v->flags & VIEW_READ, "rd"},       {v->flags & VIEW_WRITE, "wr"},
        {v->flags & VIEW_EXEC, "ex"},       {v->flags & VIEW_SHARED && (!f || f->mode & FILE_WRITE), "sh"},
        {v->max_prot & VIEW_READ, "mr"},    {v->max_prot & VIEW_WRITE, "mw"},
        {v->max_prot & VIEW_EXEC, "me"},    {v->flags & VIEW_SHARED, "ms"},
        {v->flags & VIEW_GROWSDOWN, "gd"},  {v->watches & WATCH_MISSING, "um"},
        {v->watches & WATCH_GUARDED, "uw"}, {v->flags & VIEW_LOCKED, "lo"},
        {v->flags & VIEW_SEQUENTIAL, "sr"}, {v->flags & VIEW_RANDOM, "rr"},
        {v->flags & VIEW_DONTFORK, "dc"},   {v->flags & VIEW_SPECIAL, "de"},
        {v->flags & VIEW_ONFAULT, "??"}, /* VM_LOCKONFAULT has no letters */
        {v->flags & VIEW_ACCOUNT, "ac"},    {v->flags & VIEW_NORESERVE, "nr"},
        {v->flags & VIEW_SYNC, "sf"},       {v->flags & VIEW_WIPEONFORK, "wf"},
        {v->flags & VIEW_DONTDUMP, "dd"},   {!(v->flags & VIEW_CLEAN), "sd"},
        {v->flags & VIEW_HUGE, "hg"},       {v->flags & VIEW_NOHUGE, "nh"},
        {v->flags & VIEW_MERGEABLE, "mg"},  {v->watches & WATCH_MINOR, "ui"},
    };
    text_string(t, "VmFlags: ");
    for (unsigned i = 0; i < array_count(flags); i++) {
        if (flags[i].set)
            text_print(t, "%s ", flags[i].letters);
    }
    text_string(t, "\n");
}

/* Pages of a mapped object that are in the swap area. Where a private copy can hide one, page by page. */
static u64 object_swap(struct space *space, const struct mapping *m) {
    struct object *o = m->view->file ? m->view->file->object : NULL;
    u64 first = m->offset / PAGE_SIZE, pages = (m->end - m->start) / PAGE_SIZE, frame, count = 0;
    if (!o || (m->view->flags & (VIEW_SHARED | VIEW_WRITE)) != VIEW_WRITE)
        return o ? object_swapped(o, first, first + pages) : 0;
    for (u64 i = 0; i < pages && atomic_load(&o->swapped); i++)
        count += object_swapped(o, first + i, first + i + 1) &&
                 space_present(space, m->start + i * PAGE_SIZE, &frame) == PAGE_MAPPED;
    return count;
}

static void show_smap(struct text *t, struct space *space, const struct mapping *m, char *buffer) {
    struct space_usage u;
    space_usage(space, m->start, m->end, &u);
    u.swap += object_swap(space, m);
    show_mapping(t, m, buffer);
    line_kb(t, "Size:", (m->end - m->start) / PAGE_SIZE);
    line_kb(t, "KernelPageSize:", 1);
    line_kb(t, "MMUPageSize:", 1);
    show_usage(t, &u, m->view->flags & VIEW_LOCKED ? u.pss_bytes / KiB : 0, false);
    text_print(t, "THPeligible:    %d\n", 0);
    if (arch_has_keys())
        text_print(t, "ProtectionKey:  %8u\n", (m->view->flags & VIEW_KEY) >> VIEW_KEY_SHIFT);
    show_flags(t, m->view);
}

/* Every mapping from the cursor on, until the piece is full. */
static int show_mappings(struct synth *s, struct text *t, bool usage) {
    struct space *space = proc_space(s);
    struct mapping m;
    if (!space) /* a zombie, a kernel thread: nothing is mapped */
        return 0;
    char *buffer = kmalloc(PAGE_SIZE);
    while (buffer && space_walk(space, t->cursor, &m)) {
        if (usage)
            show_smap(t, space, &m, buffer);
        else
            show_mapping(t, &m, buffer);
        t->cursor = m.end;
        space_walk_end(&m);
        t->more = text_full(t);
        if (t->more)
            break;
    }
    kfree(buffer);
    space_put(space);
    return buffer ? 0 : -ENOMEM;
}

int proc_maps(struct synth *s, struct text *t) { return show_mappings(s, t, false); }
int proc_smaps(struct synth *s, struct text *t) { return show_mappings(s, t, true); }

int proc_smaps_rollup(struct synth *s, struct text *t) {
    struct space *space = proc_space(s);
    struct space_usage all, one;
    struct mapping m;
    u64 first = 0, last = 0, locked = 0, swap = 0;
    size_t start = t->bytes;

    if (!space)
        return 0;
    for (u64 at = 0; space_walk(space, at, &m); at = last) {
        first = last ? first : m.start;
        last = m.end;
        swap += object_swap(space, &m);
        if (m.view->flags & VIEW_LOCKED) {
            space_usage(space, m.start, m.end, &one);
            locked += one.pss_bytes / KiB;
        }
        space_walk_end(&m);
    }
    space_usage(space, 0, USER_TOP, &all);
    all.swap += swap;
    text_print(t, "%08lx-%08lx ---p 00000000 00:00 0 ", (unsigned long)first, (unsigned long)last);
    text_pad(t, start, NAME_COLUMN);
    text_string(t, "[rollup]\n");
    show_usage(t, &all, locked, true);
    space_put(space);
    return 0;
}

/* ---- clear_refs: 1: forget use, 2: of anonymous memory, 3: of files, 4: what was written, 5: the largest size ---- */

int proc_clear_refs(struct synth *s, char *text, size_t bytes) {
    u64 what;
    int error = 0;
    struct mapping m;
    if (!parse_number(text, &what) || what < 1 || what > 5)
        return -EINVAL;
    struct space *space = proc_space(s);
    if (!space)
        return 0;
    for (u64 at = 0; what <= 3 && space_walk(space, at, &m); at = m.end) {
        if (what == 1 || (what == 3) == (m.view->file != NULL))
            space_unreference(space, m.start, m.end);
        space_walk_end(&m);
    }
    if (what == 4)
        error = space_clean(space);
    if (what == 5)
        space_reset_peak(space);
    space_put(space);
    return error;
}

/* ---- numa_maps: policies, and pages by node, of which there is one ---- */

static void show_policy(struct text *t, u32 mode, bool is_static, bool is_relative, u64 nodes) {
    static const char *const names[] = {"default", "prefer", "bind", "interleave", "local", "prefer (many)"};
    text_string(t, mode < array_count(names) ? names[mode] : "unknown");
    if (is_static || is_relative)
        text_string(t, is_static ? "=static" : "=relative");
    if (nodes)
        text_string(t, ":0");
}

static void show_numa(struct text *t, struct space *space, const struct mapping *m, const struct memory_policy *task,
                      char *buffer) {
    const struct view *v = m->view;
    const struct file *f = file_of_vm(v->file);
    struct memory_policy own = policy_of_view(v);
    const struct memory_policy *p = own.mode != MPOL_DEFAULT ? &own : task;
    struct space_usage u;
    space_usage(space, m->start, m->end, &u);
    u64 pages = u.anon + u.file + u.shmem, dirty = u.shared_dirty + u.private_dirty;
    text_print(t, "%08lx ", (unsigned long)m->start);
    show_policy(t, p->mode, p->flags & MPOL_F_STATIC_NODES, p->flags & MPOL_F_RELATIVE_NODES, p->nodes & 1);
    const char *name = f ? path_string(&f->path, buffer, PAGE_SIZE) : NULL;
    if (f && !is_err(name)) {
        text_string(t, " file=");
        text_escaped(t, name, "\n\t= ");
    } else if (v->flags & (VIEW_HEAP | VIEW_STACK)) {
        text_string(t, v->flags & VIEW_HEAP ? " heap" : " stack");
    }
    if (u.anon)
        text_print(t, " anon=%lu", (unsigned long)u.anon);
    if (dirty)
        text_print(t, " dirty=%lu", (unsigned long)dirty);
    if (pages != u.anon && pages != dirty)
        text_print(t, " mapped=%lu", (unsigned long)pages);
    if (pages)
        text_print(t, " N0=%lu kernelpagesize_kB=4", (unsigned long)pages);
    text_string(t, "\n");
}

int proc_numa_maps(struct synth *s, struct text *t) {
    struct space *space = proc_space(s);
    struct task *task = proc_task(s);
    struct memory_policy policy = task ? task->policy_of_memory : (struct memory_policy){0};
    char *buffer = kmalloc(PAGE_SIZE);
    struct mapping m;
    while (space && buffer && !text_full(t) && space_walk(space, t->cursor, &m)) {
        show_numa(t, space, &m, &policy, buffer);
        t->cursor = m.end;
        space_walk_end(&m);
        t->more = text_full(t);
    }
    kfree(buffer);
    if (task)
        task_put(task);
    if (space)
        space_put(space);
    return buffer ? 0 : -ENOMEM;
}

/* ---- mem: the bytes of a process, at their own addresses ---- */

/* Whoever may look may do so until the next execve: what begins then may have more rights. */
static int mem_open(struct inode *inode, struct file *file) {
    struct process *p = synth_of(inode)->process;
    file->private_data = (void *)(u64)atomic_load(&p->execs);
    return may_inspect(p) ? 0 : -EACCES;
}

/* The memory of the program that was opened, counted; NULL: it has ended. */
static struct space *opened_space(struct file *file) {
    struct synth *s = synth_of(file->inode);
    struct space *space = proc_space(s);
    if (space && (u64)file->private_data != atomic_load(&s->process->execs)) {
        space_put(space);
        space = NULL;
    }
    return space;
}

static ssize_t mem_move(struct file *file, struct iov *v, u64 *position, bool write) {
    struct space *space = opened_space(file);
    ssize_t done = 0, error = 0;
    char *page = kmalloc(PAGE_SIZE);

    if (!page)
        error = -ENOMEM;
    while (space && !error && v->bytes) {
        size_t some = min(v->bytes, PAGE_SIZE - (*position & (PAGE_SIZE - 1)));
        if (write && iov_take(v, page, some) != some) {
            error = -EFAULT;
            break;
        }
        ssize_t moved = space_copy(space, *position, page, some, write, true);
        if (moved < 0) {
            error = -EIO; /* nothing there: proc(5) */
        } else if (!write && iov_put(v, page, moved) != (size_t)moved) {
            error = -EFAULT;
        } else {
            *position += moved;
            done += moved;
            if ((size_t)moved < some)
                break;
        }
    }
    kfree(page);
    if (space)
        space_put(space);
    return done && error != -EFAULT ? done : error;
}

static ssize_t mem_read(struct file *file, struct iov *to, u64 *position) {
    return mem_move(file, to, position, false);
}
static ssize_t mem_write(struct file *file, struct iov *from, u64 *position) {
    return mem_move(file, from, position, true);
}

static s64 mem_seek(struct file *file, s64 offset, int whence) {
    if (whence > 1)
        return -EINVAL;
    file->position = whence == 1 ? file->position + offset : (u64)offset; /* addresses may be "negative" */
    return file->position;
}

const struct file_ops proc_mem_ops = {.open = mem_open, .read = mem_read, .write = mem_write, .seek = mem_seek};

/* ---- pagemap: a word a page (Documentation/admin-guide/mm/pagemap of Linux) ---- */

#define PAGEMAP_PRESENT (1UL << 63)
#define PAGEMAP_SWAP (1UL << 62) /* the frame number is a slot then, above 5 bits that say which area */
#define PAGEMAP_FILE (1UL << 61)
#define PAGEMAP_GUARDED (1UL << 57)
#define PAGEMAP_EXCLUSIVE (1UL << 56)
#define PAGEMAP_SOFT_DIRTY (1UL << 55)
#define PAGEMAP_FRAME ((1UL << 55) - 1)

static u64 pagemap_word(struct space *space, u64 address, bool show_frames) {
    u64 frame = 0, word = 0;
    u32 what = space_present(space, address, &frame);
    if (what & PAGE_PRESENT) {
        word = PAGEMAP_PRESENT;
        word |= what & PAGE_OF_FILE ? PAGEMAP_FILE : 0;
        word |= what & PAGE_EXCLUSIVE ? PAGEMAP_EXCLUSIVE : 0;
        word |= show_frames ? frame & PAGEMAP_FRAME : 0;
    } else if (what & PAGE_SWAPPED) {
        word = PAGEMAP_SWAP | (show_frames ? frame << 5 & PAGEMAP_FRAME : 0);
    }
    word |= what & PAGE_GUARDED ? PAGEMAP_GUARDED : 0;
    return word | (what & PAGE_WRITTEN ? PAGEMAP_SOFT_DIRTY : 0);
}

static ssize_t pagemap_read(struct file *file, struct iov *to, u64 *position) {
    struct space *space = opened_space(file);
    bool show_frames = capable(CAP_SYS_ADMIN);
    ssize_t done = 0;

    if (*position % sizeof(u64) || to->bytes % sizeof(u64))
        done = -EINVAL;
    while (space && done >= 0 && to->bytes) {
        u64 page = *position / sizeof(u64);
        if (page >= USER_TOP / PAGE_SIZE) /* as pages: a position may be so far off that its address wraps */
            break;
        u64 word = pagemap_word(space, page * PAGE_SIZE, show_frames);
        if (iov_put(to, &word, sizeof(word)) != sizeof(word)) {
            done = done ? done : -EFAULT;
            break;
        }
        *position += sizeof(word);
        done += sizeof(word);
    }
    if (space)
        space_put(space);
    return done;
}

const struct file_ops proc_pagemap_ops = {.open = mem_open, .read = pagemap_read, .seek = mem_seek};
