/* report.c - what a run says of itself at its end: the leak count, the checker's word, the calls that were missing, and
 * what memory did. By then every program is gone, so whatever of theirs is still alive is a leak. */
#include "main.h"

#include "fs/vfs.h"
#include "sys/table.h"
#include "task/pressure.h"
#include "vm/background.h"
#include "vm/epoch.h"
#include "vm/event.h"
#include "vm/frame.h"
#include "vm/slab.h"
#include "vm/space.h"
#include "vm/swap.h"
#include "vm/zswap.h"

#define TEXT_BYTES 4096

struct text {
    char *at;
    size_t used, room;
};

static void printf_like(2, 3) say(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = kvsnprintf(t->at + t->used, t->room - t->used, format, args);
    va_end(args);
    t->used = min(t->used + max(n, 0), t->room - 1);
}

/* Frames, tables, views and spaces of programs, when there are no programs. */
static u64 count_leaks(void) {
    struct vm_live live;
    struct frame_totals totals;
    struct swap_totals swap;
    epoch_drain(true);
    vm_drop_kept();
    vm_live(&live);
    frame_totals(&totals);
    swap_totals(&swap);
    u64 frames = totals.frames[FRAME_ANON] + totals.frames[FRAME_TABLE];
    u64 slots = swap.used - swap.of_objects;
    u64 leaks = live.spaces + live.tables + live.views + frames + slots;
    if (leaks)
        kprintf(LOG_ERR "leaked: %lu spaces, %lu tables, %lu views, %lu frames, %lu swap slots\n",
                (unsigned long)live.spaces, (unsigned long)live.tables, (unsigned long)live.views,
                (unsigned long)frames, (unsigned long)slots);
    return leaks;
}

static void report_missing(char *buffer) {
    if (syscall_missing_report(buffer, TEXT_BYTES) > 0)
        kprintf(LOG_NOTICE "calls not implemented: %s\n", buffer);
}

/* A line of the log for each line of the checker's report. */
static void report_check(char *buffer) {
    u64 findings = vm_check(buffer, TEXT_BYTES);
    for (char *line = buffer; *line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        kprintf("%s%s\n", findings ? LOG_ERR : LOG_INFO, line);
        if (!end)
            break;
        line = end + 1;
    }
}

static bool check_wanted(void) {
    for (unsigned i = 0; i < boot_config.sysctl_count; i++)
        if (!strcmp(boot_config.sysctls[i], "vm.check=1"))
            return true;
    return false;
}

static unsigned long total(enum vm_event e) { return event_total(e); }

static unsigned long ms(u64 ns) { return (unsigned long)(ns / 1000000); }

/* What it was short of, and what that cost. */
static void describe_shortage(struct text *t) {
    struct reclaim_totals r;
    struct swap_totals swap;
    struct frame_totals f;
    struct pressure_figures cpu, io, memory;
    frame_totals(&f);
    reclaim_totals(&r);
    swap_totals(&swap);
    say(t, "peak: %lu frames in use, %lu pages in the swap area\n", (unsigned long)(f.given - frame_free_least()),
        (unsigned long)swap.used_most);
    say(t,
        "reclaim: %lu pages in the background, %lu by who needed them, %lu times; %lu read again that had been "
        "evicted\n",
        (unsigned long)r.stolen[RECLAIM_BACKGROUND], (unsigned long)r.stolen[RECLAIM_DIRECT], (unsigned long)r.stalls,
        total(EVENT_REFAULT));
    pressure_look(PRESSURE_CPU, &cpu);
    pressure_look(PRESSURE_IO, &io);
    pressure_look(PRESSURE_MEMORY, &memory);
    say(t, "stalled: %lu ms for memory (%lu all of them), %lu ms for I/O (%lu), %lu ms for a CPU\n", ms(memory.some_ns),
        ms(memory.full_ns), ms(io.some_ns), ms(io.full_ns), ms(cpu.some_ns));
}

static void describe(struct text *t) {
    struct frame_totals f;
    frame_totals(&f);
    u64 kernel = f.frames[FRAME_KERNEL] + f.frames[FRAME_SLAB];
    say(t,
        "memory: %lu frames of 4 KiB given: %lu free, %lu kernel, %lu files cached, %lu in memory only, %lu reserved\n",
        (unsigned long)f.given, (unsigned long)f.frames[FRAME_FREE], (unsigned long)kernel,
        (unsigned long)f.frames[FRAME_FILE], (unsigned long)f.frames[FRAME_SHMEM],
        (unsigned long)f.frames[FRAME_RESERVED]);
    say(t,
        "faults: %lu: %lu zero frame, %lu new, %lu copied, %lu taken over, %lu of files (%lu around), %lu waited for "
        "I/O\n",
        total(EVENT_FAULT), total(EVENT_FAULT_ZERO), total(EVENT_FAULT_ANON), total(EVENT_FAULT_COPY),
        total(EVENT_FAULT_TAKE_FRAME), total(EVENT_FAULT_OBJECT), total(EVENT_FAULT_AROUND), total(EVENT_FAULT_MAJOR));
    say(t, "forks: %lu; tables: %lu made, %lu broken, %lu taken over; flushes of everyone: %lu\n", total(EVENT_FORK),
        total(EVENT_TABLE_MADE), total(EVENT_TABLE_BROKEN), total(EVENT_TABLE_TAKEN), total(EVENT_FLUSH_EVERYONE));
    say(t, "ranges: %lu mapped, %lu unmapped, %lu protected, %lu discarded, %lu moved\n", total(EVENT_MAP),
        total(EVENT_UNMAP), total(EVENT_PROTECT), total(EVENT_DISCARD), total(EVENT_REMAP));
    say(t, "pages: %lu read from files, %lu written back, %lu evicted; %lu swapped out, %lu in\n",
        total(EVENT_OBJECT_FILL), total(EVENT_OBJECT_WRITE_BACK), total(EVENT_EVICT), total(EVENT_SWAP_OUT),
        total(EVENT_SWAP_IN));
    describe_shortage(t);
    struct zswap_totals z;
    zswap_totals(&z);
    if (z.out)
        say(t,
            "compressed: %lu pages stored, %lu read again, %lu written back, %lu refused; at most %lu frames of %lu, "
            "%lu pages in "
            "them\n",
            (unsigned long)z.out, (unsigned long)z.in, (unsigned long)z.written_back,
            (unsigned long)(z.incompressible + z.full), (unsigned long)z.frames_most, (unsigned long)z.limit,
            (unsigned long)z.pages_most);
}

size_t run_report(struct wire_end *end, char *stats, size_t room) {
    struct text t = {stats, 0, room};
    char *buffer = kmalloc(TEXT_BYTES);
    *end = (struct wire_end){.overlay_files = overlay_changes(), .calls_enosys = syscall_missing_count()};
    if (room)
        describe(&t);
    if (buffer) {
        report_missing(buffer);
        if (check_wanted())
            report_check(buffer);
    }
    kfree(buffer);
    end->leaked = count_leaks();
    return t.used;
}
