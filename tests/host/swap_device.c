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

static int transfer(struct swap_device *d, bool write, u64 slot, struct frame **frames, unsigned count) {
    host_may_sleep("a swap transfer");
    check(slot && count && count <= SWAP_CLUSTER && slot + count <= host_swap.pages);
    wait_a_while();
    bool failed = fails(write);
    for (unsigned i = 0; i < count && !failed; i++) {
        u8 *at = host_swap.contents + (slot + i) * PAGE_SIZE;
        check((frames[i]->class == FRAME_ANON || frames[i]->class == FRAME_SHMEM) &&
              atomic_load(&frames[i]->counts) >= FRAME_ONE_PIN);
        check(write || host_swap.written[slot + i]);
        memcpy(write ? at : frame_va(frames[i]), write ? frame_va(frames[i]) : at, PAGE_SIZE);
        atomic_store_relaxed(&host_swap.written[slot + i], true);
    }
    atomic_add(write ? &host_swap.writes : &host_swap.reads, count);
    wait_a_while();
    if (failed)
        atomic_add(&host_swap.failures, 1);
    return failed ? -EIO : 0;
}

void host_swap_start(u64 pages) {
    static struct swap_device device = {.transfer = transfer};
    host_swap.pages = pages;
    host_swap.contents = malloc(pages * PAGE_SIZE);
    host_swap.written = calloc(pages, 1);
    check(host_swap.contents && host_swap.written);
    check_eq(swap_add(&device, pages), 0);
    swap_put(swap_alloc()); /* the page of counts that comes with the first is no leak */
}
