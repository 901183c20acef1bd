/* sim.c - `quire sim FILE`: the replacement policies of the kernel, replayed over a recorded trace, for several sizes
 * of memory; and beside them the least that is possible.
 *
 * It stands where roster.c and reclaim.c stand in the kernel (kernel/vm/policy.h): memory is so many frames, all of
 * them for the pages of the trace; accessed bits are set by uses, and seen by harvests and when a victim is looked at;
 * what is evicted is evicted 32 pages at a time. */
#include "sim.h"
#include "say.h"
#include "size.h"
#include "trace.h"
#include "vm/policy.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 32u
#define MEMORY_MOST (1ull << 40) /* as of a machine (options.c); frames are numbered by 32 bits */
#define ABSENT 0xffffffffu

static struct {
    const struct policy *policy;
    uint32_t *frame_of; /* [pages]; ABSENT: not in memory */
    uint32_t *page_of;  /* [frames]; ABSENT: free */
    uint8_t *accessed;  /* [frames] the bit of the page table */
    uint8_t *used;      /* [frames] seen by a harvest */
    uint32_t *free;     /* stack of free frames */
    uint32_t free_count, hand;
    uint64_t misses;
} sim;

bool policy_present(u32 frame) { return sim.page_of[frame] != ABSENT; }

bool policy_used(u32 frame) {
    bool used = sim.used[frame];
    sim.used[frame] = 0;
    return used;
}

static void harvest_on(u64 count) {
    for (; count; count--) {
        uint32_t frame = sim.hand;
        sim.hand = sim.hand + 1 < policy_pages ? sim.hand + 1 : 0;
        if (!policy_present(frame) || !sim.accessed[frame])
            continue;
        sim.accessed[frame] = 0;
        if (sim.policy->touched && policy_nodes[frame].queue)
            sim.policy->touched(frame);
        else
            sim.used[frame] = 1;
    }
}

/* A named page: used since, it stays. True: it is evicted. */
static bool examine(uint32_t frame) {
    if (!policy_present(frame))
        return false;
    if (sim.accessed[frame] || sim.used[frame]) {
        sim.accessed[frame] = 0;
        sim.used[frame] = 0;
        sim.policy->stays(frame, true);
        return false;
    }
    uint32_t page = sim.page_of[frame];
    policy_went(sim.policy, frame, page + 1);
    sim.frame_of[page] = ABSENT;
    sim.page_of[frame] = ABSENT;
    sim.free[sim.free_count++] = frame;
    return true;
}

static void reclaim(void) {
    uint32_t named[BATCH];
    unsigned gone = 0;
    for (unsigned vain = 0; gone < BATCH && vain < 1000000; vain++) {
        struct policy_ask ask = {.pages = named, .most = BATCH - gone};
        unsigned count = sim.policy->victims(&ask);
        for (unsigned i = 0; i < count; i++)
            gone += examine(named[i]);
        if (!count && !ask.looked && gone)
            return;
        harvest_on(ask.harvest);
    }
    if (!gone)
        fail("policy %s names nothing that can go", sim.policy->name);
}

static void use(uint32_t page) {
    uint32_t frame = sim.frame_of[page];
    if (frame == ABSENT) {
        sim.misses++;
        if (!sim.free_count)
            reclaim();
        frame = sim.free[--sim.free_count];
        sim.frame_of[page] = frame;
        sim.page_of[frame] = page;
        sim.used[frame] = 0;
        if (sim.policy->insert)
            policy_came(sim.policy, frame, page + 1);
    }
    sim.accessed[frame] = 1;
}

/* Its owner gives it up; the policy is not told, as in the kernel. */
static void free_page(uint32_t page) {
    uint32_t frame = sim.frame_of[page];
    if (frame == ABSENT)
        return;
    sim.frame_of[page] = ABSENT;
    sim.page_of[frame] = ABSENT;
    sim.free[sim.free_count++] = frame;
}

/* Misses of one policy with so many frames, first uses included. */
static uint64_t replay(const struct trace *t, const struct policy *p, uint32_t frames) {
    void *memory = trace_allocate(1, policy_bytes(frames));
    policy_setup(memory, frames);
    sim.policy = p;
    sim.frame_of = trace_allocate(t->pages, sizeof *sim.frame_of);
    sim.page_of = trace_allocate(frames, sizeof *sim.page_of);
    sim.free = trace_allocate(frames, sizeof *sim.free);
    sim.accessed = trace_allocate(frames, 1);
    sim.used = trace_allocate(frames, 1);
    sim.free_count = sim.hand = 0;
    sim.misses = 0;
    memset(sim.frame_of, 0xff, t->pages * sizeof *sim.frame_of);
    for (uint32_t i = frames; i-- > 0;) {
        sim.page_of[i] = ABSENT;
        sim.free[sim.free_count++] = i;
    }
    policy_start(p);
    for (size_t i = 0; i < t->count; i++)
        if (t->steps[i] & STEP_FREED)
            free_page(t->steps[i] & ~STEP_FREED);
        else
            use(t->steps[i]);
    free(sim.frame_of);
    free(sim.page_of);
    free(sim.free);
    free(sim.accessed);
    free(sim.used);
    free(memory);
    return sim.misses;
}

/* ---- the sub-command ---- */

struct request {
    const char *file;
    uint64_t from, to; /* bytes of memory, doubled from one to the next */
    const struct policy *only;
};

static void set_memory(struct request *r, char *text) {
    char *dots = strstr(text, "..");
    if (dots)
        *dots = 0;
    if (!size_parse(text, &r->from) || !size_parse(dots ? dots + 2 : text, &r->to) || r->from < BATCH * 2 * PAGE_SIZE ||
        r->to < r->from || r->to > MEMORY_MOST)
        fail("--memory %s%s%s: write it as 64M, or 16M..256M, 256K at least and 1T at most", text, dots ? ".." : "",
             dots ? dots + 2 : "");
}

bool policy_known(const char *name) { return policy_find(name); }

void policy_names(char *out, size_t room) {
    size_t used = 0;
    *out = 0;
    for (unsigned i = 0; policies[i] && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i ? ", " : "", policies[i]->name);
}

static void parse(struct request *r, int argc, char **argv) {
    static const struct option options[] = {
        {"memory", required_argument, NULL, 'm'}, {"policy", required_argument, NULL, 'p'}, {0}};
    char names[200];
    *r = (struct request){.from = 16 * MiB, .to = 256 * MiB};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":m:", options, NULL)) != -1;) {
        policy_names(names, sizeof names);
        if (option == 'm')
            set_memory(r, optarg);
        else if (option != 'p')
            fail("%s: not an option of sim, or its value is missing; usage: quire sim FILE [--memory A..B] [--policy "
                 "NAME|all]",
                 argv[optind - 1]);
        else if (strcmp(optarg, "all") != 0 && !(r->only = policy_find(optarg)))
            fail("--policy %s: there is no such policy; there are %s", optarg, names);
    }
    if (optind + 1 != argc)
        fail("which trace? usage: quire sim FILE [--memory A..B] [--policy NAME|all]");
    r->file = argv[optind];
}

/* Misses beyond the first uses, which nobody can avoid: what is read back. */
static void print_row(const struct trace *t, const struct request *r, const char *memory, uint32_t frames) {
    printf("%-8s %10llu", memory, (unsigned long long)(belady(t, frames) - t->pages));
    for (unsigned i = 0; policies[i]; i++)
        if (!r->only || r->only == policies[i])
            printf(" %10llu", (unsigned long long)(replay(t, policies[i], frames) - t->pages));
    printf("\n");
    fflush(stdout);
}

int sim_main(int argc, char **argv) {
    struct request r;
    parse(&r, argc, argv);
    struct trace t = trace_read(r.file);
    if (t.room)
        printf("recorded with %u pages in memory: %llu read back when or before they were used; %llu of %llu that came "
               "before were not\n",
               t.room, (unsigned long long)t.back, (unsigned long long)t.vain, (unsigned long long)t.ahead);
    if (t.lost)
        printf("%llu words of it were lost, for the recorder had no room\n", (unsigned long long)t.lost);
    printf("%zu uses of %u pages; pages read back:\n%-8s %10s", t.uses, t.pages, "memory", "least");
    for (unsigned i = 0; policies[i]; i++)
        if (!r.only || r.only == policies[i])
            printf(" %10s", policies[i]->name);
    printf("\n");
    if (t.room >= 2 * BATCH)
        print_row(&t, &r, "recorded", t.room);
    for (uint64_t bytes = r.from; bytes <= r.to; bytes *= 2) {
        char size[24];
        print_row(&t, &r, size_text(bytes, size), (uint32_t)(bytes / PAGE_SIZE));
    }
    free(t.steps);
    return 0;
}
