/* machine.c - the hosted machine: memory in an array, CPUs with a software TLB, the page walk in C. It implements
 * vm/machine.h.
 *
 * The TLB caches leaf entries, with the rights of the whole path, and pointers to lower tables at every level, and
 * forgets nothing until it is told to; so a flush that is missing shows as an access to what is no longer there. What
 * is checked at each access: every table that the walk reads is a table now, and the frame belongs to a program now.
 *
 * As on x86, a page fault forgets what was cached for its own address (Intel SDM vol. 3A, 4.10.4.1), so a right that
 * was raised needs no flush. */
#include <sys/mman.h>

#include "host.h"
#include "rules.h"
#include "vm/commit.h"
#include "vm/inner.h"
#include "vm/roster.h"
#include "vm/swap.h"

#ifndef TLB_SLOTS
#define TLB_SLOTS 1024u /* half of it is used at most: more than any test's pages and tables */
#endif
#define DIRECT_HOLE (64 * KiB)

struct tlb_line {
    u64 key; /* 1 + (page number of what the entry covers | level << 56); 0: unused */
    entry e; /* its write and no-execute bits are those of the whole path */
};
struct host_cpu {
    struct machine_space *loaded;
    struct tlb_line tlb[TLB_SLOTS];
    unsigned used;
};
static struct host_cpu *cpus;
unsigned cpu_count = 1;
char *frame_direct;
struct host_sites *host_sites;
long host_mutant = -1;

/* ---- boot */

struct memory_range boot_ranges[8];
unsigned boot_range_count;

void *boot_alloc(size_t bytes, size_t align) {
    struct memory_range *free = NULL;
    for (unsigned i = 0; i < boot_range_count; i++)
        if (boot_ranges[i].kind == RAM_FREE && boot_ranges[i].bytes >= bytes + PAGE_SIZE)
            free = &boot_ranges[i];
    check(free && free[1].kind == RAM_BOOT);
    bytes = page_align_up(bytes);
    free->bytes -= bytes;
    free[1].start -= bytes;
    free[1].bytes += bytes;
    return memset(frame_direct + free[1].start, 0, bytes);
}

static void range_add(u64 start, u64 end, enum memory_kind kind) {
    boot_ranges[boot_range_count++] = (struct memory_range){start, end - start, kind};
}

/* kernel | free | boot [| hole | free | boot] [reserved] */
static void lay_out(const struct host_config *c) {
    u64 end = c->bytes, from = DIRECT_HOLE;
    range_add(0, from, RAM_KERNEL);
    if (c->hole) {
        range_add(from, c->hole, RAM_FREE);
        range_add(c->hole, c->hole, RAM_BOOT);
        from = c->hole + c->hole_bytes;
    }
    if (c->reserved) {
        range_add(from, c->reserved, RAM_FREE);
        range_add(c->reserved, c->reserved, RAM_BOOT);
        range_add(c->reserved, c->reserved + c->reserved_bytes, RAM_RESERVED);
        from = c->reserved + c->reserved_bytes;
    }
    range_add(from, end, RAM_FREE);
    range_add(end, end, RAM_BOOT);
}

void machine_start(struct host_config c) {
    c.bytes = c.bytes ? c.bytes : 16 * MiB;
    cpu_count = c.cpus ? c.cpus : 2;
    cpus = mmap(NULL, cpu_count * sizeof(*cpus), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(cpus != MAP_FAILED);
    frame_direct = mmap(NULL, c.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(frame_direct != MAP_FAILED);
    lay_out(&c);
    frame_poison = test_seed % 2 == 0; /* the other half takes the short cuts of a machine in use */
    frame_init(boot_ranges, boot_range_count);
    slab_init();
    commit_mode = COMMIT_ALWAYS; /* tests map more than there is memory */
    if (!c.bare) {
        vm_init();
    } else {
        roster_init();
        radix_init();
    }
    if (c.swap)
        host_swap_start(c.swap, c.no_device);
    for (unsigned i = 0; i < cpu_count; i++) { /* what a CPU allocates once is no leak */
        host_cpu(i);
        kfree(kmalloc(16));
    }
    host_cpu(0);
}

/* ---- the seam */

static u64 reads; /* of all tasks: enough for tests that have one */
u32 machine_stall(u32 kinds) {
    atomic_add(&reads, (kinds & STALL_READ) != 0);
    return 0;
}
u64 machine_reads(void) { return atomic_load_relaxed(&reads); }
void machine_faulted(bool major) {}
void machine_breathe(void) {}
u64 host_dies_after;
bool machine_goes_on(void) { return !host_dies_after || --host_dies_after; }
void machine_stall_over(u32 kinds) {}
void machine_zero_page(void *page) {
    host_point(HOST_WRITE, page, sizeof(u64));
    memset(page, 0, PAGE_SIZE);
}
void machine_copy_page(void *to, const void *from) {
    host_point(HOST_WRITE, to, sizeof(u64));
    host_also(HOST_READ, from);
    memcpy(to, from, PAGE_SIZE);
}

#define KERNEL_SLOT (0xfeedULL << 12 | ENTRY_PRESENT) /* what stands for the kernel's half of a root */
void machine_root_init(entry *root) { root[TABLE_SLOTS / 2] = KERNEL_SLOT; }
void machine_root_clear(entry *root) { root[TABLE_SLOTS / 2] = 0; }

static void tlb_forget(struct host_cpu *c) {
    memset(c->tlb, 0, sizeof(c->tlb));
    c->used = 0;
}

/* tlb_filter: forget the lines of which `gone` says so. */
static void tlb_filter(struct host_cpu *c, bool (*gone)(unsigned level, u64 page, u64 first, u64 end, bool tables),
                       u64 first, u64 end, bool tables) {
    struct tlb_line kept[TLB_SLOTS];
    unsigned n = 0;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        u64 key = c->tlb[i].key - 1;
        unsigned level = (unsigned)(key >> 56) & 7;
        if (c->tlb[i].key && !gone(level | (entry_is_table(c->tlb[i].e) && level > 1 ? 8 : 0), key & ~(255ULL << 56),
                                   first, end, tables))
            kept[n++] = c->tlb[i];
    }
    if (n == c->used)
        return;
    tlb_forget(c);
    for (unsigned i = 0; i < n; i++) {
        unsigned at = (unsigned)(kept[i].key * 0x9e3779b97f4a7c15ULL >> 40) % TLB_SLOTS;
        while (c->tlb[at].key)
            at = (at + 1) % TLB_SLOTS;
        c->tlb[at] = kept[i];
    }
    c->used = n;
}

static struct tlb_line *tlb_line(struct host_cpu *c, unsigned level, u64 page) {
    u64 key = 1 + ((page & ~(slot_pages(level) - 1)) | (u64)level << 56);
    unsigned at = (unsigned)(key * 0x9e3779b97f4a7c15ULL >> 40) % TLB_SLOTS;
    while (c->tlb[at].key && c->tlb[at].key != key)
        at = (at + 1) % TLB_SLOTS;
    return &c->tlb[at];
}
static entry tlb_find(struct host_cpu *c, unsigned level, u64 page) { return tlb_line(c, level, page)->e; }
static void tlb_keep(struct host_cpu *c, unsigned level, u64 page, entry e) {
    if (c->used >= TLB_SLOTS / 2)
        tlb_forget(c);
    struct tlb_line *l = tlb_line(c, level, page);
    c->used += !l->key;
    *l = (struct tlb_line){1 + ((page & ~(slot_pages(level) - 1)) | (u64)level << 56), e};
}

/* level has bit 3 set for a pointer to a lower table */
static bool in_range(unsigned level, u64 page, u64 first, u64 end, bool tables) {
    if (level & 8)
        return tables;
    return page < end && page + slot_pages(level) > first;
}
/* what a fault at page `first` forgets: all that translates it */
static bool on_path(unsigned level, u64 page, u64 first, u64 end, bool tables) {
    (void)end, (void)tables;
    return page <= first && first < page + slot_pages(level & 7);
}

void machine_load(struct machine_space *m) {
    unsigned id = cpu_id();
    struct host_cpu *c = &cpus[id];
    if (c->loaded == m)
        return;
    if (m) {
        host_point(HOST_WRITE, &m->cpus[id / 64], sizeof(u64));
        __atomic_fetch_or(&m->cpus[id / 64], 1ULL << (id % 64), __ATOMIC_SEQ_CST);
    }
    struct machine_space *old = c->loaded;
    host_point(HOST_WRITE, c, sizeof(u64));
    host_guard(id);
    c->loaded = m;
    tlb_forget(c);
    host_unguard(id);
    if (old)
        host_point(HOST_WRITE, &old->cpus[id / 64], sizeof(u64));
    if (old)
        __atomic_fetch_and(&old->cpus[id / 64], ~(1ULL << (id % 64)), __ATOMIC_SEQ_CST);
}

bool host_loaded(unsigned cpu, struct space *s) { return cpus[cpu].loaded == (struct machine_space *)s; }

void machine_evict(struct machine_space *m) {
    for (unsigned i = 0; i < cpu_count; i++) {
        host_point(HOST_WRITE, &cpus[i], sizeof(u64));
        host_guard(i);
        if (cpus[i].loaded == m) {
            cpus[i].loaded = NULL;
            tlb_forget(&cpus[i]);
            __atomic_fetch_and(&m->cpus[i / 64], ~(1ULL << (i % 64)), __ATOMIC_SEQ_CST);
        }
        host_unguard(i);
    }
}

/* mutated: the mutant that this call of a flush meets: 0 none, 1 no flush, 2 not of tables. */
static int mutated(void *site, bool tables) {
    u64 k = 0;
    if (!host_sites)
        return 0;
    while (k < host_sites->count && host_sites->site[k] != site)
        k++;
    if (k == host_sites->count && host_mutant < 0 && k < HOST_SITES)
        host_sites->site[host_sites->count++] = site;
    if (k < HOST_SITES && tables)
        host_sites->tables[k] = true;
    return host_mutant >= 0 && (u64)host_mutant / 2 == k ? 1 + host_mutant % 2 : 0;
}

void machine_flush(struct machine_space *m, u64 start, u64 end, bool tables) {
    int mutant = mutated(__builtin_return_address(0), tables);
    if (rule_flush(m, start, end, tables))
        return;
    host_point(HOST_READ, &m->cpus[0], sizeof(u64));
    u64 mask = mutant == 1 ? 0 : atomic_load(&m->cpus[0]);
    for (; mask; mask &= mask - 1) { /* the others go on until the interrupt reaches them, one by one */
        unsigned i = (unsigned)__builtin_ctzll(mask);
        host_point(HOST_WRITE, &cpus[i], sizeof(u64));
        host_guard(i);
        tlb_filter(&cpus[i], in_range, start >> PAGE_SHIFT, end >> PAGE_SHIFT, tables && mutant != 2);
        host_unguard(i);
    }
    host_step();
}

void machine_flush_everyone(void) {
    int mutant = mutated(__builtin_return_address(0), false);
    for (unsigned i = 0; i < cpu_count && mutant != 1; i++) {
        host_point(HOST_WRITE, &cpus[i], sizeof(u64));
        host_guard(i);
        tlb_forget(&cpus[i]);
        host_unguard(i);
    }
    host_step();
}

void host_flush_own(void) {
    host_point(HOST_WRITE, &cpus[cpu_id()], sizeof(u64));
    tlb_forget(&cpus[cpu_id()]);
}

void machine_flush_local(u64 address) {
    u64 page = address >> PAGE_SHIFT;
    host_guard(cpu_id());
    tlb_filter(&cpus[cpu_id()], in_range, page, page + 1, false);
    host_unguard(cpu_id());
}

/* ---- accesses */

static bool allows(entry e, enum fault_access access) {
    return access == FAULT_WRITE ? entry_writable(e) : access == FAULT_EXEC ? !(e & ENTRY_NOEXEC) : true;
}

/* The entry of the page itself, of one that may cover more. */
static entry within(entry e, unsigned level, u64 page) { return e + ((page & (slot_pages(level) - 1)) << PAGE_SHIFT); }

/* False: the entry is another by now, which a CPU sees in the same locked step: it walks again. */
static bool mark(entry *slot, entry e, entry bits) {
    entry now = e;
    if ((e & bits) == bits)
        return true;
    host_also(HOST_WRITE, slot);
    while (!__atomic_compare_exchange_n(slot, &now, now | bits, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        if ((now ^ e) & ~(ENTRY_ACCESSED | ENTRY_DIRTY)) /* else another CPU marked it */
            return false;
    return true;
}

/* What the walk meets must be a table now. The looks of this file at what kernel/vm may be changing are not races. */
static __attribute__((no_sanitize("thread"), noinline)) void check_table(u64 table, unsigned level, u64 page) {
    struct frame *f = frame_of_phys(table);
    if (f >= frames + frame_count || f->class != FRAME_TABLE)
        panic("CPU %u walks page %#lx through frame %#lx of class %u, which is no table", cpu_id(), (unsigned long)page,
              (unsigned long)frame_number(f), f->class);
    if (((struct table *)f->owner.slab)
            ->dead) /* dead tables are those that no slot points to, flushed before they died */
        panic("CPU %u walks page %#lx through a dead table of level %u", cpu_id(), (unsigned long)page, level);
}

/* A CPU that had a large and a small entry for one page could trip over them (Intel SDM vol. 3A, 4.10.2.3). */
static void check_one_size(struct host_cpu *c, unsigned level, u64 page) {
    for (unsigned l = 1; l <= 3; l++) {
        entry e = l != level ? tlb_find(c, l, page) : 0;
        if (e && !(l > 1 && entry_is_table(e)))
            panic("CPU %u has page %#lx by an entry of level %u, and gets one of level %u", cpu_id(),
                  (unsigned long)page, l, level);
    }
}

/* walk: read the tables, from the lowest that is cached. Returns the leaf entry with the rights of the path, 0: page
 * fault. */
static entry walk(struct host_cpu *c, u64 page, enum fault_access access) {
    unsigned level = TABLE_LEVELS;
    entry path = ENTRY_WRITE;
    u64 table = c->loaded->root;
    for (unsigned l = 2; l <= TABLE_LEVELS; l++) {
        entry cached = tlb_find(c, l, page);
        if (!cached || !entry_is_table(cached))
            continue;
        table = entry_phys(cached);
        path = cached & (ENTRY_WRITE | ENTRY_NOEXEC);
        level = l - 1;
        break;
    }
    for (;; level--) {
        check_table(table, level, page);
        entry *slot = (entry *)(frame_direct + table) + slot_index(page, level);
        host_also(HOST_READ, slot);
        entry e = atomic_load(slot);
        if (!entry_present(e) || !(e & ENTRY_USER))
            return 0;
        path = (path & e & ENTRY_WRITE) | ((path | e) & ENTRY_NOEXEC);
        if (level > 1 && entry_is_table(e)) {
            if (!mark(slot, e, ENTRY_ACCESSED))
                return 0;
            table = entry_phys(e);
            tlb_keep(c, level, page, (e & ~(ENTRY_WRITE | ENTRY_NOEXEC)) | path);
            continue;
        }
        entry read = e;
        e = (e & ~(ENTRY_WRITE | ENTRY_NOEXEC)) | path;
        if (!allows(e, access) || !mark(slot, read, ENTRY_ACCESSED | (access == FAULT_WRITE ? ENTRY_DIRTY : 0)))
            return 0;
        e |= access == FAULT_WRITE ? ENTRY_DIRTY : 0;
        check_one_size(c, level, page);
        tlb_keep(c, level, page, e);
        return within(e, level, page);
    }
}

static entry translate(struct host_cpu *c, u64 page, enum fault_access access) {
    for (unsigned level = 1; level <= 3; level++) {
        entry e = tlb_find(c, level, page);
        if (!e || (level > 1 && entry_is_table(e)))
            continue;
        if (!allows(e, access))
            return 0;
        if (access != FAULT_WRITE || (e & ENTRY_DIRTY))
            return within(e, level, page);
    }
    return walk(c, page, access);
}

static __attribute__((no_sanitize("thread"), noinline)) void check_frame(const struct frame *f, u64 page,
                                                                         enum fault_access access) {
    bool ours = f->class == FRAME_ANON || f->class == FRAME_FILE || f->class == FRAME_SHMEM;
    bool device =
        f->class == FRAME_KERNEL && !(f == zero_frame && access == FAULT_WRITE); /* or the zero frame, the vdso */
    if (!ours && !device)
        panic("CPU %u, %s: access %d to page %#lx reaches frame %#lx of class %u", cpu_id(), fiber_name(), access,
              (unsigned long)page, (unsigned long)frame_number(f), f->class);
}

static int refuses_locked(const struct view *v) { return v->flags & VIEW_LOCKED ? -EINVAL : 0; }

int mem_discard(struct space *s, u64 address, u64 bytes) {
    return space_advise(s, address, bytes, &(struct advice){.discard = true, .refuses = refuses_locked});
}

enum fault_outcome mem_access(struct space *s, u64 address, void *buffer, size_t bytes, enum fault_access access) {
    enum fault_outcome outcome = FAULT_DONE;
    unsigned tries = 0;
    while (bytes && outcome == FAULT_DONE) {
        if (fibers_running() && one_in(16))
            fiber_yield();                    /* the tick */
        struct host_cpu *c = &cpus[cpu_id()]; /* again each time: a fault may sleep */
        u64 page = address >> PAGE_SHIFT;
        check(c->loaded != NULL);
        host_stop_point(HOST_WRITE, c, sizeof(u64));
        host_guard(cpu_id()); /* one instruction: looked up, walked, accessed between two interrupts */
        entry e = translate(c, page, access);
        if (!e) {
            tlb_filter(c, on_path, page, page + 1, true);
            host_unguard(cpu_id());
            if (++tries > 10000)
                panic("the fault at %#lx (access %d) comes again and again", (unsigned long)address, access);
            outcome = space_fault(s, address, access);
            continue;
        }
        size_t here = min(bytes, PAGE_SIZE - (address & (PAGE_SIZE - 1)));
        struct frame *f = frame_of_phys(entry_phys(e));
        check_frame(f, page, access);
        char *at = (char *)frame_va(f) + (address & (PAGE_SIZE - 1));
        host_also(access == FAULT_WRITE ? HOST_WRITE : HOST_READ, frame_va(f));
        if (access == FAULT_WRITE)
            memcpy(at, buffer, here);
        else
            memcpy(buffer, at, here);
        host_unguard(cpu_id());
        buffer = (char *)buffer + here;
        address += here;
        bytes -= here;
    }
    return outcome;
}

/* ---- what the TLBs hold */

void *host_tlbs(size_t *bytes) {
    *bytes = cpu_count * sizeof(*cpus);
    return cpus;
}

/* now: what the tables give where the TLB has an entry of `level`, with the rights of the path; 0: nothing. */
static entry now(const struct machine_space *m, unsigned level, u64 page) {
    entry path = ENTRY_WRITE, e = m->root | ENTRY_PRESENT | ENTRY_WRITE;
    for (unsigned l = TABLE_LEVELS; l >= level; l--) {
        if (l < TABLE_LEVELS && !entry_is_table(e))
            return 0;
        e = ((entry *)(frame_direct + entry_phys(e)))[slot_index(page, l)];
        if (!entry_present(e))
            return 0;
        path = (path & e & ENTRY_WRITE) | ((path | e) & ENTRY_NOEXEC);
    }
    return (e & ~(ENTRY_WRITE | ENTRY_NOEXEC)) | path;
}

void host_tlb_check(void) {
    for (unsigned i = 0; i < cpu_count; i++)
        for (unsigned k = 0; k < TLB_SLOTS && cpus[i].loaded; k++) {
            const struct tlb_line *l = &cpus[i].tlb[k];
            u64 key = l->key - 1, page = key & ~(255ULL << 56);
            if (!l->key)
                continue;
            entry e = now(cpus[i].loaded, (unsigned)(key >> 56), page);
            if (!e || entry_phys(e) != entry_phys(l->e) || (l->e & ~e & ENTRY_WRITE) || (e & ~l->e & ENTRY_NOEXEC))
                panic("CPU %u holds %#lx for page %#lx, level %u; the tables give %#lx", i, (unsigned long)l->e,
                      (unsigned long)page, (unsigned)(key >> 56), (unsigned long)e);
        }
}

void host_tlb_none(const struct frame *f) {
    for (unsigned i = 0; i < cpu_count; i++)
        for (unsigned k = 0; k < TLB_SLOTS && cpus[i].used; k++)
            if (cpus[i].tlb[k].key && frame_of_phys(entry_phys(cpus[i].tlb[k].e)) == f)
                panic("frame %#lx of class %u is freed, and CPU %u still translates page %#lx to it",
                      (unsigned long)frame_number(f), f->class, i, (unsigned long)(cpus[i].tlb[k].key - 1));
}

/* ---- what is in use */

void host_check(void) {
    static char report[4000];
    if (vm_check(report, sizeof(report)))
        test_fail(__FILE__, __LINE__, "vm_check:\n%s", report);
}

void host_settle(void) {
    epoch_drain(true);
    (void)view_count(); /* frees the idle ones */
    tables_drain();
    slab_shrink();
    frame_caches_drain();
}

struct host_count host_count(void) {
    struct swap_totals swap;
    swap_totals(&swap);
    struct host_count n = {.kmalloc = kmalloc_live(),
                           .radix_nodes = radix_nodes_live(),
                           .tables = table_count(),
                           .views = view_count(),
                           .swap = swap.used,
                           .offline = atomic_load(&frames_offline)};
    frame_totals(&n.frames);
    return n;
}

void host_same(const char *file, int line, const struct host_count *before) {
    static const char *const names[] = {"free", "reserved", "kernel", "slab", "table", "anon", "file", "shmem"};
    _Static_assert(array_count(names) == FRAME_CLASSES, "a name each");
    host_settle();
    struct host_count now = host_count();
    now.frames.frames[FRAME_RESERVED] -= now.offline - before->offline;
    now.frames.frames[FRAME_FREE] += now.offline - before->offline;
    for (unsigned i = 0; i < FRAME_CLASSES; i++)
        if (now.frames.frames[i] != before->frames.frames[i])
            fprintf(stderr, "frames of class %s: %lu, were %lu\n", names[i], now.frames.frames[i],
                    before->frames.frames[i]);
    if (memcmp(&now.frames, &before->frames, sizeof(now.frames)))
        test_fail(file, line, "kmalloc %lu, was %lu; tables %lu, were %lu; views %lu, were %lu", now.kmalloc,
                  before->kmalloc, now.tables, before->tables, now.views, before->views);
    if (now.kmalloc != before->kmalloc || now.radix_nodes != before->radix_nodes || now.tables != before->tables ||
        now.views != before->views || now.swap != before->swap)
        test_fail(file, line,
                  "kmalloc blocks %lu, were %lu; radix nodes %lu, were %lu; tables %lu, were %lu; views %lu, were %lu; "
                  "swap slots %lu, were %lu",
                  now.kmalloc, before->kmalloc, now.radix_nodes, before->radix_nodes, now.tables, before->tables,
                  now.views, before->views, now.swap, before->swap);
}
