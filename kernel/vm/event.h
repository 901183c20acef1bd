/* event.h - every event of the VM passes here: counted always (one add to a line of this CPU), handed to a sink when
 * one listens. */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"

enum vm_event {
    EVENT_FAULT,            /* every call of space_fault that found its table */
    EVENT_FAULT_MAJOR,      /* it waited for a page to be read */
    EVENT_FAULT_ZERO,       /* anonymous read: the zero frame */
    EVENT_FAULT_ANON,       /* anonymous write: a new frame */
    EVENT_FAULT_OBJECT,     /* object frame mapped */
    EVENT_FAULT_COPY,       /* a frame copied: object write private, or break a frame */
    EVENT_FAULT_TAKE_FRAME, /* last mapper of a frame got the write bit */
    EVENT_FAULT_AROUND,     /* neighbours mapped with an object read fault */
    EVENT_FAULT_LARGE,      /* anonymous write: a new block of 2 MiB */
    EVENT_FAULT_SPURIOUS,   /* the entry allowed the access already */
    EVENT_TABLE_MADE,
    EVENT_TABLE_BROKEN,
    EVENT_TABLE_TAKEN,
    EVENT_TABLE_FOLDED,
    EVENT_LARGE_SPLIT, /* a leaf shown large is shown small */
    EVENT_FORK,
    EVENT_MAP,
    EVENT_UNMAP,
    EVENT_PROTECT,
    EVENT_DISCARD,
    EVENT_REMAP,
    EVENT_FLUSH,
    EVENT_FLUSH_EVERYONE,
    EVENT_OBJECT_FILL,       /* pages read from a backend */
    EVENT_OBJECT_WRITE_BACK, /* pages written to one */
    EVENT_EVICT,             /* pages dropped by reclaim */
    EVENT_REFAULT,
    EVENT_SWAP_OUT,
    EVENT_SWAP_IN,
    EVENT_ZSWAP_OUT, /* to the compressed tier */
    EVENT_ZSWAP_IN,
    EVENT_OOM,
    VM_EVENTS,
};

#define EVENT_ROW 32u                    /* a power of two, so that a CPU's row is found by a shift */
extern u64 (*event_counters)[EVENT_ROW]; /* [MACHINE_CPUS], each CPU writes its own row */
/* event_sink: called for each event when not NULL. May not sleep or take a lock. */
extern void (*event_sink)(enum vm_event event, u64 address, u64 pages);

_Static_assert(VM_EVENTS <= EVENT_ROW, "a row has room for all");

static inline void event(enum vm_event e, u64 address, u64 pages) {
    event_counters[cpu_id()][e] += pages;
    if (unlikely(event_sink != NULL))
        event_sink(e, address, pages);
}
u64 event_total(enum vm_event e); /* over all CPUs */
const char *event_name(enum vm_event e);
