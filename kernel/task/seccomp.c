/* seccomp.c - strict mode, filters, and the interpreter of their classic BPF (seccomp(2); McCanne and Jacobson, "The
 * BSD Packet Filter", 1993).
 *
 * A task's filters are a chain from the newest to the oldest, shared by all that inherited it; every one of them is
 * asked, and the most forbidding answer counts. A filter is checked when it is set, so that the interpreter neither
 * leaves it nor reads what was not written; jumps go forward only, so it ends.
 *
 * Not here: SECCOMP_RET_USER_NOTIF (docs/not-done.md).
 *
 * Locks: a task's chain changes under its process's signal_lock, by itself or by SECCOMP_FILTER_FLAG_TSYNC; it reads it
 * without: what TSYNC replaces is part of what it puts there. */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <asm/unistd_64.h>

#include "arch/x86_64/usercopy.h"
#include "task/family.h"
#include "task/seccomp.h"
#include "task/signal.h"
#include "task/trace.h"
#include "vm/slab.h"

#define CHAIN_MOST 32768u /* instructions in a chain, each filter counted as FILTER_COST more */
#define FILTER_COST 4u
#define ERROR_MOST 4095 /* MAX_ERRNO */
#define FLAGS                                                                                                          \
    (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |                            \
     SECCOMP_FILTER_FLAG_TSYNC_ESRCH)

struct seccomp {
    u32 references;       /* [a] */
    struct seccomp *next; /* older; counted */
    u32 filters, cost;    /* of the chain */
    u32 count;
    struct sock_filter code[];
};

/* ---- the interpreter ---- */

/* known: an instruction of seccomp's subset whose constant is good. */
static bool known(const struct sock_filter *i) {
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return i->k < sizeof(struct seccomp_data) && i->k % 4 == 0;
    case BPF_ALU | BPF_DIV | BPF_K:
        return i->k;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
        return i->k < 32;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return i->k < BPF_MEMWORDS;
    case BPF_ALU | BPF_ADD | BPF_K:
    case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_K:
    case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_MUL | BPF_K:
    case BPF_ALU | BPF_MUL | BPF_X:
    case BPF_ALU | BPF_DIV | BPF_X:
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_OR | BPF_K:
    case BPF_ALU | BPF_OR | BPF_X:
    case BPF_ALU | BPF_XOR | BPF_K:
    case BPF_ALU | BPF_XOR | BPF_X:
    case BPF_ALU | BPF_LSH | BPF_X:
    case BPF_ALU | BPF_RSH | BPF_X:
    case BPF_ALU | BPF_NEG:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_X:
        return true;
    default:
        return false;
    }
}

/* check: every instruction is known, no jump leaves the filter, it ends by a return, and no word of its memory is read
 * that was not written on each way there. written: a set of words for each instruction, all ones at first. */
static int check(const struct sock_filter *code, u32 count, u16 *written) {
    for (u32 n = 0; n < count; n++) {
        const struct sock_filter *i = &code[n];
        u32 class = BPF_CLASS(i->code), left = count - n - 1;
        u16 next = written[n];

        if (!known(i))
            return -EINVAL;
        if (class == BPF_ST || class == BPF_STX)
            next |= 1u << i->k;
        if ((class == BPF_LD || class == BPF_LDX) && BPF_MODE(i->code) == BPF_MEM && !(next >> i->k & 1))
            return -EINVAL;
        if (i->code == (BPF_JMP | BPF_JA)) {
            if (i->k >= left)
                return -EINVAL;
            written[n + 1 + i->k] &= next;
        } else if (class == BPF_JMP) {
            if (i->jt >= left || i->jf >= left)
                return -EINVAL;
            written[n + 1 + i->jt] &= next;
            written[n + 1 + i->jf] &= next;
        } else if (class != BPF_RET && left) {
            written[n + 1] &= next;
        }
    }
    return BPF_CLASS(code[count - 1].code) == BPF_RET ? 0 : -EINVAL;
}

/* compute: false: a division by zero, which ends a filter with 0. */
static bool compute(u16 code, u32 *a, u32 by) {
    switch (BPF_OP(code)) {
    case BPF_ADD:
        *a += by;
        break;
    case BPF_SUB:
        *a -= by;
        break;
    case BPF_MUL:
        *a *= by;
        break;
    case BPF_DIV:
        if (!by)
            return false;
        *a /= by;
        break;
    case BPF_AND:
        *a &= by;
        break;
    case BPF_OR:
        *a |= by;
        break;
    case BPF_XOR:
        *a ^= by;
        break;
    case BPF_LSH:
        *a <<= by & 31;
        break;
    case BPF_RSH:
        *a >>= by & 31;
        break;
    default:
        *a = -*a;
    }
    return true;
}

static bool compare(u16 code, u32 a, u32 with) {
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == with;
    case BPF_JGT:
        return a > with;
    case BPF_JGE:
        return a >= with;
    default:
        return a & with;
    }
}

/* load: what BPF_LD and BPF_LDX put into their register. */
static u32 load(const struct sock_filter *i, const struct seccomp_data *data, const u32 *memory) {
    switch (BPF_MODE(i->code)) {
    case BPF_ABS:
        return ((const u32 *)data)[i->k / 4];
    case BPF_MEM:
        return memory[i->k];
    case BPF_LEN:
        return sizeof(*data);
    default:
        return i->k;
    }
}

static u32 run(const struct seccomp *s, const struct seccomp_data *data) {
    u32 a = 0, x = 0, memory[BPF_MEMWORDS] = {0};

    for (const struct sock_filter *i = s->code;; i++) {
        u32 operand = BPF_SRC(i->code) == BPF_X ? x : i->k;

        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
            a = load(i, data, memory);
            break;
        case BPF_LDX:
            x = load(i, data, memory);
            break;
        case BPF_ST:
            memory[i->k] = a;
            break;
        case BPF_STX:
            memory[i->k] = x;
            break;
        case BPF_ALU:
            if (!compute(i->code, &a, operand))
                return 0;
            break;
        case BPF_JMP:
            i += BPF_OP(i->code) == BPF_JA ? i->k : compare(i->code, a, operand) ? i->jt : i->jf;
            break;
        case BPF_MISC:
            *(BPF_MISCOP(i->code) == BPF_TAX ? &x : &a) = BPF_MISCOP(i->code) == BPF_TAX ? a : x;
            break;
        default:
            return BPF_RVAL(i->code) == BPF_A ? a : i->k;
        }
    }
}

/* ---- a call ---- */

/* judge: the most forbidding answer of all filters; of equal ones the newest's. */
static u32 judge(const struct seccomp *s, const struct regs *regs) {
    struct seccomp_data data = {.nr = (int)regs->orig_rax,
                                .arch = AUDIT_ARCH_X86_64,
                                .instruction_pointer = regs->rip,
                                .args = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9}};
    u32 result = SECCOMP_RET_ALLOW;

    for (; s; s = s->next) {
        u32 answer = run(s, &data);

        if ((s32)(answer & SECCOMP_RET_ACTION_FULL) < (s32)(result & SECCOMP_RET_ACTION_FULL))
            result = answer;
    }
    return result;
}

/* asks_tracer: SECCOMP_RET_TRACE. The tracer may have changed the call: the filters are asked again, and this answer
 * then allows it. */
static bool asks_tracer(struct task *t, struct regs *regs, u32 data) {
    u32 again;

    if (!trace_event(t, PTRACE_EVENT_SECCOMP, data)) {
        regs->rax = -ENOSYS;
        return false;
    }
    if (fatal_signal_pending() || (int)regs->orig_rax < 0)
        return false;
    again = judge(t->seccomp, regs);
    return (again & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRACE || seccomp_call(t, regs);
}

static noreturn void die(struct task *t, int signal, bool all) {
    kprintf(LOG_INFO "%s[%d]: a system call that seccomp forbids\n", t->name, t->tid);
    if (all || atomic_load(&t->process->thread_count) == 1)
        task_exit_group(signal);
    task_exit(signal);
}

static void trap(struct regs *regs, u32 data) {
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = SIGSYS;
    info.si_code = SYS_SECCOMP;
    info.si_errno = (int)data;
    info.si_call_addr = (void *)regs->rip;
    info.si_syscall = (int)regs->orig_rax;
    info.si_arch = AUDIT_ARCH_X86_64;
    regs->rax = regs->orig_rax;
    signal_force_info(&info);
}

static bool strict(struct task *t, const struct regs *regs) {
    switch ((u32)regs->orig_rax) {
    case __NR_read:
    case __NR_write:
    case __NR_exit:
    case __NR_rt_sigreturn:
        return true;
    default:
        die(t, SIGKILL, false);
    }
}

bool seccomp_call(struct task *t, struct regs *regs) {
    u32 answer, data;

    if (t->seccomp_mode == SECCOMP_MODE_STRICT)
        return strict(t, regs);
    answer = judge(atomic_load(&t->seccomp), regs);
    data = answer & SECCOMP_RET_DATA;
    switch (answer & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return true;
    case SECCOMP_RET_ERRNO:
        regs->rax = -(u64)min(data, (u32)ERROR_MOST);
        return false;
    case SECCOMP_RET_TRAP:
        trap(regs, data);
        return false;
    case SECCOMP_RET_TRACE:
        return asks_tracer(t, regs, data);
    case SECCOMP_RET_USER_NOTIF:
        regs->rax = -ENOSYS; /* as on Linux when nobody listens */
        return false;
    default:
        die(t, SIGSYS, (answer & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_KILL_THREAD);
    }
}

/* ---- filters come and go ---- */

void seccomp_put(struct seccomp *s) {
    while (s && !atomic_sub(&s->references, 1)) {
        struct seccomp *next = s->next;

        kfree(s);
        s = next;
    }
}

void seccomp_inherit(struct task *child) {
    struct task *self = task_current();

    child->seccomp = atomic_load(&self->seccomp);
    child->seccomp_mode = self->seccomp_mode;
    if (child->seccomp)
        atomic_add(&child->seccomp->references, 1);
    if (child->seccomp_mode)
        child->call_work |= CALL_SECCOMP;
}

int seccomp_filters(const struct task *t) { return t->seccomp ? (int)t->seccomp->filters : 0; }

/* filter_from_user: checked, alone. err_ptr. */
static struct seccomp *filter_from_user(const void __user *user) {
    struct sock_fprog program;
    struct seccomp *s;
    u16 *written;
    int error;

    if (get_user(program, (const struct sock_fprog __user *)user))
        return err_ptr(-EFAULT);
    if (!program.len || program.len > BPF_MAXINSNS)
        return err_ptr(-EINVAL);
    if (!process_current()->no_new_privs && !capable(CAP_SYS_ADMIN))
        return err_ptr(-EACCES);
    s = kzalloc(sizeof(*s) + program.len * sizeof(s->code[0]));
    written = kmalloc(program.len * sizeof(*written));
    error = s && written ? copy_from_user(s->code, program.filter, program.len * sizeof(s->code[0])) : -ENOMEM;
    if (!error) {
        memset(written, 0xff, program.len * sizeof(*written));
        written[0] = 0;
        error = check(s->code, program.len, written);
    }
    kfree(written);
    if (error) {
        kfree(s);
        return err_ptr(error);
    }
    s->references = 1;
    s->count = program.len;
    return s;
}

/* follows: the chain that a task has is the end of ours, so ours can take its place. */
static bool follows(const struct task *t) {
    const struct seccomp *s = task_current()->seccomp;

    while (s && s != t->seccomp)
        s = s->next;
    return t->seccomp_mode == SECCOMP_MODE_DISABLED || (t->seccomp_mode == SECCOMP_MODE_FILTER && s == t->seccomp);
}

static void give(struct task *t, struct seccomp *s) {
    t->seccomp_mode = SECCOMP_MODE_FILTER;
    t->call_work |= CALL_SECCOMP;
    atomic_store(&t->seccomp, s);
}

/* attach: signal_lock is held; takes the filter over if it says 0. */
static long attach(struct task *t, struct seccomp *s, u32 flags) {
    struct process *p = t->process;
    struct task *other;

    if (t->seccomp_mode == SECCOMP_MODE_STRICT)
        return -EINVAL;
    s->cost = s->count + (t->seccomp ? t->seccomp->cost + FILTER_COST : 0);
    if (s->cost > CHAIN_MOST)
        return -ENOMEM;
    list_for_each(other, &p->threads, thread_link) {
        if (flags & SECCOMP_FILTER_FLAG_TSYNC && other != t && !follows(other))
            return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : other->tid;
    }
    s->next = t->seccomp;
    s->filters = 1 + (t->seccomp ? t->seccomp->filters : 0);
    list_for_each(other, &p->threads, thread_link) {
        if (!(flags & SECCOMP_FILTER_FLAG_TSYNC) || other == t)
            continue;
        if (other->seccomp)
            atomic_sub(&other->seccomp->references, 1); /* not the last: ours has it, too */
        atomic_add(&s->references, 1);
        give(other, s);
    }
    give(t, s);
    return 0;
}

static long set_filter(u32 flags, const void __user *argument) {
    struct task *t = task_current();
    struct seccomp *s;
    long result;

    if (flags & ~FLAGS)
        return -EINVAL;
    s = filter_from_user(argument);
    if (is_err(s))
        return ptr_err(s);
    spin_lock(&t->process->signal_lock);
    result = attach(t, s, flags);
    spin_unlock(&t->process->signal_lock);
    if (result)
        seccomp_put(s);
    return result;
}

static long set_strict(void) {
    struct task *t = task_current();
    long error = 0;

    spin_lock(&t->process->signal_lock);
    if (t->seccomp_mode == SECCOMP_MODE_FILTER) {
        error = -EINVAL;
    } else {
        t->seccomp_mode = SECCOMP_MODE_STRICT;
        t->call_work |= CALL_SECCOMP;
    }
    spin_unlock(&t->process->signal_lock);
    return error;
}

static long available(const u32 __user *user) {
    u32 action;

    if (get_user(action, user))
        return -EFAULT;
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

long seccomp_set(u32 operation, u32 flags, const void __user *argument) {
    switch (operation) {
    case SECCOMP_SET_MODE_STRICT:
        return flags || argument ? -EINVAL : set_strict();
    case SECCOMP_SET_MODE_FILTER:
        return set_filter(flags, argument);
    case SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : available(argument);
    default:
        return -EINVAL;
    }
}
