/* swap.h - a block device as what is below a swap area (vm/area.h). */
#pragma once

#include "dev/block.h"
#include "vm/area.h"

/* swap_on_block: what area_add wants; NULL: no memory. The device is claimed by the caller. swap_off_block: the area is
 * gone. */
struct swap_device *swap_on_block(struct block_device *block) must_check;
void swap_off_block(struct swap_device *d);
