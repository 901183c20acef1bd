/* altstack.c - a task's alternate signal stack: sigaltstack(2)'s rules, for the call and for the way back from a
 * handler. */
#include <linux/signal.h>

#include "task/signal.h"

/* signal_on_alt_stack: a stack that disarms itself is never "in use", so that a handler may leave it by longjmp. */
bool signal_on_alt_stack(u64 sp) {
    struct task *t = task_current();

    return !(t->alt_stack_flags & SS_AUTODISARM) && sp > t->alt_stack && sp - t->alt_stack <= t->alt_stack_bytes;
}

void signal_alt_stack_get(u64 sp, struct sigaltstack *out) {
    struct task *t = task_current();

    memset(out, 0, sizeof(*out));
    out->ss_sp = (void *)t->alt_stack;
    out->ss_size = t->alt_stack_bytes;
    out->ss_flags = t->alt_stack_flags;
    if (!t->alt_stack_bytes)
        out->ss_flags |= SS_DISABLE;
    else if (signal_on_alt_stack(sp))
        out->ss_flags |= SS_ONSTACK;
}

int signal_alt_stack_set(const struct sigaltstack *in) {
    struct task *t = task_current();
    u32 mode = in->ss_flags & ~SS_AUTODISARM;

    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (mode != SS_DISABLE && in->ss_size < MINSIGSTKSZ)
        return -ENOMEM;
    t->alt_stack = mode == SS_DISABLE ? 0 : (u64)in->ss_sp;
    t->alt_stack_bytes = mode == SS_DISABLE ? 0 : in->ss_size;
    t->alt_stack_flags = in->ss_flags & SS_AUTODISARM;
    return 0;
}
