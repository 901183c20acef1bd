/* thread_test.c - threads of several processes that fault, fork, unmap, protect, move, reclaim and swap at once, each a
 * fixed number of times, under ThreadSanitizer: two accesses to a word, one of them a write, that nothing orders, end
 * the test. The words of programs are included: a page that is copied while a CPU may still write to it is a race.
 *
 * Each thread has a word of its own in each page of what all share, and knows what it wrote there last; and pages of
 * its own, in the same leaf, that come and go. Two leaves are shown large: one that all share, and one that comes and
 * goes as a whole. */
#include "host.h"
#include "vm/background.h"
#include "vm/inner.h"
#include "vm/policy.h"
#include "vm/zswap.h"

#define THREADS 4
#define ROUNDS 150
#define SHARED 0x101fcULL /* pages that all use, across a border of leaves */
#define SHARED_PAGES 8
#define FILE_PAGE 0x10208ULL /* private, of a file */
#define FILE_PAGES 4
#define OWN 0x10220ULL   /* 8 pages for each thread */
#define LARGE 0x10400ULL /* a whole leaf, of which all use some pages */
#define LARGE_PAGES 4
#define LOOSE 0x10600ULL /* another, whose contents nobody knows */
#define KNOWN (SHARED_PAGES + FILE_PAGES + LARGE_PAGES)
#define RW (VIEW_READ | VIEW_WRITE)

extern bool host_broken;
static struct space *parent;
static struct host_file *file, *written, *cut;

static u64 address_of(unsigned thread, unsigned index) {
    u64 page = index < SHARED_PAGES                ? SHARED + index
               : index < SHARED_PAGES + FILE_PAGES ? FILE_PAGE + index - SHARED_PAGES
                                                   : LARGE + 100 * (index - SHARED_PAGES - FILE_PAGES);
    return (page << PAGE_SHIFT) + 8 * (thread + 1);
}
static void map_at(struct space *s, u64 page, u64 pages, u32 flags, struct host_file *f) {
    struct map_request r = {.address = page << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    check_eq(space_map(s, &r), r.address);
}

struct known {
    unsigned me;
    u64 last[KNOWN];
    bool set[KNOWN];
};

static void look(struct space *s, struct known *k, unsigned index) {
    u64 value;
    check_eq(mem_read(s, address_of(k->me, index), &value), FAULT_DONE);
    if (k->set[index])
        check_eq(value, k->last[index]);
}
static void store(struct space *s, struct known *k, unsigned index) {
    u64 value = rnd() >> 8;
    check_eq(mem_write(s, address_of(k->me, index), value), FAULT_DONE);
    k->last[index] = value;
    k->set[index] = true;
}

static void fork_and_look(struct known *k) {
    struct known of_child = *k;
    struct space *child = space_fork(parent);
    check(!is_err(child));
    fiber_use(child);
    for (unsigned i = 0; i < 4; i++) {
        unsigned index = (unsigned)rnd_below(KNOWN);
        if (one_in(2))
            store(child, &of_child, index);
        look(child, &of_child, index);
    }
    fiber_use(parent);
    space_put(child);
}

static void own_pages(struct known *k) {
    u64 first = OWN + k->me * 8 + rnd_below(4), pages = 1 + rnd_below(4);
    enum fault_outcome outcome;
    switch (rnd_below(6)) {
    case 0:
        check_eq(space_unmap(parent, first << PAGE_SHIFT, pages << PAGE_SHIFT), 0);
        break;
    case 1:
        map_at(parent, first, pages, RW, NULL);
        break;
    case 2:
        map_at(parent, first, 1, RW | VIEW_SHARED, written);
        check_eq(mem_write(parent, (first << PAGE_SHIFT) + 8 * k->me, rnd()), FAULT_DONE);
        break;
    case 3:
        map_at(parent, first, 1, RW, cut);
        outcome = mem_write(parent, (first << PAGE_SHIFT) + 8 * k->me, rnd());
        check(outcome == FAULT_DONE || outcome == FAULT_BUS_ADRERR);
        break;
    case 4:
        space_protect(parent, first << PAGE_SHIFT, pages << PAGE_SHIFT, VIEW_READ);
        break;
    default:
        mem_discard(parent, first << PAGE_SHIFT, pages << PAGE_SHIFT);
    }
}

static void files_and_memory(struct known *k) {
    u64 value;
    switch (rnd_below(6)) {
    case 0:
        if (k->me) /* the background is one task */
            vm_reclaim(8);
        else
            vm_background_batch();
        break;
    case 1:
        check_eq(object_sync(&written->object, 0, 1), 0);
        break;
    case 2:
        object_drop(&file->object, 0, FILE_PAGES);
        break;
    case 3:
        host_file_resize(cut, rnd_below(2) * PAGE_SIZE);
        break;
    case 4:
        space_copy(parent, address_of(k->me, 0), &value, sizeof(value), false, false);
        break;
    default: {
        struct space_totals t;
        space_totals(parent, &t);
    }
    }
}

/* What is written after MADV_FREE returned stays, whatever reclaim does. */
static void lazily(struct known *k) {
    u64 first = OWN + k->me * 8, address = (first << PAGE_SHIFT) + 8, value, written_last = rnd() >> 8;
    map_at(parent, first, 8, RW, NULL);
    check_eq(mem_write(parent, address, 1), FAULT_DONE);
    space_pages_free(parent, first, first + 8);
    check_eq(mem_write(parent, address, written_last), FAULT_DONE);
    vm_reclaim(16);
    check_eq(mem_read(parent, address, &value), FAULT_DONE);
    check_eq(value, written_last);
}

static void in_and_out(struct known *k) {
    switch (rnd_below(5)) {
    case 0:
        space_pages_out(parent, SHARED, SHARED + SHARED_PAGES);
        break;
    case 1:
        space_pages_out(parent, LARGE, LARGE + 3);
        break;
    case 2:
        space_pages_in(parent, SHARED, SHARED + SHARED_PAGES);
        break;
    case 3:
        lazily(k);
        break;
    default:
        vm_reclaim(64);
    }
}

/* Where pages go when memory is short: a second area comes and goes, the tier grows and shrinks, the policy changes. */
static struct mutex changing = MUTEX_INIT(changing);
static int second;
static int go_on(void) { return 0; }
static void second_area(void) {
    if (second) {
        check_eq(area_empty((unsigned)second, go_on), 0);
        host_swap_drop((unsigned)second);
        second = 0;
    } else {
        second = host_swap_add(512, (int)rnd_below(3));
        check(second > 0);
    }
}
static void ways_out(void) {
    static const char *const names[] = {"clock", "lirs", "sieve"};
    mutex_lock(&changing);
    switch (rnd_below(6)) {
    case 0:
        check_eq(vm_policy_choose(names[rnd_below(array_count(names))]), 0);
        break;
    case 1:
        check_eq(zswap_set_limit(rnd_below(4)), 0);
        break;
    default:
        second_area();
    }
    mutex_unlock(&changing);
}

static void loose_leaf(struct known *k) {
    u64 page = LOOSE + rnd_below(TABLE_SLOTS), value;
    switch (rnd_below(7)) {
    case 0:
        map_at(parent, LOOSE, TABLE_SLOTS, RW, NULL);
        break;
    case 1:
        (void)mem_write(parent, (page << PAGE_SHIFT) + 8 * k->me, rnd());
        break;
    case 2:
        (void)mem_read(parent, (page << PAGE_SHIFT) + 8 * k->me, &value);
        break;
    case 3:
        space_pages_cold(parent, LOOSE, LOOSE + 1);
        break;
    case 4:
        (void)space_protect(parent, page << PAGE_SHIFT, PAGE_SIZE, VIEW_READ);
        break;
    case 5:
        (void)mem_discard(parent, page << PAGE_SHIFT, PAGE_SIZE);
        break;
    default:
        check_eq(space_unmap(parent, LOOSE << PAGE_SHIFT, TABLE_SLOTS << PAGE_SHIFT), 0);
    }
}

static void worker(void *argument) {
    struct known k = {.me = (unsigned)(u64)argument};
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned index = (unsigned)rnd_below(KNOWN);
        switch (rnd_below(11)) {
        case 10:
            ways_out();
            break;
        case 0:
            fork_and_look(&k);
            break;
        case 1:
            own_pages(&k);
            break;
        case 2:
            files_and_memory(&k);
            break;
        case 3:
            in_and_out(&k);
            break;
        case 4:
            loose_leaf(&k);
            break;
        case 5:
        case 6:
            store(parent, &k, index);
            break;
        default:
            look(parent, &k, index);
        }
    }
    fiber_use(NULL);
}

static void threads(void) {
    machine_start((struct host_config){.cpus = THREADS, .swap = 2048});
    file = host_file_new('F', FILE_PAGES * PAGE_SIZE, true);
    written = host_file_new('W', PAGE_SIZE, true);
    cut = host_file_new('C', PAGE_SIZE, false);
    check_eq(zswap_set_limit(2), 0);
    host_settle();
    struct host_count before = host_count();
    parent = space_create(false);
    map_at(parent, SHARED, SHARED_PAGES, RW, NULL);
    map_at(parent, FILE_PAGE, FILE_PAGES, RW, file);
    map_at(parent, LARGE, TABLE_SLOTS, RW, NULL);
    for (u64 t = 0; t < THREADS; t++)
        fiber_add("worker", worker, (void *)t, parent);
    fibers_run(0);
    host_check();
    host_tlb_check();
    for (unsigned c = 0; c < cpu_count; c++) {
        host_cpu(c);
        space_load(NULL);
    }
    host_cpu(0);
    if (second)
        second_area();
    space_put(parent);
    host_file_put(file);
    host_file_put(written);
    host_file_put(cut);
    check_no_leak(before);
}

test_seeds(threads_of_everything, 12) { threads(); }

/* The planted race: the same, with locks that exclude but say so to nobody. If this passes, nothing was looked at. */
static void planted(void) {
    host_broken = true;
    threads();
}
test(threads_planted_race) { check_status(66, "ThreadSanitizer: data race", planted); }
