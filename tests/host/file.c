/* file.c - files that tests map: contents in an array behind an object, or none (shared memory). Page i of a new backed
 * file is filled with words (letter << 56 | i << 16 | word), so that each page says whose it is. */
#include "host.h"

static void file_get(struct vm_file *v) { atomic_add(&container_of(v, struct host_file, file)->references, 1); }
static void file_put(struct vm_file *v) { host_file_put(container_of(v, struct host_file, file)); }
static const struct vm_file_ops file_ops = {.get = file_get, .put = file_put};

/* ---- the device: carries out requests at once, or holds them until the test answers, in what order it likes */

struct request {
    struct host_file *file;
    struct frame **frames;
    u64 index;
    unsigned count;
    bool write, answered;
    int error;
    struct list link;
};
static struct list requests = LIST_INIT(requests);
static struct waitq answers = WAITQ_INIT(answers), arrivals = WAITQ_INIT(arrivals);
static unsigned waiting, arrived;
static bool holding, failed;
static u64 fail_countdown;

void host_io_fail_at(u64 n) {
    fail_countdown = n;
    failed = false;
}
bool host_io_failed(void) { return failed; }
void host_io_hold(bool hold) {
    holding = hold;
    arrived = hold ? 0 : arrived;
}
unsigned host_io_waiting(void) { return waiting; }
void host_io_wait(unsigned count) { wait_until(&arrivals, arrived >= count); }

bool host_io_fails(void) {
    bool now = fail_countdown && !--fail_countdown;
    if (now)
        failed = true;
    return now;
}

/* A device reads memory while programs write to it. */
static __attribute__((no_sanitize("thread"))) void device_copy(void *to, const void *from, size_t bytes) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

/* What the device does, when it does it: so what is in the page or on the disk at that moment counts. */
static int transfer(struct host_file *f, struct frame **page, u64 index, unsigned count, bool write) {
    if (host_io_fails())
        return -EIO;
    for (unsigned i = 0; i < count; i++) {
        u64 at = (index + i) * PAGE_SIZE;
        u64 stored = min(f->pages * PAGE_SIZE, (u64)atomic_load(&f->object.size));
        u64 bytes = at < stored ? min(stored - at, PAGE_SIZE) : 0;
        host_stop_point(write ? HOST_READ : HOST_WRITE, frame_va(page[i]), sizeof(u64));
        if (write && index + i < f->pages)
            device_copy(f->contents + at, frame_va(page[i]), PAGE_SIZE);
        if (!write) {
            memcpy(frame_va(page[i]), f->contents + at, bytes);
            memset((char *)frame_va(page[i]) + bytes, 0, PAGE_SIZE - bytes);
        }
    }
    return 0;
}

void host_io_answer(unsigned which, int error) {
    struct request *r;
    list_for_each(r, &requests, link) {
        if (which-- == 0)
            break;
    }
    check(&r->link != &requests);
    list_del(&r->link);
    waiting--;
    r->error = error ? error : transfer(r->file, r->frames, r->index, r->count, r->write);
    r->answered = true;
    waitq_wake_all(&answers);
}

static int request(struct host_file *f, struct frame **page, u64 index, unsigned count, bool write) {
    if (!holding)
        return transfer(f, page, index, count, write);
    struct request r = {f, page, index, count, write, false, 0, {0}};
    list_add_tail(&requests, &r.link);
    waiting++;
    arrived++;
    waitq_wake_all(&arrivals);
    wait_until(&answers, r.answered);
    return r.error;
}

static int file_fill(struct object *o, u64 index, struct frame **to, unsigned count) {
    struct host_file *f = container_of(o, struct host_file, object);
    host_may_sleep("fill");
    host_step();
    atomic_add(&f->fills, 1);
    bool fails = atomic_load_relaxed(&f->fail_fills);
    int error = fails ? -EIO : request(f, to, index, count, false);
    if (fails)
        atomic_sub(&f->fail_fills, 1);
    host_step();
    return error;
}

static int file_write_back(struct object *o, u64 index, struct frame **from, unsigned count) {
    struct host_file *f = container_of(o, struct host_file, object);
    host_may_sleep("write_back");
    atomic_add(&f->writes, 1);
    int error = f->fail_writes ? -EIO : request(f, from, index, count, true);
    f->fail_writes -= f->fail_writes != 0;
    host_step();
    return error;
}

static const struct object_ops backed_ops = {.fill = file_fill, .write_back = file_write_back};
static const struct object_ops layered_ops = {.fill = file_fill};
static const struct object_ops memory_ops = {0};

static struct frame *device_frame(struct object *o, u64 index) {
    struct host_file *f = container_of(o, struct host_file, object);
    return index < f->pages ? frame_of_va(f->contents + index * PAGE_SIZE) : NULL;
}
static const struct object_ops device_ops = {.device = device_frame};

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

void host_file_layered(struct host_file *f) { f->object.ops = &layered_ops; }

struct host_file *host_device_new(char letter, u64 bytes) {
    struct host_file *f = calloc(1, sizeof(*f));
    unsigned order = 0;
    f->file = (struct vm_file){.ops = &file_ops, .object = &f->object};
    f->references = 1;
    f->letter = letter;
    f->pages = bytes / PAGE_SIZE;
    while (1ULL << order < f->pages)
        order++;
    f->contents = pages_alloc(order, FRAME_ZEROED); /* for as long as the machine runs */
    check(f->contents != NULL);
    object_init(&f->object, &device_ops, bytes);
    return f;
}

void host_file_put(struct host_file *f) {
    if (atomic_sub(&f->references, 1))
        return;
    object_destroy(&f->object);
    if (host_keeps(f)) /* for the next interleaving */
        return;
    free(f->contents);
    free(f);
}

void host_file_resize(struct host_file *f, u64 bytes) {
    mutex_lock(&f->object.storing);
    mutex_lock(&f->object.mutex);
    object_resize(&f->object, bytes);
    if (f->contents && bytes < f->pages * PAGE_SIZE)
        memset(f->contents + bytes, 0, f->pages * PAGE_SIZE - bytes);
    mutex_unlock(&f->object.mutex);
    mutex_unlock(&f->object.storing);
}

void host_file_write(struct host_file *f, u64 offset, u64 word) {
    struct frame *frame;
    check_eq(object_get(&f->object, offset / PAGE_SIZE, OBJECT_WRITE, &frame), 0);
    *(u64 *)((char *)frame_va(frame) + offset % PAGE_SIZE) = word;
    frame_unpin(frame);
}

void host_file_punch(struct host_file *f, u64 first, u64 end) {
    mutex_lock(&f->object.storing);
    mutex_lock(&f->object.mutex);
    object_punch(&f->object, first, end);
    if (f->contents && first < f->pages)
        memset(f->contents + first * PAGE_SIZE, 0, (min(end, f->pages) - first) * PAGE_SIZE);
    mutex_unlock(&f->object.mutex);
    mutex_unlock(&f->object.storing);
}
