/* slab_test.c - slabs, kmalloc, what they do with misuse. */
#include "host.h"

#define BARE                                                                                                           \
    (struct host_config) { .bare = true }

test(slab_objects_are_apart_and_counted) {
    machine_start(BARE);
    static const size_t sizes[] = {8, 24, 56, 120, 200, 520, 700, 1000, 3000, 5000, 9000};
    for (unsigned k = 0; k < array_count(sizes); k++) {
        struct slab_cache *c = slab_create("test", sizes[k], k % 2 ? 64 : 8);
        static u8 *got[300];
        for (int i = 0; i < 300; i++) {
            got[i] = slab_alloc_zeroed(c);
            check(got[i] != NULL);
            check_eq((u64)got[i] % (k % 2 ? 64 : 8), 0);
            for (size_t b = 0; b < sizes[k]; b++)
                check_eq(got[i][b], 0);
            memset(got[i], i + 1, sizes[k]);
        }
        check_eq(slab_live(c), 300);
        for (int i = 0; i < 300; i++) {
            for (size_t b = 0; b < sizes[k]; b++)
                check_eq(got[i][b], (u8)(i + 1));
            slab_free(c, got[i]);
        }
        check_eq(slab_live(c), 0);
    }
}

test(slab_empty_slabs_go_back) {
    machine_start(BARE);
    struct slab_cache *c = slab_create("test", 256, 8);
    host_settle();
    struct host_count before = host_count();
    static void *got[2000];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2000; i++)
            got[i] = slab_alloc(c);
        for (int i = 0; i < 2000; i++)
            slab_free(c, got[i * 7 % 2000]);
        struct frame_totals t;
        frame_totals(&t);
        /* at most a magazine's slabs, if its objects lie in as many, and the kept one */
        check(t.frames[FRAME_SLAB] <= before.frames.frames[FRAME_SLAB] + 18);
    }
    check_no_leak(before);
}

test(slab_memory_of_idle_cpus_comes_back_when_short) {
    machine_start((struct host_config){.cpus = 2, .bytes = 2 * MiB, .bare = true});
    static void *got[4096];
    u64 n = 0, frames_had;
    host_cpu(1);
    while ((got[n] = kmalloc(2000)))
        n++;
    while (n)
        kfree(got[--n]);
    frames_had = frame_free_count();
    host_cpu(0);
    struct frame *f[512];
    while ((f[n] = frame_alloc(0, FRAME_ANON, 0)))
        n++;
    check(n >= frames_had - 8); /* all but the reserve */
    while (n)
        frame_free(f[--n], 0);
}

test(kmalloc_any_size) {
    machine_start(BARE);
    host_settle();
    struct host_count before = host_count();
    for (size_t bytes = 0; bytes < 20000; bytes += bytes < 3000 ? 1 : 997) {
        u8 *p = kzalloc(bytes), *q = kmalloc(bytes);
        check(p && q && p != q);
        check_eq(kmalloc_live() - before.kmalloc, 2);
        check_eq((u64)p % 16, 0);
        if (bytes && !(bytes & (bytes - 1)) && bytes <= PAGE_SIZE)
            check_eq((u64)p % bytes, 0);
        memset(q, 0xff, bytes);
        for (size_t b = 0; b < bytes; b++)
            check_eq(p[b], 0);
        kfree(p);
        kfree(q);
    }
    check(kmalloc(8 * MiB) == NULL);
    check(kmalloc(~0UL - 5) == NULL);
    kfree(NULL);
    char *s = kstrdup("quire");
    check_text(s, "quire");
    kfree(s);
    check_no_leak(before);
}

static void double_free(void) {
    char *p = kmalloc(100), *q = kmalloc(100);
    kfree(p);
    kfree(q);
    kfree(p);
}
static void double_free_later(void) {
    static char *p[200];
    for (int i = 0; i < 200; i++)
        p[i] = kmalloc(100);
    for (int i = 0; i < 200; i++)
        kfree(p[i]);
    kfree(p[3]);
}
static void free_inside(void) { kfree((char *)kmalloc(100) + 16); }
static void free_foreign(void) {
    int x = 0;
    kfree(&x);
}
static void free_to_wrong_cache(void) {
    struct slab_cache *a = slab_create("a", 64, 8), *b = slab_create("b", 64, 8);
    slab_free(b, slab_alloc(a));
}
static void use_after_free(void) {
    u64 *p = kmalloc(100);
    kfree(p);
    memset(p, 1, 100);
    p = kmalloc(100);
    p = kmalloc(100);
    kfree(p);
}
test(slab_misuse_panics) {
    machine_start(BARE);
    check_panics("free already", double_free);
    check_panics("free already", double_free_later);
    check_panics("no object of", free_inside);
    check_panics("no memory of ours", free_foreign);
    check_panics("no object of b", free_to_wrong_cache);
    check_panics("written to while free", use_after_free);
}

test(slab_bytes_that_look_like_a_canary_are_no_double_free) {
    machine_start(BARE);
    u64 *p = kmalloc(64);
    kfree(p);
    u64 canary = p[1];
    u64 *again = kmalloc(64);
    check(again == p);
    again[1] = canary;
    kfree(again);
}

static struct slab_cache *shared;
static void slab_worker(void *argument) {
    u64 me = (u64)argument;
    u64 *mine[60] = {0};
    for (unsigned i = 0; i < 600; i++) {
        unsigned k = (unsigned)rnd_below(60);
        if (!mine[k]) {
            mine[k] = slab_alloc(shared);
            if (mine[k])
                mine[k][0] = mine[k][1] = mine[k][20] = me << 32 | k;
            continue;
        }
        check(mine[k][0] == (me << 32 | k) && mine[k][1] == mine[k][0] && mine[k][20] == mine[k][0]);
        slab_free(shared, mine[k]);
        mine[k] = NULL;
        if (one_in(50))
            slab_shrink();
    }
    for (unsigned k = 0; k < 60; k++)
        slab_free(shared, mine[k]);
}
test_seeds(slab_cpus_do_not_share_an_object, 10) {
    machine_start((struct host_config){.cpus = 3, .bytes = 2 * MiB, .bare = true});
    shared = slab_create("shared", 168, 8);
    host_settle();
    struct host_count before = host_count();
    for (u64 i = 1; i <= 4; i++)
        fiber_add("worker", slab_worker, (void *)i, NULL);
    fibers_run(5);
    check_eq(slab_live(shared), 0);
    check_no_leak(before);
}
