/* rseq.c - restartable sequences (rseq(2)): a word in user memory says on which CPU a thread runs, and a short sequence
 * of user code that was interrupted by a switch, or by a signal, goes on at its abort handler.
 *
 * A switch marks the task stale; the word is written, and the sequence looked at, on the way to user mode. A program
 * whose area or descriptor is bad gets SIGSEGV, as on Linux. */
#include <linux/rseq.h>

#include "arch/x86_64/usercopy.h"
#include "sys/sys.h"
#include "task/family.h"
#include "task/rseq.h"

#define RSEQ_BYTES 32 /* of 6.1: the area up to and with flags, padded */

/* abort_sequence: 0; regs->rip moved if it was inside. -EFAULT, -EINVAL. */
static int abort_sequence(struct task *t, struct regs *regs) {
    struct rseq __user *area = (struct rseq *)t->rseq;
    struct rseq_cs cs;
    u64 at;
    u32 signature;

    if (copy_from_user(&at, &area->rseq_cs, sizeof(at)))
        return -EFAULT;
    if (!at)
        return 0;
    if (copy_from_user(&cs, (void *)at, sizeof(cs)))
        return -EFAULT;
    if (cs.start_ip >= USER_TOP || cs.start_ip + cs.post_commit_offset >= USER_TOP || cs.abort_ip >= USER_TOP ||
        cs.version || cs.abort_ip - cs.start_ip < cs.post_commit_offset)
        return -EINVAL;
    if (clear_user(&area->rseq_cs, sizeof(at)))
        return -EFAULT;
    if (regs->rip - cs.start_ip >= cs.post_commit_offset)
        return 0;
    if (copy_from_user(&signature, (void *)(cs.abort_ip - sizeof(signature)), sizeof(signature)))
        return -EFAULT;
    if (signature != t->rseq_signature)
        return -EINVAL;
    regs->rip = cs.abort_ip;
    return 0;
}

void rseq_update(struct regs *regs) {
    struct task *t = task_current();
    struct rseq __user *area = (struct rseq *)t->rseq;
    u32 cpu[2];
    int error = 0;

    t->rseq_stale = false;
    if (!area)
        return;
    error = abort_sequence(t, regs);
    cpu[0] = cpu[1] = cpu_id(); /* cpu_id_start, cpu_id; a switch during the write marks us stale again */
    if (!error)
        error = copy_to_user(area, cpu, sizeof(cpu));
    if (error)
        signal_force(SIGSEGV, SI_KERNEL, 0);
}

static long unregister(struct task *t, u64 area, u32 bytes, u32 signature) {
    const u32 cpu[2] = {0, (u32)RSEQ_CPU_ID_UNINITIALIZED};

    if (!t->rseq || t->rseq != area || t->rseq_bytes != bytes)
        return -EINVAL;
    if (t->rseq_signature != signature)
        return -EPERM;
    if (copy_to_user((void *)area, cpu, sizeof(cpu)))
        return -EFAULT;
    t->rseq = 0;
    return 0;
}

long sys_rseq(u64 area, u32 bytes, int flags, u32 signature) {
    struct task *t = task_current();

    if (flags == RSEQ_FLAG_UNREGISTER)
        return unregister(t, area, bytes, signature);
    if (flags)
        return -EINVAL;
    if (t->rseq) {
        if (t->rseq != area || t->rseq_bytes != bytes)
            return -EINVAL;
        return t->rseq_signature == signature ? -EBUSY : -EPERM;
    }
    if (area % RSEQ_BYTES || bytes != RSEQ_BYTES)
        return -EINVAL;
    if (area >= USER_TOP)
        return -EFAULT;
    t->rseq = area;
    t->rseq_bytes = bytes;
    t->rseq_signature = signature;
    t->rseq_stale = true;
    return 0;
}
