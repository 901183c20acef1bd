/* swap.c - the swap area on the first virtio block device, if the command gave one (-s). */
#include "dev/block.h"
#include "main.h"
#include "task/failing.h"
#include "vm/swap.h"

struct swap_on_block {
    struct swap_device device;
    struct block_device *block;
};

static int transfer(struct swap_device *d, bool write, u64 slot, struct frame **frames, unsigned count) {
    struct swap_on_block *s = container_of(d, struct swap_on_block, device);
    if (task_io_fails())
        return -EIO;
    return block_transfer(s->block, write, slot << PAGE_SHIFT, frames, count);
}

void swap_start(void) {
    static struct swap_on_block area = {.device = {.transfer = transfer}};
    area.block = block_find(0);
    if (!area.block)
        return;
    u64 pages = block_bytes(area.block) >> PAGE_SHIFT;
    int error = block_read_only(area.block) ? -EROFS : swap_add(&area.device, pages);
    if (error)
        host_fail(125, "-s: the swap area cannot be used: %lu pages, error %d", (unsigned long)pages, -error);
}
