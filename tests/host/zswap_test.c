/* zswap_test.c - the compressed tier: its codec, its pool; and itself, above a device. */
#include "host.h"
#include "vm/inner.h"
#include "vm/lz.h"
#include "vm/swap.h"
#include "vm/zpool.h"
#include "vm/zswap.h"

#define AT 0x10000ULL

/* ---- the codec */

static u16 table[LZ_TABLE];

/* Kinds of pages: random, few letters, repeated rows, one word, text with random parts. */
static void draw(u8 *page, unsigned kind) {
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        page[i] = kind == 0   ? rnd()
                  : kind == 1 ? 'a' + rnd_below(4)
                  : kind == 2 ? (u8)(i % 37 * 7)
                  : kind == 3 ? (u8) "quirequi"[i % 8]
                              : (i / 64 % 3 ? "the quick brown fox"[i % 19] : (char)rnd());
}

test_seeds(lz_gives_back_what_it_took, 200) {
    u8 page[PAGE_SIZE], back[PAGE_SIZE];
    for (unsigned kind = 0; kind < 5; kind++) {
        draw(page, kind);
        size_t room = one_in(2) ? PAGE_SIZE * 3 / 4 : 16 + rnd_below(2 * PAGE_SIZE - 16);
        u8 *out = malloc(room); /* exactly: what is written past it is seen */
        size_t bytes = lz_compress(page, PAGE_SIZE, out, room, table);
        check(bytes <= room);
        check(kind < 2 || bytes || room < PAGE_SIZE * 3 / 4);
        if (bytes) {
            check(lz_expand(out, bytes, back, PAGE_SIZE));
            check(!memcmp(page, back, PAGE_SIZE));
            check(!lz_expand(out, bytes - 1, back, PAGE_SIZE));
        }
        free(out);
    }
}

/* Whatever the bytes are, nothing outside is touched. */
test_seeds(lz_bears_damage, 200) {
    u8 page[PAGE_SIZE], *out = malloc(PAGE_SIZE), *back = malloc(PAGE_SIZE);
    draw(page, 1 + rnd_below(4));
    size_t bytes = lz_compress(page, PAGE_SIZE, out, PAGE_SIZE, table);
    check(bytes);
    for (unsigned n = 0; n < 20; n++) {
        out[rnd_below(bytes)] = rnd();
        u8 *part = malloc(bytes);
        memcpy(part, out, bytes);
        (void)lz_expand(part, bytes, back, PAGE_SIZE);
        free(part);
    }
    free(out);
    free(back);
}

/* ---- the pool */

test_seeds(zpool_keeps_objects_apart, 20) {
    struct {
        u8 *at;
        size_t bytes;
        u8 mark;
    } have[200] = {0};
    machine_start((struct host_config){.cpus = 1, .bytes = 8 * MiB});
    zpool_init();
    for (unsigned n = 0; n < 4000; n++) {
        unsigned i = rnd_below(array_count(have));
        for (size_t k = 0; have[i].at && k < have[i].bytes; k++)
            check_eq(have[i].at[k], have[i].mark);
        if (have[i].at) {
            zpool_give(have[i].at);
            have[i].at = NULL;
            continue;
        }
        have[i].bytes = 1 + rnd_below(one_in(3) ? ZPOOL_MOST : 300);
        while (!(have[i].at = zpool_take(have[i].bytes)))
            zpool_add(frame_alloc(0, FRAME_KERNEL, 0));
        have[i].mark = n;
        memset(have[i].at, n, have[i].bytes);
    }
    for (unsigned i = 0; i < array_count(have); i++)
        if (have[i].at)
            zpool_give(have[i].at);
    check_eq(zpool_frames(), 0);
    check(!zpool_old(NULL));
}

/* ---- the tier */

static struct space *s;

static void begin_with(struct host_config c, u64 limit) {
    machine_start(c);
    check_eq(zswap_set_limit(limit), 0);
    struct map_request r = {
        .address = AT << PAGE_SHIFT, .bytes = 4096 << PAGE_SHIFT, .flags = VIEW_READ | VIEW_WRITE, .how = MAP_AT};
    s = space_create(false);
    space_load(s);
    check_eq(space_map(s, &r), r.address);
}

static void begin(u64 swap, u64 limit) {
    begin_with((struct host_config){.cpus = 2, .bytes = 4 * MiB, .swap = swap}, limit);
}

/* With nothing below. */
static void begin_bare(u64 swap, u64 limit) {
    begin_with((struct host_config){.cpus = 2, .bytes = 4 * MiB, .swap = swap, .no_device = true}, limit);
}

static struct zswap_totals totals(void) {
    struct zswap_totals t;
    zswap_totals(&t);
    return t;
}

static void end(void) {
    struct swap_totals swap;
    host_check();
    space_load(NULL);
    space_put(s);
    vm_drop_kept();
    host_settle();
    swap_totals(&swap);
    check_eq(swap.used, 0);
    check_eq(totals().pages, 0);
    check_eq(totals().frames, 0);
    host_check();
}

/* Page i by a seed of its own: `dense` of its 512 words are random, the rest a word that is its number; a page without
 * any is one word. */
static void page_of(u64 i, unsigned dense, u64 *words) {
    u64 state = i * 0x9e3779b97f4a7c15ULL + 1;
    for (unsigned n = 0; n < 512; n++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth, MMIX */
        words[n] = n < dense ? state ^ state >> 29 : i << (i % 3 ? 8 : 56);
    }
}

static void put(u64 i, unsigned dense) {
    u64 words[512];
    page_of(i, dense, words);
    check_eq(mem_access(s, (AT + i) << PAGE_SHIFT, words, PAGE_SIZE, FAULT_WRITE), FAULT_DONE);
}

static void expect(u64 i, unsigned dense) {
    u64 words[512], got[512];
    page_of(i, dense, words);
    check_eq(mem_access(s, (AT + i) << PAGE_SHIFT, got, PAGE_SIZE, FAULT_READ), FAULT_DONE);
    check(!memcmp(words, got, PAGE_SIZE));
}

static void fill_and_look(u64 pages, unsigned (*dense)(u64 i)) {
    for (u64 i = 0; i < pages; i++)
        put(i, dense(i));
    host_check();
    for (unsigned round = 0; round < 2; round++)
        for (u64 i = 0; i < pages; i++)
            expect(i, dense(i));
    check(totals().frames <= totals().limit);
}

static unsigned none(u64 i) { return 0; }
static unsigned quarter(u64 i) { return 128; }
static unsigned mixed(u64 i) { return i % 4 == 3 ? 512 : i % 4 * 100; }

test(zswap_words_take_no_pool) {
    begin(8192, 512);
    fill_and_look(4000, none);
    check(totals().same > 2000);
    check(totals().frames < 64);
    check_eq(host_swap.writes, 0);
    end();
}

test(zswap_holds_twice_memory) {
    begin(8192, 600);
    fill_and_look(1700, quarter);
    check(totals().pages > 700);
    check_eq(host_swap.writes, 0);
    end();
}

test(zswap_spills_the_oldest) {
    begin(4096, 40);
    fill_and_look(2000, mixed);
    check(totals().written_back && totals().incompressible);
    check(host_swap.writes > totals().written_back);
    end();
}

/* With nothing below, what hardly compresses stays, and is asked for once; the rest goes, however few pages of it there
 * are among the others. */
test(zswap_alone_leaves_what_it_refuses) {
    begin_bare(8192, 200);
    for (u64 i = 0; i < 600; i++)
        put(i, i % 40 ? 512 : 0);
    check_eq(vm_reclaim(10), 10);
    check_eq(totals().pages, 10);
    u64 refused = totals().incompressible;
    check(refused >= 300);
    check_eq(vm_reclaim(10), 5);
    check_eq(vm_reclaim(10), 0);
    check_eq(totals().pages, 15);
    check_eq(totals().incompressible, 585);
    for (u64 i = 0; i < 600; i++)
        expect(i, i % 40 ? 512 : 0);
    end();
}

/* Who writes to such a page has it without a copy, and then it is asked for again. */
test(zswap_alone_gives_back_for_writing) {
    struct swap_totals swap;
    begin_bare(8192, 200);
    put(0, 512);
    check_eq(vm_reclaim(5), 0);
    swap_totals(&swap);
    check_eq(swap.used, 1);
    check_eq(swap.cached, 1);
    u64 copies = event_total(EVENT_FAULT_COPY);
    put(0, 512);
    check_eq(event_total(EVENT_FAULT_COPY), copies);
    swap_totals(&swap);
    check_eq(swap.used, 0);
    check_eq(vm_reclaim(5), 0);
    put(0, 100);
    check_eq(vm_reclaim(5), 1);
    expect(0, 100);
    end();
}

/* A full pool: pages stay, and go once there is room again, unless they do not compress. */
test(zswap_alone_is_full) {
    begin_bare(8192, 40);
    for (u64 i = 0; i < 500; i++)
        put(i, 128);
    put(500, 512);
    while (vm_reclaim(32))
        continue;
    u64 kept = totals().pages;
    check(kept >= 80 && kept < 200 && totals().frames == 40 && totals().full >= 300);
    check(zswap_stuck());
    u64 full = totals().full;
    check_eq(vm_reclaim(32), 0);
    check_eq(totals().full, full); /* not asked in vain */
    for (u64 i = 0; i < 501; i++)
        expect(i, i < 500 ? 128 : 512);
    check_eq(zswap_set_limit(400), 0);
    while (vm_reclaim(32))
        continue;
    check_eq(totals().pages, 500);
    check_eq(totals().incompressible, 1);
    for (u64 i = 0; i < 501; i++)
        expect(i, i < 500 ? 128 : 512);
    end();
}

/* A slot's contents change places, and go, with every allocation failing once. */
static void each_allocation_fails(void) {
    for (u64 n = 1; n < 120; n++) {
        alloc_fail_at(n);
        vm_reclaim(40);
        alloc_fail_at(0);
        for (u64 i = n * 8 % 600, k = 0; k < 60; k++)
            put(i + k, mixed(i + k));
        if (n % 16 == 0)
            host_check();
    }
    for (u64 i = 8; i < 600; i++)
        expect(i, mixed(i));
    end();
}

test(zswap_each_allocation_may_fail) {
    begin(4096, 30);
    each_allocation_fails();
}

test(zswap_alone_each_allocation_may_fail) {
    begin_bare(4096, 30);
    each_allocation_fails();
}

static void user(void *argument) {
    u64 first = (u64)(uintptr_t)argument;
    for (u64 i = 0; i < 500; i++)
        put(first + i, mixed(i + first));
    for (u64 i = 0; i < 500; i++)
        expect(first + i, mixed(i + first));
}

static void forker(void *unused) {
    for (unsigned i = 0; i < 6; i++) {
        struct space *c = space_fork(s);
        fiber_yield();
        if (!is_err(c))
            space_put(c);
    }
}

static void race(void) {
    fiber_add("user", user, (void *)0, s);
    fiber_add("user too", user, (void *)600, s);
    fiber_add("third", user, (void *)1200, s);
    fiber_add("forker", forker, NULL, s);
    fibers_run(20 + (unsigned)rnd_below(100));
    end();
}

test_seeds(zswap_race, 6) {
    begin(4096, 40);
    race();
}

test_seeds(zswap_alone_race, 6) {
    begin_with((struct host_config){.cpus = 2, .bytes = 8 * MiB, .swap = 4096, .no_device = true}, 100);
    race();
}
