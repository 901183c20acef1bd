/* ptrace.c - ptrace(2): what a tracer asks. task/trace.c owns bonds, task/trace_stop.c stops, arch/x86_64/debug.c
 * registers.
 *
 * A request on a tracee freezes it: it is in a stop, off its CPU, and stays so until the request is done, even if it is
 * killed meanwhile. */
#include <linux/types.h>
#include <linux/audit.h>
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/uio.h>
#include <asm/ptrace-abi.h>

#include "arch/x86_64/debug.h"
#include "arch/x86_64/usercopy.h"
#include "sys/sys.h"
#include "task/signal.h"
#include "task/trace.h"
#include "vm/space.h"

#define USER_BYTES 928 /* sizeof(struct user), the kernel's: two words more than the C library's */
#define USER_DEBUG 848 /* where its u_debugreg stand */
#define USER_DEBUG_WORDS 8
#define REGS_BYTES_USER (USER_REGS_WORDS * sizeof(u64))
#define OPTIONS (PTRACE_O_MASK & ~(u64)PTRACE_O_SUSPEND_SECCOMP)

/* ---- the tracee, held still ---- */

/* freeze: the bond, counted, of a tracee of the caller in a stop; NULL: none. */
static struct trace *freeze(struct task *t) {
    struct process *p = t->process;
    struct trace *tr;

    if (!p)
        return NULL;
    spin_lock(&p->signal_lock);
    tr = t->trace;
    if (tr && tr->tracer == process_current() && tr->stopped && !tr->listening && (!t->killed || tr->exiting)) {
        trace_get(tr);
        tr->frozen++;
    } else {
        tr = NULL;
    }
    spin_unlock(&p->signal_lock);
    if (tr)
        task_wait_off_cpu(t);
    return tr;
}

/* thaw: the wake is over before another thread of the tracer can freeze the task: one that is woken later would be back
 * on a CPU in the middle of that request. */
static void thaw(struct trace *tr) {
    spin_lock(&tr->process->signal_lock);
    if (--tr->frozen == 0)
        waitq_wake_all(&tr->resume);
    spin_unlock(&tr->process->signal_lock);
    trace_put(tr);
}

/* ---- going on ---- */

/* resume: PTRACE_CONT and its like. work: CALL_* for the time until the next stop. */
static long resume(struct task *t, struct trace *tr, u32 work, bool step, u64 signal) {
    if (signal > SIGNAL_COUNT)
        return -EIO;
    arch_step(t, step);
    spin_lock(&tr->process->signal_lock);
    t->call_work = (t->call_work & ~(CALL_STOP | CALL_EMULATE | CALL_STEP)) | work;
    tr->signal = (int)signal;
    tr->stopped = false;
    spin_unlock(&tr->process->signal_lock);
    return 0;
}

static long detach(struct task *t, struct trace *tr, u64 signal) {
    if (signal > SIGNAL_COUNT)
        return -EIO;
    arch_step(t, false);
    tr->signal = (int)signal;
    trace_detach(tr);
    return 0;
}

static long listen(struct trace *tr) {
    long error = -EIO;

    spin_lock(&tr->process->signal_lock);
    if (tr->seized && tr->status >> 8 == PTRACE_EVENT_STOP) {
        tr->listening = true;
        if (tr->task && tr->task->trace_due & DUE_NOTIFY)
            trace_notify(tr->task);
        error = 0;
    }
    spin_unlock(&tr->process->signal_lock);
    return error;
}

static long set_options(struct trace *tr, u64 options) {
    if (options & ~OPTIONS)
        return -EINVAL;
    spin_lock(&tr->process->signal_lock);
    tr->options = (u32)options;
    spin_unlock(&tr->process->signal_lock);
    return 0;
}

/* ---- memory ---- */

static long word_move(struct trace *tr, u64 address, u64 *word, bool write) {
    struct space *space = process_space(tr->process);
    ssize_t moved = space ? space_copy(space, address, word, sizeof(*word), write, true) : -EIO;

    if (space)
        space_put(space);
    return moved == sizeof(*word) ? 0 : -EIO;
}

static long peek(struct trace *tr, u64 address, u64 __user *out) {
    u64 word;
    long error = word_move(tr, address, &word, false);

    return error ? error : put_user(word, out);
}

/* ---- registers ---- */

static bool user_word_bad(u64 address) { return address % sizeof(u64) || address >= USER_BYTES; }
static bool in_debug(u64 address) {
    return address >= USER_DEBUG && address < USER_DEBUG + USER_DEBUG_WORDS * sizeof(u64);
}

static long peek_user(struct task *t, u64 address, u64 __user *out) {
    u64 word = 0;

    if (user_word_bad(address))
        return -EIO;
    if (address < REGS_BYTES_USER)
        word = arch_user_word(t, address / sizeof(u64));
    else if (in_debug(address))
        word = arch_debug_word(t, (address - USER_DEBUG) / sizeof(u64));
    return put_user(word, out);
}

static long poke_user(struct task *t, u64 address, u64 word) {
    if (user_word_bad(address))
        return -EIO;
    if (address < REGS_BYTES_USER)
        return arch_user_word_set(t, address / sizeof(u64), word);
    return in_debug(address) ? arch_debug_word_set(t, (address - USER_DEBUG) / sizeof(u64), word) : -EIO;
}

static long general_get(struct task *t, char __user *out, size_t bytes) {
    u64 words[USER_REGS_WORDS];

    for (unsigned i = 0; i < USER_REGS_WORDS; i++)
        words[i] = arch_user_word(t, i);
    return copy_to_user(out, words, bytes);
}

static long general_set(struct task *t, const char __user *in, size_t bytes) {
    u64 words[USER_REGS_WORDS];
    long error = copy_from_user(words, in, bytes) ? -EFAULT : 0;

    for (unsigned i = 0; i < bytes / sizeof(u64) && !error; i++)
        error = arch_user_word_set(t, i, words[i]);
    return error;
}

/* vector_move: the first `bytes` of the vector registers' area. */
static long vector_move(struct task *t, char __user *user, size_t bytes, bool set) {
    u8 *buffer = kmalloc(fpu_bytes);
    long error;

    if (!buffer)
        return -ENOMEM;
    arch_fpu_view(&t->arch, buffer);
    if (!set)
        error = copy_to_user(user, buffer, bytes);
    else if (copy_from_user(buffer, user, bytes))
        error = -EFAULT;
    else
        error = arch_fpu_set(&t->arch, buffer, bytes > FPU_LEGACY_BYTES ? fpu_bytes : FPU_LEGACY_BYTES);
    kfree(buffer);
    return error;
}

static size_t set_bytes(u64 type) {
    switch (type) {
    case NT_PRSTATUS:
        return REGS_BYTES_USER;
    case NT_PRFPREG:
        return FPU_LEGACY_BYTES;
    case NT_X86_XSTATE:
        return fpu_bytes > FPU_LEGACY_BYTES ? fpu_bytes : 0;
    default:
        return 0;
    }
}

/* register_set: GETREGSET and SETREGSET. An extended area is set whole or not at all. */
static long register_set(struct task *t, u64 type, struct iovec __user *user, bool set) {
    size_t most = set_bytes(type), bytes;
    struct iovec v;
    long error;

    if (copy_from_user(&v, user, sizeof(v)))
        return -EFAULT;
    if (!most || v.iov_len % sizeof(u64))
        return -EINVAL;
    bytes = min(v.iov_len, most);
    if (type == NT_PRSTATUS)
        error = set ? general_set(t, v.iov_base, bytes) : general_get(t, v.iov_base, bytes);
    else if (set && type == NT_X86_XSTATE && bytes != most)
        error = -EFAULT;
    else
        error = vector_move(t, v.iov_base, bytes, set);
    return error ? error : put_user(bytes, &user->iov_len);
}

/* ---- what the stop is about ---- */

static long info_move(struct trace *tr, siginfo_t __user *user, bool set) {
    siginfo_t info;

    if (set && copy_from_user(&info, user, sizeof(info)))
        return -EFAULT;
    if (!tr->has_info)
        return -EINVAL;
    if (!set)
        return copy_to_user(user, &tr->info, sizeof(info));
    tr->info = info;
    return 0;
}

/* queued_at: what waits at a place of a queue: the task's own, or its process's. */
static bool queued_at(struct task *t, bool shared, u64 place, siginfo_t *info) {
    struct process *p = t->process;
    struct queued_signal *q;
    bool found = false;

    spin_lock(&p->signal_lock);
    list_for_each(q, shared ? &p->pending.queued : &t->pending.queued, link) {
        found = place-- == 0;
        if (found) {
            *info = q->info;
            break;
        }
    }
    spin_unlock(&p->signal_lock);
    return found;
}

/* peek_queue: how many were written; -EFAULT: not one could be. */
static long peek_queue(struct task *t, const struct ptrace_peeksiginfo_args __user *user, siginfo_t __user *to) {
    struct ptrace_peeksiginfo_args a;
    siginfo_t info;
    long n = 0;

    if (get_user(a, user))
        return -EFAULT;
    if ((a.flags & ~PTRACE_PEEKSIGINFO_SHARED) || a.nr < 0)
        return -EINVAL;
    while (n < a.nr && !signal_pending() && queued_at(t, a.flags & PTRACE_PEEKSIGINFO_SHARED, a.off + n, &info)) {
        if (copy_to_user(to + n, &info, sizeof(info)))
            return n ? n : -EFAULT;
        n++;
    }
    return n;
}

static long mask_move(struct task *t, u64 bytes, u64 __user *user, bool set) {
    u64 mask;

    if (bytes != sizeof(mask))
        return -EINVAL;
    if (!set)
        return put_user(t->restore_mask ? t->saved_mask : t->blocked, user);
    if (get_user(mask, user))
        return -EFAULT;
    spin_lock(&t->process->signal_lock);
    t->blocked = mask & ~SIGNALS_UNBLOCKABLE;
    t->restore_mask = false;
    atomic_store(&t->attention, true);
    spin_unlock(&t->process->signal_lock);
    return 0;
}

/* call_info: returns the bytes that there are; as many as fit are written. */
static long call_info(struct task *t, struct trace *tr, u64 room, void __user *user) {
    const struct regs *regs = arch_task_regs(&t->arch);
    struct ptrace_syscall_info info = {
        .op = PTRACE_SYSCALL_INFO_NONE,
        .arch = AUDIT_ARCH_X86_64,
        .instruction_pointer = regs->rip,
        .stack_pointer = regs->rsp,
    };
    size_t bytes = offsetof(struct ptrace_syscall_info, entry);
    bool call = tr->has_info && tr->status == (SIGTRAP | 0x80);

    if (call && tr->message == PTRACE_EVENTMSG_SYSCALL_ENTRY) {
        info.op = PTRACE_SYSCALL_INFO_ENTRY;
        info.entry.nr = regs->orig_rax;
        memcpy(info.entry.args, (u64[]){regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9},
               sizeof(info.entry.args));
        bytes = offsetof(struct ptrace_syscall_info, entry.args) + sizeof(info.entry.args);
    } else if (call && tr->message == PTRACE_EVENTMSG_SYSCALL_EXIT) {
        info.op = PTRACE_SYSCALL_INFO_EXIT;
        info.exit.rval = (s64)regs->rax;
        info.exit.is_error = is_err((void *)regs->rax);
        bytes = offsetof(struct ptrace_syscall_info, exit.is_error) + sizeof(info.exit.is_error);
    }
    return copy_to_user(user, &info, min(room, (u64)bytes)) ? -EFAULT : (long)bytes;
}

static long rseq_info(struct task *t, u64 room, void __user *user) {
    struct ptrace_rseq_configuration c = {
        .rseq_abi_pointer = t->rseq, .rseq_abi_size = t->rseq_bytes, .signature = t->rseq_signature};

    return copy_to_user(user, &c, min(room, sizeof(c))) ? -EFAULT : (long)sizeof(c);
}

/* ---- requests ---- */

static long ask(struct task *t, struct trace *tr, long request, u64 address, u64 data) {
    switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
        return peek(tr, address, (u64 *)data);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
        return word_move(tr, address, &data, true);
    case PTRACE_PEEKUSR:
        return peek_user(t, address, (u64 *)data);
    case PTRACE_POKEUSR:
        return poke_user(t, address, data);
    case PTRACE_GETREGS:
        return general_get(t, (char *)data, REGS_BYTES_USER);
    case PTRACE_SETREGS:
        return general_set(t, (char *)data, REGS_BYTES_USER);
    case PTRACE_GETFPREGS:
    case PTRACE_SETFPREGS:
        return vector_move(t, (char *)data, FPU_LEGACY_BYTES, request == PTRACE_SETFPREGS);
    case PTRACE_GETREGSET:
    case PTRACE_SETREGSET:
        return register_set(t, address, (struct iovec *)data, request == PTRACE_SETREGSET);
    case PTRACE_GETSIGINFO:
    case PTRACE_SETSIGINFO:
        return info_move(tr, (siginfo_t *)data, request == PTRACE_SETSIGINFO);
    case PTRACE_PEEKSIGINFO:
        return peek_queue(t, (const struct ptrace_peeksiginfo_args *)address, (siginfo_t *)data);
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK:
        return mask_move(t, address, (u64 *)data, request == PTRACE_SETSIGMASK);
    case PTRACE_GETEVENTMSG:
        return put_user(tr->message, (u64 *)data);
    case PTRACE_GET_SYSCALL_INFO:
        return call_info(t, tr, address, (void *)data);
    case PTRACE_GET_RSEQ_CONFIGURATION:
        return rseq_info(t, address, (void *)data);
    case PTRACE_SETOPTIONS:
    case PTRACE_OLDSETOPTIONS:
        return set_options(tr, data);
    case PTRACE_LISTEN:
        return listen(tr);
    case PTRACE_DETACH:
        return detach(t, tr, data);
    case PTRACE_CONT:
        return resume(t, tr, 0, false, data);
    case PTRACE_SYSCALL:
        return resume(t, tr, CALL_STOP, false, data);
    case PTRACE_SINGLESTEP:
        return resume(t, tr, CALL_STEP, true, data);
    case PTRACE_SYSEMU:
        return resume(t, tr, CALL_EMULATE, false, data);
    case PTRACE_SYSEMU_SINGLESTEP:
        return resume(t, tr, CALL_EMULATE, true, data);
    default:
        return -EIO;
    }
}

/* interrupt: of a seized tracee, stopped or not. One that listens stops anew. */
static long interrupt(struct task *t) {
    struct process *p = t->process;
    struct trace *tr;
    long error = -ESRCH;

    spin_lock(&p->signal_lock);
    tr = t->trace;
    if (tr && tr->tracer == process_current()) {
        error = tr->seized ? 0 : -EIO;
        if (tr->seized && tr->listening)
            trace_notify(t);
        t->trace_due |= tr->seized ? DUE_STOP : 0;
        atomic_store(&t->attention, true);
        task_interrupt(t);
    }
    spin_unlock(&p->signal_lock);
    return error;
}

static long kill_tracee(struct task *t) {
    struct process *p = t->process;
    bool ours;

    spin_lock(&p->signal_lock);
    ours = t->trace && t->trace->tracer == process_current();
    spin_unlock(&p->signal_lock);
    return ours ? signal_process(p, SIGKILL, NULL) : -ESRCH;
}

static long request_of(struct task *t, long request, u64 address, u64 data) {
    struct trace *tr;
    long result;

    switch (request) {
    case PTRACE_ATTACH:
        return trace_attach(t, false, 0);
    case PTRACE_SEIZE:
        return address || data & ~OPTIONS ? -EIO : trace_attach(t, true, (u32)data);
    case PTRACE_KILL:
        return t->process ? kill_tracee(t) : -ESRCH;
    case PTRACE_INTERRUPT:
        return t->process ? interrupt(t) : -ESRCH;
    default:
        break;
    }
    tr = freeze(t);
    if (!tr)
        return -ESRCH;
    result = ask(t, tr, request, address, data);
    thaw(tr);
    return result;
}

long sys_ptrace(long request, int tid, u64 address, u64 data) {
    struct task *t;
    long result;

    if (request == PTRACE_TRACEME)
        return trace_me();
    t = task_find(tid);
    if (!t)
        return -ESRCH;
    result = request_of(t, request, address, data);
    task_put(t);
    return result;
}
