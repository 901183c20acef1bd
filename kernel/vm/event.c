/* event.c - the counters of vm/event.h and their names, for /proc/vmstat and --stats. */
#include "vm/event.h"

#include "vm/machine.h"

static const char *const names[VM_EVENTS] = {
    [EVENT_FAULT] = "fault",
    [EVENT_FAULT_MAJOR] = "fault_major",
    [EVENT_FAULT_ZERO] = "fault_zero",
    [EVENT_FAULT_ANON] = "fault_anon",
    [EVENT_FAULT_OBJECT] = "fault_object",
    [EVENT_FAULT_COPY] = "fault_copy",
    [EVENT_FAULT_TAKE_FRAME] = "fault_take_frame",
    [EVENT_FAULT_AROUND] = "fault_around",
    [EVENT_FAULT_LARGE] = "fault_large",
    [EVENT_FAULT_SPURIOUS] = "fault_spurious",
    [EVENT_TABLE_MADE] = "table_made",
    [EVENT_TABLE_BROKEN] = "table_broken",
    [EVENT_TABLE_TAKEN] = "table_taken",
    [EVENT_TABLE_FOLDED] = "table_folded",
    [EVENT_LARGE_SPLIT] = "large_split",
    [EVENT_FORK] = "fork",
    [EVENT_MAP] = "map",
    [EVENT_UNMAP] = "unmap",
    [EVENT_PROTECT] = "protect",
    [EVENT_DISCARD] = "discard",
    [EVENT_REMAP] = "remap",
    [EVENT_FLUSH] = "flush",
    [EVENT_FLUSH_EVERYONE] = "flush_everyone",
    [EVENT_OBJECT_FILL] = "object_fill",
    [EVENT_OBJECT_WRITE_BACK] = "object_write_back",
    [EVENT_EVICT] = "evict",
    [EVENT_REFAULT] = "refault",
    [EVENT_SWAP_OUT] = "swap_out",
    [EVENT_SWAP_IN] = "swap_in",
    [EVENT_ZSWAP_OUT] = "zswap_out",
    [EVENT_ZSWAP_IN] = "zswap_in",
    [EVENT_OOM] = "oom",
};

const char *event_name(enum vm_event e) { return names[e]; }

u64 event_total(enum vm_event e) {
    u64 total = 0;
    for (unsigned cpu = 0; event_counters && cpu < cpu_count; cpu++) /* memory may be short before there are any */
        total += event_counters[cpu][e];
    return total;
}
