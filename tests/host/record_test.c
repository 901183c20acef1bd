/* record_test.c - the trace recorder: what is told of a machine that swaps adds up, and what finds no room is counted.
 */
#include "host.h"
#include "vm/record.h"
#include "vm/roster.h"
#include "vm/swap.h"

#define AT 0x10000ULL
#define WORDS 65536u

static u64 ring[WORDS];

static void map_and_use(struct space *s, u64 pages, unsigned rounds) {
    struct map_request r = {
        .address = AT << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = VIEW_READ | VIEW_WRITE, .how = MAP_AT};
    check_eq(space_map(s, &r), r.address);
    for (unsigned round = 0; round < rounds; round++)
        for (u64 i = AT; i < AT + pages; i++)
            check_eq(mem_write(s, i << PAGE_SHIFT, i), FAULT_DONE);
}

struct seen {
    bool in[4096];   /* by frame: something is in it */
    bool went[8192]; /* by key */
    u64 back, out, freed;
    u64 touched, harvests;
};

static void see(struct seen *s, u64 word) {
    u32 frame = trace_frame_of(word), key = trace_key_of(word);
    switch (trace_kind_of(word)) {
    case TRACE_CAME:
    case TRACE_AHEAD:
        check(!s->in[frame]);
        s->in[frame] = true;
        s->back += key && s->went[key];
        break;
    case TRACE_WENT:
        check(s->in[frame] && key);
        s->in[frame] = false;
        s->went[key] = true;
        s->out++;
        break;
    case TRACE_FREED:
        s->freed += s->in[frame];
        s->in[frame] = false;
        break;
    case TRACE_TOUCHED:
        check(s->in[frame]);
        s->touched++;
        break;
    default:
        check_eq(trace_kind_of(word), TRACE_HARVEST);
        s->harvests++;
    }
}

/* Every page that was read back, by the device's own count, is told, and in the end no frame has anything. */
test_seeds(record_adds_up, 6) {
    static struct seen seen;
    const u64 *words;
    machine_start((struct host_config){.cpus = 2, .bytes = 2 * MiB, .swap = 4096});
    check_eq(vm_policy_choose(policies[test_seed % 6]->name), 0);
    record_start(ring, WORDS);
    roster_record();
    struct space *s = space_create(false);
    space_load(s);
    map_and_use(s, 700, 4);
    space_load(NULL);
    space_put(s);
    host_settle();
    u32 count = record_peek(&words);
    check(count > 1000 && count < WORDS);
    for (u32 i = 0; i < count; i++)
        see(&seen, words[i]);
    check(seen.back && seen.touched && seen.harvests && seen.freed);
    check_eq(seen.back, host_swap.reads);
    for (unsigned i = 0; i < array_count(seen.in); i++)
        check(!seen.in[i]);
}

test(record_counts_what_is_lost) {
    const u64 *words;
    machine_start((struct host_config){.cpus = 1, .bytes = 2 * MiB});
    record_start(ring, 8);
    for (u32 i = 0; i < 11; i++)
        record(TRACE_FREED, &frames[i], 0);
    check(record_crowded());
    check_eq(record_peek(&words), 8);
    check_eq(words[7], trace_word(TRACE_FREED, 7, 0));
    record_taken(5);
    check_eq(record_peek(&words), 3); /* up to the ring's end */
    record_taken(3);
    check_eq(record_peek(&words), 1);
    check_eq(words[0], trace_word(TRACE_LOST, 0, 3));
    record_taken(1);
    check_eq(record_peek(&words), 0);
}

static bool told;

static void tells(void *argument) {
    for (u32 i = 0; i < 100; i++) {
        record(TRACE_FREED, &frames[i], 0);
        record_pause();
    }
    atomic_store(&told, true);
    waitq_wake_all(&record_filling);
}

static void takes(void *argument) {
    const u64 *words;
    for (u32 next = 0, count; next < 100; next += count) {
        wait_until(&record_filling, record_crowded() || atomic_load(&told));
        count = record_peek(&words);
        for (u32 i = 0; i < count; i++)
            check_eq(words[i], trace_word(TRACE_FREED, next + i, 0));
        record_taken(count);
    }
}

/* Who may sleep waits for room: nothing is lost. */
test_seeds(record_waits_for_room, 20) {
    machine_start((struct host_config){.cpus = 2, .bytes = 2 * MiB});
    record_start(ring, 8);
    fiber_add("tells", tells, NULL, NULL);
    fiber_add("takes", takes, NULL, NULL);
    fibers_run(4);
}
