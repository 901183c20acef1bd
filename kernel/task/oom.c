/* oom.c - out of memory: when reclaim finds nothing more, somebody is killed, and his memory taken back.
 *
 *   a task whose allocation fails   asks, and sleeps until the round is over; then it tries again. What the flusher can
 *                                   still store is waited for first
 *   the killer, one kernel thread   looks whether memory came free meanwhile; chooses a victim; writes the report to
 *                                   the log; kills everyone who shares the victim's space; waits until it has exited
 *
 * A victim that is awake exits by itself, which is best: it lets go of robust futexes on its way. One that sleeps where
 * no signal reaches it, perhaps for a lock that an asker holds, loses its private memory while it sleeps (space_reap).
 * A round ends in any case, for it waits for nothing but time; if too little came free, the next round takes another
 * victim. A dying task never asks: it gets what is left of the reserve, or fails. So there is always somebody who gets
 * on.
 *
 * The choice is Linux 6.1's (mm/oom_kill.c): the most pages in memory, in the swap area, and in page tables, shifted by
 * oom_score_adj in thousandths of memory and swap; never -1000, nor a child that vfork has not let go. Otherwise than
 * there, a machine on which nobody may be killed does not panic: the allocation fails.
 *
 * Locks: oom.lock is innermost. The killer puts no space and no file: that may take locks that an asker holds. A
 * process that exits meanwhile waits for him to be out of its space (oom_await_reaper). */
#include "task/oom.h"

#include <linux/oom.h>

#include "task/background.h"
#include "task/family.h"
#include "vm/event.h"
#include "vm/frame.h"
#include "vm/swap.h"

#define MS 1000000ULL
#define GRACE_NS (50 * MS)      /* for a victim to exit by itself */
#define RETRY_NS (10 * MS)      /* between looks whether a range operation in its space is over */
#define RETRIES 10u             /* as Linux */
#define PATIENCE_NS (1000 * MS) /* for a reaped one to give up its files as well */
#define PAGE_KIB (PAGE_SIZE / KiB)

u64 oom_panic, oom_kill_allocating_task, oom_dump_tasks = 1;

static struct {
    struct spin lock;
    u64 rounds;            /* [l] to write: that are over */
    bool wanted;           /* [l] somebody waits for the end of the next one */
    bool nobody;           /* [l] to write: the last one found nobody to kill */
    struct process *asker; /* [l] the first who wants it, counted; NULL: a task of the kernel's */
    struct waitq work, over;
    struct task *killer;
} oom = {.work = WAITQ_INIT(oom.work), .over = WAITQ_INIT(oom.over)};

/* ---- choosing ---- */

u64 oom_total(void) {
    struct frame_totals f;
    struct swap_totals swap;
    frame_totals(&f);
    swap_totals(&swap);
    return f.given - f.frames[FRAME_RESERVED] + swap.slots;
}

long oom_badness(struct process *p, u64 total, struct space_resident *has) {
    long adjustment = p->oom_score_adj;
    spin_lock(&p->lock);
    bool any = p->space;
    *has = (struct space_resident){0};
    if (any)
        space_resident(p->space, has);
    spin_unlock(&p->lock);
    if (!any || p->kernel || adjustment == OOM_SCORE_ADJ_MIN || atomic_load(&p->oom_killed) ||
        atomic_load(&p->vfork_pending))
        return OOM_NEVER;
    return (long)(has->anon + has->object + has->swapped + has->tables) + adjustment * (long)(total / 1000);
}

/* The worst of all, counted, or NULL. Of equals, the one with the largest number, as Linux walks by age. */
static struct process *choose(void) {
    struct process *p, *worst = NULL;
    struct space_resident has;
    long most = OOM_NEVER;
    u64 total = oom_total();
    for (int pid = 1; (p = process_next(pid));) {
        long points = oom_badness(p, total, &has);
        pid = p->pid;
        if (points == OOM_NEVER || points < most) {
            process_put(p);
            continue;
        }
        if (worst)
            process_put(worst);
        worst = p;
        most = points;
    }
    return worst;
}

/* ---- the report ---- */

/* The columns are Linux's. */
static void report_process(struct process *p) {
    struct space_resident has;
    struct task *t = process_thread_next(p, 0);
    oom_badness(p, 1, &has);
    if (t && has.total)
        kprintf(LOG_INFO "[%7d] %5u %5d %8lu %8lu %8lu %8lu         %5d %s\n", p->pid, p->cred.uid, p->pid,
                (unsigned long)has.total, (unsigned long)(has.anon + has.object), (unsigned long)has.tables * PAGE_SIZE,
                (unsigned long)has.swapped, p->oom_score_adj, t->name);
    if (t)
        task_put(t);
}

static void report(struct process *asker) {
    struct frame_totals f;
    struct swap_totals swap;
    struct process *p;
    frame_totals(&f);
    swap_totals(&swap);
    kprintf(LOG_INFO "out of memory: process %d asked, oom_score_adj %d; pages: %lu free, %lu anonymous, %lu of files, "
                     "%lu in memory only, %lu tables, %lu kernel, %lu reserved; swap: %lu of %lu free\n",
            asker ? asker->pid : 0, asker ? asker->oom_score_adj : 0, (unsigned long)f.frames[FRAME_FREE],
            (unsigned long)f.frames[FRAME_ANON], (unsigned long)f.frames[FRAME_FILE],
            (unsigned long)f.frames[FRAME_SHMEM], (unsigned long)f.frames[FRAME_TABLE],
            (unsigned long)(f.frames[FRAME_KERNEL] + f.frames[FRAME_SLAB]), (unsigned long)f.frames[FRAME_RESERVED],
            (unsigned long)(swap.slots - swap.used), (unsigned long)swap.slots);
    if (!oom_dump_tasks)
        return;
    kprintf(LOG_INFO "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n");
    for (int pid = 1; (p = process_next(pid));) {
        pid = p->pid;
        report_process(p);
        process_put(p);
    }
}

/* The one line that is shown without -v. */
static void announce(struct process *p) {
    struct space_resident has;
    struct task *t = process_thread_next(p, 0);
    oom_badness(p, 1, &has);
    kprintf(LOG_NOTICE "out of memory: killed %s[%d]: %lu KiB in memory, %lu KiB in the swap area, %lu KiB of tables, "
                       "oom_score_adj %d\n",
            t ? t->name : "?", p->pid, (unsigned long)((has.anon + has.object) * PAGE_KIB),
            (unsigned long)(has.swapped * PAGE_KIB), (unsigned long)(has.tables * PAGE_KIB), p->oom_score_adj);
    if (t)
        task_put(t);
}

/* ---- killing ---- */

static void kill_sharers(struct process *victim) {
    const struct space *space = atomic_load(&victim->space);
    struct process *p;
    for (int pid = 1; (p = process_next(pid));) {
        pid = p->pid;
        if (p == victim || (space && atomic_load(&p->space) == space)) {
            atomic_store(&p->oom_killed, true);
            signal_send_prepared(p, NULL, SIGKILL, NULL, NULL);
        }
        process_put(p);
    }
}

static bool await_exit(struct process *p, u64 ns) {
    return !wait_until_deadline(&p->thread_events, atomic_load(&p->zombie), false, clock_ns() + ns);
}

static struct space *reap_begin(struct process *p) {
    spin_lock(&p->lock);
    struct space *s = p->space;
    p->reaping = s;
    spin_unlock(&p->lock);
    return s;
}

static void reap_end(struct process *p) {
    atomic_store(&p->reaping, false);
    waitq_wake_all(&p->thread_events);
}

void oom_await_reaper(struct process *p) { wait_until(&p->thread_events, !atomic_load(&p->reaping)); }

static void take_back(struct process *p) {
    bool over = await_exit(p, GRACE_NS);
    int error = -EAGAIN;
    for (unsigned n = 0; n < RETRIES && !over && error == -EAGAIN; n++) {
        struct space *s = reap_begin(p);
        if (!s)
            break;
        error = space_reap(s);
        reap_end(p);
        if (error == -EAGAIN)
            over = await_exit(p, RETRY_NS);
    }
    if (!over && !await_exit(p, PATIENCE_NS))
        kprintf(LOG_INFO "out of memory: process %d has not exited: %s\n", p->pid,
                error ? "it keeps its memory" : "its private memory was taken back");
}

static bool may_be_killed(struct process *p) {
    struct space_resident has;
    return oom_badness(p, 1, &has) != OOM_NEVER;
}

/* False: there is nobody to kill. */
static bool kill_one(struct process *asker) {
    struct process *victim = NULL;
    report(asker);
    if (oom_panic)
        panic("out of memory, and vm.panic_on_oom is %lu", (unsigned long)oom_panic);
    if (oom_kill_allocating_task && asker && may_be_killed(asker)) {
        process_get(asker);
        victim = asker;
    } else {
        victim = choose();
    }
    if (!victim)
        return false;
    announce(victim);
    event(EVENT_OOM, 0, 1);
    kill_sharers(victim);
    take_back(victim);
    process_put(victim);
    return true;
}

static void killer(void *unused argument) {
    for (;;) {
        wait_until(&oom.work, atomic_load(&oom.wanted));
        bool found = frame_available() || kill_one(oom.asker); /* asker changes only when none is wanted */
        spin_lock(&oom.lock);
        struct process *asker = oom.asker;
        oom.asker = NULL;
        oom.wanted = false;
        oom.nobody = !found;
        atomic_store(&oom.rounds, oom.rounds + 1);
        spin_unlock(&oom.lock);
        waitq_wake_all(&oom.over);
        if (asker)
            process_put(asker);
    }
}

/* ---- who asks ---- */

static enum oom_answer ask(u64 stored, bool again) {
    if (task_current() == oom.killer || task_current() == flusher_task || fatal_signal_pending())
        return OOM_RESERVE;
    if (task_current()->lacks_alone)
        return OOM_FAILS;
    if (!again && flusher_helps(stored))
        return OOM_AGAIN;
    spin_lock(&oom.lock);
    u64 seen = oom.rounds;
    if (!oom.wanted) {
        oom.asker = process_current();
        if (oom.asker)
            process_get(oom.asker);
        atomic_store(&oom.wanted, true);
    }
    spin_unlock(&oom.lock);
    waitq_wake_all(&oom.work);
    if (wait_until_killable(&oom.over, atomic_load(&oom.rounds) != seen))
        return OOM_RESERVE;
    return atomic_load(&oom.nobody) ? OOM_FAILS : OOM_AGAIN;
}

void oom_kill_self(void) {
    struct process *p = process_current();
    if (fatal_signal_pending())
        return;
    announce(p);
    signal_send_prepared(p, NULL, SIGKILL, NULL, NULL);
}

void oom_init(void) {
    oom.killer = kthread_start("oom", killer, NULL);
    if (!oom.killer)
        panic("no memory for the out-of-memory killer");
    vm_out_of_memory = ask;
}
