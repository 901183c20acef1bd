/* fd.c - descriptor tables (file.h): from small numbers to open files.
 *
 * One block holds the slots and two bitmaps: which numbers are taken, and which close on exec. Growing makes a larger
 * block without the lock and swaps it in under it. A slot may be taken and still empty, while its file is being opened
 * (fd_reserve): readers see NULL, a closed descriptor; dup2 and fork leave it alone. */
#include "fs/file.h"

#include "fs/inode.h"
#include "task/task.h"
#include "vm/slab.h"

#define FDS_FIRST 64U
#define FDS_MOST (1U << 20) /* fs.nr_open */

struct fd_block {
    u32 size; /* a multiple of 64 */
    struct file **slots;
    u64 *taken, *close_on_exec;
};

struct files {
    u32 references;
    struct spin lock; /* protects all below */
    struct fd_block *block;
    u32 free_from; /* no number below is free */
};

static struct fd_block *block_make(u32 size) {
    size_t words = size / 64;
    struct fd_block *b = kzalloc(sizeof(*b) + size * sizeof(struct file *) + 2 * words * sizeof(u64));

    if (b) {
        b->size = size;
        b->slots = (struct file **)(b + 1);
        b->taken = (u64 *)(b->slots + size);
        b->close_on_exec = b->taken + words;
    }
    return b;
}

static bool bit(const u64 *map, u32 n) { return map[n / 64] >> (n % 64) & 1; }

static void set_bit(u64 *map, u32 n, bool on) {
    u64 mask = 1UL << (n % 64);
    map[n / 64] = on ? map[n / 64] | mask : map[n / 64] & ~mask;
}

/* The lowest number >= from that is not taken; b->size if there is none. */
static u32 lowest_free(const struct fd_block *b, u32 from) {
    for (u32 word = from / 64; word < b->size / 64; word++) {
        u64 free = ~b->taken[word];
        if (word == from / 64)
            free &= ~0UL << (from % 64);
        if (free)
            return word * 64 + (u32)__builtin_ctzl(free);
    }
    return max(b->size, from);
}

struct files *files_create(void) {
    struct files *t = kzalloc(sizeof(*t));

    if (t)
        t->block = block_make(FDS_FIRST);
    if (t && !t->block) {
        kfree(t);
        t = NULL;
    }
    if (t)
        t->references = 1;
    return t;
}

bool files_shared(struct files *t) { return atomic_load(&t->references) > 1; }
void files_get(struct files *t) { atomic_add(&t->references, 1); }

/* The lowest number >= from whose bit is set; b->size if there is none. */
static u32 next_bit(const struct fd_block *b, const u64 *map, u32 from) {
    for (u32 word = from / 64; word < b->size / 64; word++) {
        u64 set = map[word];
        if (word == from / 64)
            set &= ~0UL << (from % 64);
        if (set)
            return word * 64 + (u32)__builtin_ctzl(set);
    }
    return b->size;
}

/* Take the file out of a slot: the reference is the caller's. The lock is held. */
static struct file *take_out(struct files *t, u32 fd) {
    struct fd_block *b = t->block;
    struct file *f = fd < b->size ? b->slots[fd] : NULL;

    if (f) {
        b->slots[fd] = NULL;
        set_bit(b->taken, fd, false);
        set_bit(b->close_on_exec, fd, false);
        t->free_from = min(t->free_from, fd);
    }
    return f;
}

static int close_file(struct files *t, struct file *f) {
    int error = f->ops->flush ? f->ops->flush(f) : 0;

    if (f->inode && f->inode->locks)
        locks_forget_process(f->inode, t);
    file_put(f);
    return error;
}

void files_put(struct files *t) {
    if (atomic_sub(&t->references, 1))
        return;
    struct fd_block *b = t->block; /* nobody else has it any more */
    for (u32 fd = next_bit(b, b->taken, 0); fd < b->size; fd = next_bit(b, b->taken, fd + 1)) {
        struct file *f = take_out(t, fd);
        if (f)
            close_file(t, f);
    }
    kfree(b);
    kfree(t);
}

/* Make room for number `fd`. 0, -EMFILE, -ENOMEM. */
static int grow(struct files *t, u32 fd) {
    u32 size = FDS_FIRST;

    if (fd >= FDS_MOST)
        return -EMFILE;
    while (size <= fd)
        size *= 2;
    struct fd_block *larger = block_make(size), *old = larger;
    if (!larger)
        return -ENOMEM;
    spin_lock(&t->lock);
    if (t->block->size < size) {
        old = t->block;
        memcpy(larger->slots, old->slots, old->size * sizeof(*old->slots));
        memcpy(larger->taken, old->taken, old->size / 8);
        memcpy(larger->close_on_exec, old->close_on_exec, old->size / 8);
        t->block = larger;
    }
    spin_unlock(&t->lock);
    kfree(old);
    return 0;
}

struct files *files_fork(struct files *from) {
    struct files *t = files_create();
    int error = t ? 0 : -ENOMEM;

    while (!error) {
        spin_lock(&from->lock);
        struct fd_block *b = from->block;
        u32 size = b->size;
        bool fits = size <= t->block->size;
        for (u32 fd = fits ? next_bit(b, b->taken, 0) : size; fd < size; fd = next_bit(b, b->taken, fd + 1))
            if (b->slots[fd]) { /* taken and empty: it is being opened */
                file_get(b->slots[fd]);
                t->block->slots[fd] = b->slots[fd];
                set_bit(t->block->taken, fd, true);
                set_bit(t->block->close_on_exec, fd, bit(b->close_on_exec, fd));
            }
        spin_unlock(&from->lock);
        if (fits)
            break;
        error = grow(t, size - 1);
    }
    if (error && t)
        files_put(t);
    return error ? err_ptr(error) : t;
}

void files_close_on_exec(struct files *t) {
    for (u32 fd = 0, size = 1; fd < size; fd++) {
        spin_lock(&t->lock);
        size = t->block->size;
        fd = next_bit(t->block, t->block->close_on_exec, fd);
        struct file *f = take_out(t, fd);
        spin_unlock(&t->lock);
        if (f)
            close_file(t, f);
    }
}

struct file *fd_get_of(struct files *t, int fd) {
    struct file *f = NULL;

    spin_lock(&t->lock);
    if ((u32)fd < t->block->size)
        f = t->block->slots[fd];
    if (f)
        file_get(f);
    spin_unlock(&t->lock);
    return f;
}

struct file *fd_get(int fd) {
    struct files *t = task_current()->files;
    return t ? fd_get_of(t, fd) : NULL;
}

struct file *fd_get_open(int fd) {
    struct file *f = fd_get(fd);

    if (f && (f->mode & FILE_PATH)) {
        file_put(f);
        f = NULL;
    }
    return f;
}

int fd_next_of(struct files *t, int from) {
    int found = -1;

    spin_lock(&t->lock);
    for (u32 fd = (u32)max(from, 0); found < 0 && fd < t->block->size; fd++)
        if (t->block->slots[fd])
            found = (int)fd;
    spin_unlock(&t->lock);
    return found;
}

u32 fd_room(void) {
    struct files *t = task_current()->files;

    spin_lock(&t->lock);
    u32 room = t->block->size;
    spin_unlock(&t->lock);
    return room;
}

u32 fd_flags_of(struct files *t, int fd) {
    u32 flags = 0;

    spin_lock(&t->lock);
    if ((u32)fd < t->block->size && bit(t->block->close_on_exec, (u32)fd))
        flags = FD_CLOEXEC;
    spin_unlock(&t->lock);
    return flags;
}

int fd_set_flags(int fd, u32 flags) {
    struct files *t = task_current()->files;
    int error = -EBADF;

    spin_lock(&t->lock);
    if ((u32)fd < t->block->size && t->block->slots[fd]) {
        set_bit(t->block->close_on_exec, (u32)fd, flags & FD_CLOEXEC);
        error = 0;
    }
    spin_unlock(&t->lock);
    return error;
}

static u32 fd_limit(void) {
    struct process *p = process_current();
    u64 limit = p->limits[RLIMIT_NOFILE].rlim_cur;
    return limit < FDS_MOST ? (u32)limit : FDS_MOST;
}

/* The lowest number >= from, with f in it, or NULL and reserved. */
static int take_number(struct file *f, bool close_on_exec, int from) {
    struct files *t = task_current()->files;
    u32 limit = fd_limit();
    int result;

    do {
        spin_lock(&t->lock);
        u32 fd = lowest_free(t->block, max((u32)from, t->free_from));
        bool fits = fd < t->block->size;
        result = fd < limit ? (int)fd : -EMFILE;
        if (fits && result >= 0) {
            t->block->slots[fd] = f;
            set_bit(t->block->taken, fd, true);
            set_bit(t->block->close_on_exec, fd, close_on_exec);
            if ((u32)from <= t->free_from)
                t->free_from = fd + 1;
        }
        spin_unlock(&t->lock);
        if (fits || result < 0)
            break;
        result = grow(t, fd);
    } while (result == 0);
    return result;
}

int fd_install(struct file *f, bool close_on_exec, int from) { return take_number(f, close_on_exec, from); }
int fd_reserve(void) { return take_number(NULL, false, 0); }

void fd_fill(int fd, struct file *f, bool close_on_exec) {
    struct files *t = task_current()->files;

    spin_lock(&t->lock);
    assert(bit(t->block->taken, (u32)fd) && !t->block->slots[fd]);
    t->block->slots[fd] = f;
    set_bit(t->block->taken, (u32)fd, f != NULL);
    set_bit(t->block->close_on_exec, (u32)fd, close_on_exec);
    if (!f)
        t->free_from = min(t->free_from, (u32)fd);
    spin_unlock(&t->lock);
}

int fd_install_at(struct files *t, struct file *f, int fd, bool close_on_exec) {
    struct file *old = NULL;
    int error = fd < 0 ? -EBADF : 0;

    spin_lock(&t->lock);
    while (!error && (u32)fd >= t->block->size) {
        spin_unlock(&t->lock);
        error = grow(t, (u32)fd);
        spin_lock(&t->lock);
    }
    if (error) {
        spin_unlock(&t->lock);
        return error == -EMFILE ? -EBADF : error;
    }
    if (bit(t->block->taken, (u32)fd) && !t->block->slots[fd]) { /* reserved */
        error = -EBUSY;
    } else {
        old = take_out(t, (u32)fd);
        t->block->slots[fd] = f;
        set_bit(t->block->taken, (u32)fd, true);
        set_bit(t->block->close_on_exec, (u32)fd, close_on_exec);
    }
    spin_unlock(&t->lock);
    if (old)
        close_file(t, old);
    return error ? error : fd;
}

int fd_close(int fd) {
    struct files *t = task_current()->files;
    struct file *f;

    spin_lock(&t->lock);
    f = fd >= 0 ? take_out(t, (u32)fd) : NULL;
    spin_unlock(&t->lock);
    return f ? close_file(t, f) : -EBADF;
}
