/* zpool.h - small objects packed into frames, for zswap.c. All its functions are called with zswap's lock held, but for
 * zpool_add, whose frame comes from the caller. */
#pragma once

#include "lib/base.h"

#define ZPOOL_MOST 4032u /* bytes of an object */

void zpool_init(void);
u64 zpool_frames(void); /* that it has */
/* zpool_take: an object of so many bytes, the youngest, or NULL: a frame more is needed. zpool_add: here it is (class
 * FRAME_KERNEL, counts 0). */
void *zpool_take(size_t bytes);
struct frame;
void zpool_add(struct frame *f);
/* zpool_give: the object is gone, and its frame too (freed) if it was the last one there. */
void zpool_give(void *object);
/* zpool_old: the objects of the frame that came first: the first of them after `after` (NULL: the first), or NULL. */
void *zpool_old(const void *after);
