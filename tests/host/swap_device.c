/* swap_device.c - a swap area for the hosted machine. Its transfers take time: other fibers run meanwhile. */
#include "host.h"
#include "vm/swap.h"

struct host_swap host_swap;

static bool fails(bool write) {
    if (host_io_fails())
        return true;
    unsigned *fail = write ? &host_swap.fail_writes : &host_swap.fail_reads;
    if (!*fail)
        return false;
    if (host_swap.spare) {
        host_swap.spare--;
        return false;
    }
    --*fail;
    return true;
}

static void wait_a_while(void) {
    for (u64 n = fibers_running() ? rnd_below(4) : 0; n; n--)
        fiber_yield();
}

static void transfer_run(struct host_area *a, bool write, struct swap_run *run) {
    check(run->page && run->count && run->count <= SWAP_CLUSTER && run->page + run->count <= a->pages);
    wait_a_while();
    bool failed = fails(write);
    for (unsigned i = 0; i < run->count && !failed; i++) {
        struct frame *f = run->frames[i];
        u8 *at = a->contents + (run->page + i) * PAGE_SIZE;
        bool spilt = write && run->count == 1 && f->class == FRAME_KERNEL; /* by the compressed tier */
        check(spilt ||
              ((f->class == FRAME_ANON || f->class == FRAME_SHMEM) && atomic_load(&f->counts) >= FRAME_ONE_PIN));
        check(write || a->written[run->page + i]);
        host_stop_point(write ? HOST_READ : HOST_WRITE, frame_va(f), sizeof(u64));
        host_also(write ? HOST_WRITE : HOST_READ, at);
        memcpy(write ? at : frame_va(f), write ? frame_va(f) : at, PAGE_SIZE);
        atomic_store_relaxed(&a->written[run->page + i], true);
    }
    atomic_add(write ? &host_swap.writes : &host_swap.reads, run->count);
    wait_a_while();
    if (failed)
        atomic_add(&host_swap.failures, 1);
    run->error = failed ? -EIO : 0;
}

static void transfer(struct swap_device *d, bool write, struct swap_run *runs, unsigned count) {
    host_may_sleep("a swap transfer");
    atomic_add(&host_swap.transfers, 1);
    for (unsigned i = 0; i < count; i++)
        transfer_run(container_of(d, struct host_area, device), write, &runs[i]);
}

static void free_area(struct host_area *a) {
    free(a->contents);
    free(a->written);
    free(a);
}

int host_swap_add(u64 pages, int priority) {
    struct host_area *a = calloc(1, sizeof(*a));
    *a = (struct host_area){{.transfer = transfer}, pages, malloc(pages * PAGE_SIZE), calloc(pages, 1)};
    check(a->contents && a->written);
    int number = area_add(&a->device, pages, priority, NULL, 0);
    if (number < 0)
        free_area(a);
    return number;
}

void host_swap_drop(unsigned number) {
    struct host_area *a = container_of(area_device(number), struct host_area, device);
    check(area_remove(number));
    free_area(a);
}

void host_swap_start(u64 pages, bool no_device) {
    host_swap.pages = pages;
    host_swap.no_device = no_device;
    check_eq(host_swap_add(pages, -1), 0);
    if (no_device)
        area_device(0)->transfer = NULL;
    swap_put(swap_alloc()); /* the pages of counts that come with the first are no leak */
}
