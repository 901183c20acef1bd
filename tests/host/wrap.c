/* wrap.c - the allocators as kernel/vm calls them: the linker sends each call from another file here first (--wrap). A
 * call that may sleep panics under a spin lock or in an epoch section, whether it would have slept this time or not. */
#include "fiber.h"

struct frame *__real_frame_alloc(unsigned order, enum frame_class class, unsigned how);
void __real_frame_free(struct frame *f, unsigned order);
void __real_frame_free_list(struct frame *list);
void *__real_slab_alloc(struct slab_cache *c);
void *__real_slab_alloc_zeroed(struct slab_cache *c);
void *__real_kmalloc(size_t bytes);
void *__real_kzalloc(size_t bytes);
struct frame *__wrap_frame_alloc(unsigned order, enum frame_class class, unsigned how);
void __wrap_frame_free(struct frame *f, unsigned order);
void __wrap_frame_free_list(struct frame *list);
void *__wrap_slab_alloc(struct slab_cache *c);
void *__wrap_slab_alloc_zeroed(struct slab_cache *c);
void *__wrap_kmalloc(size_t bytes);
void *__wrap_kzalloc(size_t bytes);

struct frame *__wrap_frame_alloc(unsigned order, enum frame_class class, unsigned how) {
    if (!(how & FRAME_ATOMIC))
        host_may_sleep("frame_alloc");
    return __real_frame_alloc(order, class, how);
}
/* Before any frame is freed no CPU may translate to it (invariant 6); looked at where machines are small. */
void __wrap_frame_free(struct frame *f, unsigned order) {
    if (exploring())
        host_tlb_none(f);
    __real_frame_free(f, order);
}
void __wrap_frame_free_list(struct frame *list) {
    for (struct frame *f = list; f && exploring(); f = f->free.next)
        host_tlb_none(f);
    __real_frame_free_list(list);
}
void *__wrap_slab_alloc(struct slab_cache *c) {
    host_may_sleep("slab_alloc");
    return __real_slab_alloc(c);
}
void *__wrap_slab_alloc_zeroed(struct slab_cache *c) {
    host_may_sleep("slab_alloc_zeroed");
    return __real_slab_alloc_zeroed(c);
}
void *__wrap_kmalloc(size_t bytes) {
    host_may_sleep("kmalloc");
    return __real_kmalloc(bytes);
}
void *__wrap_kzalloc(size_t bytes) {
    host_may_sleep("kzalloc");
    return __real_kzalloc(bytes);
}
