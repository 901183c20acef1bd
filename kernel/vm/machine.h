/* machine.h - the seam: all that vm/ knows of the machine. arch/x86_64 implements it for the kernel (tlb.c), tests/host
 * for the host, where the TLB is software and forgets nothing until it is told to. */
#pragma once

#include "arch/x86_64/entry.h"
#include "lib/base.h"
#include "lib/sync.h"

#ifndef MACHINE_CPUS /* the hosted machine has fewer */
#define MACHINE_CPUS 256
#endif
extern unsigned cpu_count; /* CPUs that run: ids 0 .. cpu_count - 1 */

/* What the machine knows of an address space. Embedded in struct space. */
struct machine_space {
    u64 root; /* physical address of the root table */
    u64 cpus[MACHINE_CPUS /
             64]; /* CPUs that may hold translations of it: set before the load, cleared when another is loaded */
};

/* machine_root_init: fill the kernel's half of a new root table (512 entries, zeroed). */
void machine_root_init(entry *root);
void machine_root_clear(entry *root); /* ... and zero it again */
/* machine_load: this CPU translates by `m` from now on (NULL: by the kernel's own tables), and forgets what it cached
 * of another space. Lazy: kernel threads do not call it, so a CPU may keep a space it does not use. Not called in
 * interrupts. */
void machine_load(struct machine_space *m);
/* machine_evict: every CPU that still has `m` loaded loads the kernel's tables; on return no CPU holds anything of it.
 */
void machine_evict(struct machine_space *m);

/* machine_flush: on return no CPU of `m` holds a translation of [start, end) (user addresses) that the tables did not
 * give when it was called; with `tables`, nor any cached pointer to a lower table, for any address. Interrupts stay on
 * while it waits; it may be called with table locks held (the handler takes no lock). */
void machine_flush(struct machine_space *m, u64 start, u64 end, bool tables);
/* machine_flush_everyone: the same for every user address of every space, on all CPUs. */
void machine_flush_everyone(void);
/* machine_flush_local: only this CPU, one page: after a right was raised (a stale, lower right costs one fault more).
 */
void machine_flush_local(u64 address);

/* machine_stall: from now on the current task waits for memory, or for I/O, as far as it was not said so already: what
 * is new of `kinds`, for machine_stall_over. Neither sleeps; no lock but the caller's sleeping ones. */
#define STALL_MEMORY 1u
#define STALL_IO 2u
#define STALL_READ 4u /* with STALL_IO: for a page to be read; counted each time */
u32 machine_stall(u32 kinds) must_check;
void machine_stall_over(u32 kinds);
/* machine_reads: how often the current task has begun to wait for a page to be read: STALL_READ. */
u64 machine_reads(void);
/* machine_faulted: the current task's fault came to a good end; major: it waited for a page to be read. */
void machine_faulted(bool major);
/* machine_breathe: between the steps of what may take long, with no spin lock held: what the CPU has queued is done,
 * and others may run. machine_goes_on: likewise; false: the current task is to die. */
void machine_breathe(void);
bool machine_goes_on(void) must_check;

void machine_zero_page(void *page);
void machine_copy_page(void *to, const void *from);
void machine_pause(void); /* in a spin loop; the host's scheduler of interleavings switches here */
/* machine_quiesce: every other CPU stops where it holds no spin lock and is in no section, until machine_resume. May
 * sleep. */
void machine_quiesce(void);
void machine_resume(void);
