/* explore.c - every interleaving of a scenario, once.
 *
 * Stateless search: a run follows the choices of the run before it up to one point, takes another thread there, and
 * goes on as it likes. What must be run is found by the runs themselves (dynamic partial-order reduction: Flanagan and
 * Godefroid, POPL 2005; sleep sets: Godefroid, LNCS 1032): two steps of different threads that are about the same word,
 * one of them changing it, and not ordered by anything else, are tried in the other order too. Steps about different
 * words commute: their orders are the same run. So the search is complete for the words that kernel/vm changes by
 * atomic operations and under locks (that nothing else races is ThreadSanitizer's part, threads.c), with sequentially
 * consistent memory.
 *
 * A step is all that a thread does from one point to the next. A thread that waits for a lock, a wake or
 * (machine_pause) a change of what it looked at is not chosen until that has come; if no thread can be chosen, that is
 * a deadlock. Threads that spin may wake one another for ever: while one can go on that does not spin, they make so
 * many turns and no more.
 *
 * A thread that asks for the machine to stand still (HOST_ALONE) is chosen when all others are where it may; then it
 * goes on alone. Leaving such a place is a read of one word, asking is a write to it: so it is tried before and after
 * each.
 *
 * Where that is too much, the search is made again with a bound on preemptions, a larger one each time. It then
 * leaves out the runs with more of them, uses no sleep sets, and makes the further choices that keep it complete below
 * the bound (Coons, Musuvathi, McKinley, OOPSLA 2013).
 *
 * The machine that the set-up left is kept: the program's own variables, the frames in use, the TLBs; and is put back
 * before each run. What this file itself remembers therefore lives outside of them, behind x. */
#include "explore.h"

#include <sys/mman.h>

#include "fiber.h"
#include "vm/area.h"
#include "vm/inner.h"
#include "vm/slab.h"
#include "vm/zswap.h"

#define T EXPLORE_THREADS
#define STEPS_MOST 200000u /* the hand goes round three times, and once more so after all pages were told anew */
#define ACCESSES 13u       /* of one step: a walk of 4 levels, accessed and dirty bits, the page, where it may stop */
#define CELLS 8192u        /* words that one run is about; a power of two */
#define REGIONS 1024u
#define LOOKED 16u /* the last words of a thread: what a spin loop looks at */
#define SPIN 64u   /* steps of one turn of a spin loop, at most */
#define SPINS 2u   /* turns that a thread makes, woken by others that spin, while there is one that does not */

struct access {
    u64 word; /* its address / 8 */
    enum host_op op;
};
struct turn {
    unsigned count;
    struct access access[ACCESSES];
};
struct node {                           /* a choice */
    u8 chosen, before;                  /* the thread; that of the step before it */
    u8 enabled, backtrack, done, sleep; /* threads, as bits */
    u8 spinning, spun;                  /* of those: who gives way of itself; who has done so often enough */
    u8 preemptions;                     /* up to here, this one included */
    struct turn of[T];                  /* what the step of a thread in done or sleep is about */
};
struct cell { /* a word, in this run: steps are numbered from 1; 0: none */
    u64 word, run;
    u32 write, read[T], lock, unlock, try[T];
    u8 write_by, lock_by, unlock_by;
};
struct thread {
    enum host_op op; /* where it stands */
    const volatile void *address;
    unsigned bytes;
    u64 before;   /* what the word held before a write */
    u32 clock[T]; /* the last step of each thread that comes before what this one does next */
    u64 looked[LOOKED];
    unsigned look;
    bool changed;          /* what it looked at, since */
    unsigned spins, steps; /* turns of the spin loop that it is in; steps since the last one began */
};
struct region {
    void *memory, *copy;
    size_t bytes;
};

static struct explorer {
    const struct scenario *scenario;
    unsigned threads, bound; /* bound: 0 none, else preemptions + 1 */
    u32 depth, prefix;       /* steps of this run; of them, those that the search has prescribed */
    u32 step;                /* the one under way, from 1; 0: none */
    unsigned running;
    unsigned alone; /* 1 + the thread that goes on alone; 0: none */
    bool pruned, truncated, talk;
    u64 run;
    struct thread thread[T];
    struct explored *result, replayed;
    unsigned region_count;
    struct region region[REGIONS];
    struct cell cell[CELLS];
    u32 clock[STEPS_MOST + 1][T]; /* by step */
    struct node node[STEPS_MOST];
} * x;
bool explore_on;
struct space *spaces[EXPLORE_SPACES];
struct host_file *files[2];
static struct host_count before;
static struct region kept[16];
static unsigned kept_count;

/* ---- the machine that is put back ---- */

void host_keep(void *memory, size_t bytes) {
    check(kept_count < array_count(kept));
    kept[kept_count++] = (struct region){memory, NULL, bytes};
}

bool host_keeps(const void *memory) {
    bool found = false;
    for (unsigned i = 0; i < kept_count; i++)
        found |= kept[i].memory == memory;
    return found;
}

/* Not memcpy: the sanitizer's guards between variables are copied along. */
static __attribute__((no_sanitize("address", "undefined"))) void copy_raw(void *to, const void *from, size_t bytes) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void keep(void *memory, size_t bytes) {
    if (x->region_count) { /* frames beside one another */
        struct region *last = &x->region[x->region_count - 1];
        if ((char *)last->memory + last->bytes == memory) {
            last->bytes += bytes;
            return;
        }
    }
    check(x->region_count < REGIONS);
    x->region[x->region_count++] = (struct region){memory, NULL, bytes};
}

extern char __data_start, _end;

static void keep_machine(void) {
    keep(&__data_start, (size_t)(&_end - &__data_start));
    for (u64 n = 16; n < frame_count; n++) /* the kernel's image is not there */
        if (frames[n].class != FRAME_FREE)
            keep(frame_va(&frames[n]), PAGE_SIZE);
    size_t bytes;
    void *tlbs = host_tlbs(&bytes);
    keep(tlbs, bytes);
    for (unsigned i = 0; i < kept_count; i++)
        keep(kept[i].memory, kept[i].bytes);
    for (unsigned i = 0; i < x->region_count; i++) {
        struct region *r = &x->region[i];
        r->copy = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(r->copy != MAP_FAILED);
        copy_raw(r->copy, r->memory, r->bytes);
    }
}

static void put_back(void) {
    for (unsigned i = 0; i < x->region_count; i++)
        copy_raw(x->region[i].memory, x->region[i].copy, x->region[i].bytes);
}

/* ---- which steps are about the same ---- */

static bool conflict(enum host_op a, enum host_op b) {
    if (a == HOST_READ && b == HOST_READ)
        return false;
    if (a == HOST_TRY && b == HOST_TRY)
        return false;
    return true;
}

static bool independent(const struct turn *a, const struct turn *b) {
    for (unsigned i = 0; i < a->count; i++)
        for (unsigned k = 0; k < b->count; k++)
            if (a->access[i].word == b->access[k].word && conflict(a->access[i].op, b->access[k].op))
                return false;
    return true;
}

static struct cell *cell_of(u64 word) {
    unsigned at = (unsigned)(word * 0x9e3779b97f4a7c15ULL >> 51) % CELLS;
    for (unsigned tries = 0; tries < CELLS; tries++, at = (at + 1) % CELLS) {
        struct cell *c = &x->cell[at];
        if (c->run != x->run) {
            *c = (struct cell){.word = word, .run = x->run};
            return c;
        }
        if (c->word == word)
            return c;
    }
    panic("a run is about more than %u words", CELLS);
}

static void join(u32 *clock, u32 step) {
    for (unsigned q = 0; q < T; q++)
        clock[q] = max(clock[q], x->clock[step][q]);
}

/* backtrack_at: at the choice before `step`, also let p go, or one that p's present step comes after. */
static void backtrack_at(u32 step, unsigned p) {
    struct node *n = &x->node[step - 1];
    u8 may = 0;
    if (n->enabled & 1u << p)
        may = 1u << p;
    for (u32 later = step + 1; later < x->step && !may; later++) {
        unsigned q = x->node[later - 1].chosen;
        if ((n->enabled & 1u << q) && x->thread[p].clock[q] >= later)
            may = 1u << q;
    }
    if (!may)
        may = n->enabled;
    n->backtrack |= may;
}

/* race: the present step of p and that earlier one could come in the other order. */
static void race(u32 step, unsigned by, unsigned p) {
    if (!step || by == p || x->thread[p].clock[by] >= step)
        return;
    backtrack_at(step, p);
    if (!x->bound)
        return;
    u32 block = step; /* the same one choice earlier, where it costs no preemption */
    while (block > 1 && x->node[block - 2].chosen == x->node[step - 1].chosen)
        block--;
    backtrack_at(block, p);
}

static void tell_spinners(u64 word, unsigned by) {
    for (unsigned q = 0; q < x->threads; q++)
        for (unsigned i = 0; q != by && i < LOOKED; i++)
            x->thread[q].changed |= x->thread[q].looked[i] == word;
}

static void happens(struct cell *c, enum host_op op, unsigned p) {
    struct thread *t = &x->thread[p];
    if (op == HOST_READ || op == HOST_WRITE) {
        race(c->write, c->write_by, p);
        for (unsigned q = 0; q < x->threads && op == HOST_WRITE; q++)
            race(c->read[q], q, p);
    }
    if (op == HOST_LOCK || op == HOST_TRY)
        race(c->lock, c->lock_by, p);
    if (op == HOST_TRY)
        race(c->unlock, c->unlock_by, p);
    for (unsigned q = 0; q < x->threads && (op == HOST_LOCK || op == HOST_UNLOCK); q++)
        race(c->try[q], q, p);
    join(t->clock, c->write);
    join(t->clock, c->lock);
    join(t->clock, c->unlock);
    for (unsigned q = 0; q < x->threads && op != HOST_READ && op != HOST_TRY; q++) {
        join(t->clock, c->read[q]);
        join(t->clock, c->try[q]);
    }
}

void explore_access(enum host_op op, const volatile void *address) {
    unsigned p = x->running;
    struct thread *t = &x->thread[p];
    struct turn *s = &x->node[x->step - 1].of[p];
    u64 word = (u64)(uintptr_t)address >> 3;
    struct cell *c = cell_of(word);
    check(s->count < ACCESSES);
    s->access[s->count++] = (struct access){word, op};
    happens(c, op, p);
    t->looked[t->look++ % LOOKED] = word;
    switch (op) {
    case HOST_READ:
        c->read[p] = x->step;
        break;
    case HOST_WRITE:
        memset(c->read, 0, sizeof(c->read));
        c->write = x->step;
        c->write_by = p;
        break;
    case HOST_LOCK:
        c->lock = x->step;
        c->lock_by = p;
        break;
    case HOST_UNLOCK:
        c->unlock = x->step;
        c->unlock_by = p;
        break;
    case HOST_TRY:
        c->try[p] = x->step;
        break;
    default:
        break; /* HOST_SLEEP only comes after who woke it */
    }
}

/* ---- choosing ---- */

static u64 value_of(const struct thread *t) {
    switch (t->bytes) {
    case 1:
        return *(const volatile u8 *)t->address;
    case 2:
        return *(const volatile u16 *)t->address;
    case 4:
        return *(const volatile u32 *)t->address;
    default:
        return *(const volatile u64 *)t->address;
    }
}

/* It has not begun, has ended, sleeps, or is between two instructions of its program. */
static bool may_stop(unsigned q) {
    return fibers[1 + q].state == FIBER_DONE || fibers[1 + q].stops || x->thread[q].op == HOST_NONE ||
           x->thread[q].op == HOST_ALONE;
}

static bool can_be_alone(unsigned p) {
    bool can = true;
    for (unsigned q = 0; q < x->threads; q++)
        can &= q == p || may_stop(q);
    return can;
}

static bool can_go(unsigned q) {
    const struct thread *t = &x->thread[q];
    if (fibers[1 + q].state == FIBER_DONE || (x->alone && q != x->alone - 1))
        return false;
    switch (t->op) {
    case HOST_ALONE:
        return can_be_alone(q);
    case HOST_LOCK:
        return !value_of(t);
    case HOST_SLEEP:
        return value_of(t);
    case HOST_PAUSE:
        return t->changed;
    default:
        return true;
    }
}

static void finish_step(void) {
    unsigned p = x->running;
    struct thread *t = &x->thread[p];
    if (!x->step)
        return;
    memcpy(x->clock[x->step], t->clock, sizeof(t->clock));
    const struct turn *s = &x->node[x->step - 1].of[p];
    /* a store of what was there wakes nobody, or two spinners wake each other */
    u64 same = t->op == HOST_WRITE && value_of(t) == t->before ? (u64)(uintptr_t)t->address >> 3 : 0;
    for (unsigned i = 0; i < s->count; i++)
        if (s->access[i].op != HOST_READ && s->access[i].word != same)
            tell_spinners(s->access[i].word, p);
    x->step = 0;
}

/* A choice that no run has met before. */
static bool new_node(struct node *n, u8 enabled, unsigned before) {
    u8 sleep = 0;
    if (x->depth && !x->bound) {
        struct node *up = n - 1;
        u8 quiet = (up->sleep | up->done) & ~(1u << up->chosen);
        for (unsigned q = 0; q < x->threads; q++)
            if ((quiet & 1u << q) && independent(&up->of[q], &up->of[up->chosen])) {
                sleep |= 1u << q;
                n->of[q] = up->of[q];
            }
    }
    u8 may = enabled & ~sleep;
    n->enabled = enabled;
    n->sleep = sleep;
    n->done = 0;
    n->before = before;
    if (may & ~n->spinning) /* else two that spin may wake each other for ever, and the third never comes to its turn */
        may &= ~n->spinning;
    else if (!may || (sleep & enabled & ~n->spinning)) /* they wait for what has been tried from here */
        return false;
    n->chosen = may & 1u << before ? before : (unsigned)__builtin_ctz(may);
    n->backtrack = 1u << n->chosen;
    return true;
}

static bool is_preemption(const struct node *n, unsigned chosen) {
    return chosen != n->before && (n->enabled & ~n->spinning & 1u << n->before);
}
static unsigned preemptions_with(const struct node *n, unsigned chosen) {
    unsigned before = n == x->node ? 0 : n[-1].preemptions;
    return before + is_preemption(n, chosen);
}

/* choose: who goes on; false: nobody (the run is over, or given up). */
static bool choose(void) {
    u8 enabled = 0, spinning = 0, spun = 0;
    unsigned left = 0, before = x->running;
    for (unsigned q = 0; q < x->threads; q++) {
        enabled |= can_go(q) << q;
        spinning |= (x->thread[q].op == HOST_PAUSE) << q;
        spun |= (x->thread[q].op == HOST_PAUSE && x->thread[q].spins > SPINS) << q;
        left += fibers[1 + q].state != FIBER_DONE;
    }
    if (!left)
        return false;
    if (!enabled)
        panic("deadlock: every thread waits");
    if (x->depth == STEPS_MOST)
        panic("livelock: %u steps", STEPS_MOST);
    struct node *n = &x->node[x->depth];
    n->spinning = spinning;
    n->spun = enabled & ~spinning ? spun : 0;
    if (x->depth < x->prefix) {
        if (!x->talk && n->enabled != enabled)
            panic("the run is not the same as before: step %u, threads %#x, were %#x", x->depth, enabled, n->enabled);
        if (!(enabled & 1u << n->chosen))
            panic("the schedule does not fit: step %u, thread %u cannot go", x->depth, n->chosen);
    } else if (!new_node(n, enabled, before)) {
        x->pruned = true;
        return false;
    }
    n->preemptions = preemptions_with(n, n->chosen);
    x->running = n->chosen;
    x->step = ++x->depth;
    x->thread[x->running].clock[x->running] = x->step;
    n->of[x->running].count = 0;
    if (may_stop(x->running))
        explore_access(x->thread[x->running].op == HOST_ALONE ? HOST_WRITE : HOST_READ, &x->alone);
    return true;
}

static void go_on(bool last) {
    struct fiber *to = choose() ? &fibers[1 + x->running] : &fibers[0];
    if (to != current)
        fiber_switch(to, last);
}

static void talk(const struct thread *t, const void *from) {
    static const char *const names[] = {"-", "read", "write", "lock", "unlock", "try", "sleep", "pause", "alone"};
    char place[200];
    __sanitizer_symbolize_pc((char *)from - 1, "%f %s:%l", place, sizeof(place));
    fprintf(stderr, "  %5u  %c %-16s %-6s %p  %s\n", x->step, 'a' + (int)x->running, current->name, names[t->op],
            (const void *)t->address, place);
}

void explore_point(enum host_op op, const volatile void *address, unsigned bytes, const void *from) {
    struct thread *t = &x->thread[current - fibers - 1];
    finish_step();
    t->steps++;
    if (op == HOST_PAUSE) {
        t->spins = t->steps > SPIN ? 1 : t->spins + 1;
        t->steps = 0;
    }
    t->op = op;
    t->address = address;
    t->bytes = bytes;
    go_on(false);
    if (unlikely(x->talk))
        talk(t, from);
    if (op == HOST_ALONE) {
        x->alone = x->running + 1;
    } else if (op == HOST_PAUSE) {
        t->changed = false;
        memset(t->looked, 0, sizeof(t->looked));
    } else if (op != HOST_NONE && op != HOST_TRY) {
        if (op == HOST_WRITE)
            t->before = value_of(t);
        explore_access(op, address);
    }
}

void explore_resume(void) { x->alone = 0; }

void explore_end(void) {
    finish_step();
    go_on(true);
}

/* ---- runs ---- */

static bool next_run(void) {
    for (u32 d = x->depth; d-- > 0;) {
        struct node *n = &x->node[d];
        n->done |= 1u << n->chosen;
        for (u8 may = n->backtrack & n->enabled & ~(n->done | n->sleep | n->spun); may; may &= may - 1) {
            unsigned q = (unsigned)__builtin_ctz(may);
            if (x->bound && preemptions_with(n, q) >= x->bound) {
                x->truncated = true;
                continue;
            }
            n->chosen = q;
            x->prefix = d + 1;
            return true;
        }
    }
    return false;
}

/* What is past the end of a file that was cut is gone, whoever was about to bring it. */
static void check_ends(const struct object *o) {
    void *value;
    check_eq(radix_next(&o->tree, object_pages(o), &value), RADIX_NONE);
}

static void finish(void) {
    host_check();
    host_tlb_check();
    if (x->scenario->after)
        x->scenario->after();
    for (unsigned i = 0; i < array_count(files); i++)
        check_ends(&files[i]->object);
    for (unsigned c = 0; c < cpu_count; c++) {
        host_cpu(c);
        space_load(NULL);
    }
    host_cpu(0);
    for (unsigned i = 0; i < EXPLORE_SPACES; i++)
        if (spaces[i])
            space_put(spaces[i]);
    for (unsigned i = 0; i < array_count(files); i++) {
        host_file_resize(files[i], 0);
        check_eq(files[i]->references, 1);
    }
    if (x->scenario->no_device)
        vm_drop_kept();
    check_no_leak(before);
}

static void run(void) {
    put_back();
    for (unsigned q = 0; q < x->threads; q++) {
        ASAN_UNPOISON_MEMORY_REGION(fibers[1 + q].stack, STACK_BYTES);
        fiber_rewind(&fibers[1 + q]);
    }
    memset(x->thread, 0, sizeof(x->thread));
    x->run++;
    x->depth = x->step = 0;
    x->running = x->alone = 0;
    x->pruned = false;
    fibers_running_set(true);
    explore_on = true;
    if (choose())
        fiber_switch(&fibers[1 + x->running], false);
    explore_on = false;
    fibers_running_set(false);
    x->result->steps = max(x->result->steps, (u64)x->depth);
    if (x->pruned)
        x->result->pruned++;
    else
        x->result->runs++;
    if (!x->pruned)
        finish();
}

/* What a CPU would fetch from the others' stores at its first allocation is there beforehand: else every pair of
 * allocations would be two orders. */
void explore_ready(void) {
    for (unsigned c = cpu_count; c-- > 0;) {
        host_cpu(c);
        frame_free(frame_alloc(0, FRAME_KERNEL, 0), 0);
        for (unsigned bytes = 16; bytes <= 256; bytes *= 2)
            kfree(kmalloc(bytes));
        struct space *s = space_create(false);
        space_put(s);
        struct table *t[3];
        for (unsigned i = 0; i < array_count(t); i++)
            t[i] = table_create(1);
        for (unsigned i = 0; i < array_count(t); i++)
            table_retire(t[i]);
        epoch_drain(true);
    }
}

static void prepare(const struct scenario *s) {
    test_seed = 1; /* frames are not poisoned: that costs more than all else */
    machine_start((struct host_config){
        .cpus = T, .bytes = s->bytes ? s->bytes : 2 * MiB, .swap = s->swap, .no_device = s->no_device});
    files[0] = host_file_new('F', 4 * PAGE_SIZE, true);
    files[1] = host_file_new('S', 4 * PAGE_SIZE, false);
    for (unsigned i = 0; i < array_count(files); i++)
        host_keep(files[i], sizeof(*files[i]));
    host_keep(files[0]->contents, 4 * PAGE_SIZE);
    if (s->swap) {
        struct host_area *a = container_of(area_device(0), struct host_area, device);
        host_keep(a->contents, s->swap * PAGE_SIZE);
        host_keep(a->written, s->swap);
    }
    check_eq(zswap_set_limit(s->zswap), 0);
    explore_ready();
    host_settle();
    before = host_count();
    explore_ready();
    s->setup();
    for (unsigned q = 0; q < T && s->thread[q].body; q++, x->threads++) {
        struct space *space = s->thread[q].space < 0 ? NULL : spaces[s->thread[q].space];
        fiber_add(s->thread[q].name, s->thread[q].body, (void *)(u64)q, space);
        fibers[1 + q].cpu = (int)q;
        host_cpu(q);
        if (space && !host_loaded(q, space))
            space_load(space);
    }
    host_cpu(0);
}

static void begin(const struct scenario *s) {
    x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(x != MAP_FAILED);
    x->scenario = s;
    prepare(s);
    keep_machine();
}

/* search: all runs within the bound; false: there are more than `most`. */
static bool search(unsigned bound, u64 most) {
    u64 last = x->result->runs + x->result->pruned + most;
    bool more;
    x->bound = bound;
    x->prefix = 0;
    x->truncated = false;
    do {
        run();
        more = next_run();
    } while (more && x->result->runs + x->result->pruned < last);
    return !more;
}

void explore(const struct scenario *s, u64 most, struct explored *result) {
    most = max(most / max(s->share, 1u), 1UL);
    begin(s);
    x->result = result;
    x->result->all = search(0, most);
    for (unsigned preemptions = 1; !x->result->all && search(preemptions + 1, most) && x->truncated; preemptions++)
        x->result->preemptions = preemptions;
}

void explore_replay(const struct scenario *s, const char *schedule) {
    begin(s);
    while (*schedule >= 'a' && *schedule < 'a' + (int)x->threads) {
        u8 who = (u8)(*schedule++ - 'a');
        for (unsigned long n = strtoul(schedule, (char **)&schedule, 10); n && x->prefix < STEPS_MOST; n--)
            x->node[x->prefix++].chosen = who;
    }
    check(!*schedule);
    x->talk = true;
    x->result = &x->replayed;
    run();
}

bool explore_say(FILE *to) {
    u32 end = 0;
    if (!x)
        return false;
    fprintf(to, "  the interleaving: build/host-tests %s --schedule ", x->scenario->name);
    for (u32 i = 0; i < x->depth; i = end) {
        for (end = i; end < x->depth && x->node[end].chosen == x->node[i].chosen;)
            end++;
        fprintf(to, "%c%u", 'a' + x->node[i].chosen, end - i);
    }
    fprintf(to, "\n");
    return true;
}

/* ---- the list ---- */

static const struct scenario *scenarios[512];
static unsigned known;
void scenario_register(const struct scenario *s) {
    assert(known < array_count(scenarios));
    scenarios[known++] = s;
}
unsigned scenario_count(void) { return known; }
const struct scenario *scenario_at(unsigned i) { return scenarios[i]; }
