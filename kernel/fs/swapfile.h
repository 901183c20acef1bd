/* swapfile.h - swap areas as programs see them: swapon(2), swapoff(2), /proc/swaps. */
#pragma once

#include "fs/vfs.h"

/* swap_on, swap_off: the calls; the caller may. Errors as swapon(2) has them. May sleep long. */
long swap_on(const char __user *name, int flags);
long swap_off(const char __user *name);
/* swap_start: the areas that the command gave (-s) are used, in its order; those without a header get one. At boot. */
void swap_start(void);
/* swap_set_tier: the compressed tier may have so many frames. Where there is no area it gets one of its own, with
 * nothing below, which goes, as by swapoff, when the tier is given none. 0; -ENOMEM, -EINTR: all is as before. Sleeps.
 */
int swap_set_tier(u64 frames);
