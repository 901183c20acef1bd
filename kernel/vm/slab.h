/* slab.h - kernel memory smaller than a page: caches of equal objects, and kmalloc by size classes on top of them. */
#pragma once

#include "lib/base.h"

struct slab_cache;
/* slab_create: a cache of objects of `bytes`, aligned to `align` (power of two, 8 at least). Named for /proc and leak
 * reports. */
struct slab_cache *slab_create(const char *name, size_t bytes, size_t align);
void *slab_alloc(struct slab_cache *c)
    must_check; /* NULL when out of memory; may sleep (reclaim); contents undefined */
void *slab_alloc_zeroed(struct slab_cache *c) must_check;
void slab_free(struct slab_cache *c, void *object); /* NULL is fine */
u64 slab_live(const struct slab_cache *c);          /* objects out: for leak counts */

/* kmalloc: any size; over a page it takes whole pages. NULL when out of memory. May sleep. */
void *kmalloc(size_t bytes) must_check;
void *kzalloc(size_t bytes) must_check;
void kfree(void *p); /* NULL is fine */
char *kstrdup(const char *s) must_check;
u64 kmalloc_live(void); /* blocks out */

/* slab_info: what is known of the nth cache, about (the machine runs); false: there is no such. */
struct slab_info {
    const char *name;
    u64 live; /* objects out */
    u32 bytes, per_slab, pages_per_slab;
};
bool slab_info(unsigned n, struct slab_info *out);

void slab_init(void); /* after frame_init */
/* slab_shrink: give empty slabs, and what the CPUs cache of them, back to the buddy. Returns frames. No lock held. */
u64 slab_shrink(void);
