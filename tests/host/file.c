/* file.c - files that tests map: contents in an array behind an object, or none (shared memory). Page i of a new backed
 * file is filled with words (letter << 56 | i << 16 | word), so that each page says whose it is. */
#include "host.h"

static void file_get(struct vm_file *v) { atomic_add(&container_of(v, struct host_file, file)->references, 1); }
static void file_put(struct vm_file *v) { host_file_put(container_of(v, struct host_file, file)); }
static const struct vm_file_ops file_ops = {.get = file_get, .put = file_put};

static int file_fill(struct object *o, u64 index, struct frame **to, unsigned count) {
    struct host_file *f = container_of(o, struct host_file, object);
    int error = 0;
    host_may_sleep("fill");
    host_step();
    atomic_add(&f->fills, 1);
    if (f->fail_fills) {
        f->fail_fills--;
        error = -EIO;
    }
    for (unsigned i = 0; i < count && !error; i++) {
        u64 at = (index + i) * PAGE_SIZE;
        u64 stored = min(f->pages * PAGE_SIZE, (u64)atomic_load(&o->size));
        u64 bytes = at < stored ? min(stored - at, PAGE_SIZE) : 0;
        host_point(HOST_WRITE, frame_va(to[i]), sizeof(u64));
        memcpy(frame_va(to[i]), f->contents + at, bytes);
        memset((char *)frame_va(to[i]) + bytes, 0, PAGE_SIZE - bytes);
    }
    host_step();
    return error;
}

/* A device reads memory while programs write to it. */
static __attribute__((no_sanitize("thread"))) void device_copy(void *to, const void *from, size_t bytes) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static int file_write_back(struct object *o, u64 index, struct frame *from) {
    struct host_file *f = container_of(o, struct host_file, object);
    host_may_sleep("write_back");
    host_point(HOST_READ, frame_va(from), sizeof(u64));
    atomic_add(&f->writes, 1);
    if (index < f->pages)
        device_copy(f->contents + index * PAGE_SIZE, frame_va(from), PAGE_SIZE);
    host_step();
    return 0;
}

static const struct object_ops backed_ops = {.fill = file_fill, .write_back = file_write_back};
static const struct object_ops memory_ops = {0};

struct host_file *host_file_new(char letter, u64 bytes, bool backed) {
    struct host_file *f = calloc(1, sizeof(*f));
    f->file = (struct vm_file){.ops = &file_ops, .object = &f->object};
    f->references = 1;
    f->letter = letter;
    if (backed) {
        f->pages = page_align_up(bytes) / PAGE_SIZE + 64; /* room to grow */
        f->contents = calloc(f->pages, PAGE_SIZE);
        u64 *words = (u64 *)f->contents;
        for (u64 i = 0; i < bytes / sizeof(u64); i++)
            words[i] = (u64)letter << 56 | (i / 512) << 16 | (i % 512);
    }
    object_init(&f->object, backed ? &backed_ops : &memory_ops, bytes);
    return f;
}

void host_file_put(struct host_file *f) {
    if (atomic_sub(&f->references, 1))
        return;
    object_destroy(&f->object);
    free(f->contents);
    free(f);
}

void host_file_resize(struct host_file *f, u64 bytes) {
    mutex_lock(&f->object.mutex);
    object_resize(&f->object, bytes);
    if (f->contents && bytes < f->pages * PAGE_SIZE)
        memset(f->contents + bytes, 0, f->pages * PAGE_SIZE - bytes);
    mutex_unlock(&f->object.mutex);
}

void host_file_write(struct host_file *f, u64 offset, u64 word) {
    struct frame *frame;
    check_eq(object_get(&f->object, offset / PAGE_SIZE, OBJECT_WRITE, &frame), 0);
    *(u64 *)((char *)frame_va(frame) + offset % PAGE_SIZE) = word;
    frame_unpin(frame);
}
