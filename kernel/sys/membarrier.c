/* membarrier.c - membarrier(2): every thread of the process has passed a memory barrier when the call returns.
 *
 * The barrier is an interrupt on each CPU that has the space loaded: taking it and returning orders memory and
 * serialises the instruction stream. A CPU that loads the space later does so after what the caller stored before. */
#include <linux/membarrier.h>

#include "sys/mm.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/space.h"

#define COMMANDS                                                                                                       \
    (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |              \
     MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |                                    \
     MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |                \
     MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)

/* Restartable sequences of the process's threads start again: each looks on its way to user mode, where the interrupt
 * that follows sends those that run there now. */
static void restart_sequences(struct process *p) {
    struct task *t;
    spin_lock(&p->lock);
    list_for_each(t, &p->threads, thread_link) { atomic_store(&t->rseq_stale, true); }
    spin_unlock(&p->lock);
}

static long barrier_private(int command, bool sequences) {
    struct space *s = process_current()->space;
    if (!(atomic_load(&space_info(s)->barriers) & (u16)command))
        return -EPERM;
    if (sequences)
        restart_sequences(process_current());
    space_barrier(s);
    return 0;
}

long sys_membarrier(int command, u32 flags, int cpu) {
    if (flags && (command != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ || flags != MEMBARRIER_CMD_FLAG_CPU))
        return -EINVAL;
    switch (command) {
    case MEMBARRIER_CMD_QUERY:
        return COMMANDS;
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
        space_barrier(NULL);
        return 0;
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
        return 0; /* everyone is reached */
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
        /* a register command is the one it allows, shifted by one; registering more than the plain one brings that too
         */
        atomic_or(&space_info(process_current()->space)->barriers,
                  (u16)(command >> 1 | MEMBARRIER_CMD_PRIVATE_EXPEDITED));
        return 0;
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
        return barrier_private(command, command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
    default:
        return -EINVAL;
    }
}
