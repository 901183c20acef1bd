/* process.c - processes: what they are while they live, and how they stand to one another.
 *
 * Nouns: process (task.h); the family: parents and children, groups, sessions, all under family_lock. Life begins in
 * clone.c, the very first in first.c, and ends in exit.c; child.c is how a parent hears of it. */
#include <linux/prctl.h>

#include "fs/file.h"
#include "fs/vfs.h"
#include "task/trace.h"
#include "vm/space.h"

struct spin family_lock;

static struct slab_cache *process_cache;
static struct list everyone = LIST_INIT(everyone); /* [f] by age; without pid 1 */
static u64 live_processes;
static const struct credentials root_cred = {.cap_effective = ~0UL, .cap_permitted = ~0UL, .cap_bounding = ~0UL};

const struct credentials *cred_current(void) {
    struct process *p = process_current();

    return p ? &p->cred : &root_cred;
}

bool capable(int capability) { return cred_current()->cap_effective >> capability & 1; }

struct group_list *group_list_make(u32 room) {
    struct group_list *list = kmalloc(sizeof(*list) + room * sizeof(list->gids[0]));

    if (list)
        *list = (struct group_list){.room = room};
    return list;
}

static void group_list_free(struct group_list *list) {
    while (list) {
        struct group_list *older = list->older;

        kfree(list);
        list = older;
    }
}

int cred_copy(struct credentials *to, const struct credentials *from) {
    u32 count = atomic_load(&from->group_count);
    struct group_list *groups = NULL;

    if (count) {
        groups = group_list_make(count);
        if (!groups)
            return -ENOMEM;
        memcpy(groups->gids, atomic_load(&from->groups)->gids, count * sizeof(groups->gids[0]));
    }
    *to = *from;
    to->group_count = count;
    to->groups = groups;
    return 0;
}

void process_cache_init(void) {
    process_cache = slab_create("process", sizeof(struct process), 64);
    if (!process_cache)
        panic("no memory for processes");
}

/* ---- life ---- */

struct process *process_make(void) {
    struct process *p = slab_alloc_zeroed(process_cache);

    if (!p)
        return NULL;
    p->references = 1;
    list_init(&p->threads);
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->all_link);
    list_init(&p->group_link);
    list_init(&p->traced);
    list_init(&p->pending.queued);
    list_init(&p->posix_timers);
    list_init(&p->sem_undos);
    list_init(&p->aio_contexts);
    waitq_init(&p->child_events);
    waitq_init(&p->signal_events);
    waitq_init(&p->resume);
    waitq_init(&p->thread_events);
    waitq_init(&p->vfork_done);
    p->start_ns = clock_ns();
    p->dumpable = true;
    p->timer_slack_ns = 50000; /* prctl(2): the default, reported only */
    p->memory_kill = PR_MCE_KILL_DEFAULT;
    p->login_uid = p->login_session = ~0u;
    atomic_add(&live_processes, 1);
    return p;
}

void process_get(struct process *p) { atomic_add(&p->references, 1); }

void process_put(struct process *p) {
    if (atomic_sub(&p->references, 1) != 0)
        return;
    assert(!p->space && !p->exe);
    signal_queue_flush(p, &p->pending, ~0UL);
    if (p->handlers)
        signal_actions_put(p->handlers);
    if (p->group)
        ident_put(p->group);
    if (p->session)
        ident_put(p->session);
    if (p->ident)
        ident_put(p->ident);
    group_list_free(p->cred.groups);
    slab_free(process_cache, p);
    atomic_sub(&live_processes, 1);
}

/* ---- groups and sessions; family_lock is held ---- */

void process_join_group(struct process *p, struct ident *group) {
    struct ident *old = p->group;

    ident_get(group);
    list_del(&p->group_link);
    list_add_tail(&group->group, &p->group_link);
    p->group = group;
    p->pgid = group->number;
    if (old)
        ident_put(old);
}

void process_join_session(struct process *p, struct ident *session) {
    struct ident *old = p->session;

    ident_get(session);
    p->session = session;
    p->sid = session->number;
    if (old)
        ident_put(old);
}

void family_add(struct process *p, struct process *parent) {
    p->parent = parent;
    list_add_tail(&parent->children, &p->sibling);
    list_add_tail(&everyone, &p->all_link);
}

void family_remove(struct process *p) {
    list_del(&p->sibling);
    list_del(&p->all_link);
    list_del(&p->group_link);
}

/* group_orphaned: no member has a parent outside the group but in its session, who could continue it when it stops.
 * For the first program that parent is the command, on the other side of the wire. */
bool group_orphaned(const struct ident *group, const struct process *ignored) {
    struct process *p;

    list_for_each(p, &group->group, group_link) {
        if (p == ignored || p->zombie || !p->parent)
            continue;
        if (p == process_first)
            return false;
        if (p->parent != process_kernel && p->parent->group != p->group && p->parent->session == p->session)
            return false;
    }
    return true;
}

bool group_has_stopped(const struct ident *group) {
    struct process *p;

    list_for_each(p, &group->group, group_link) {
        if (p->stopped)
            return true;
    }
    return false;
}

bool process_orphaned(void) {
    struct process *p = process_current();
    bool orphaned;

    spin_lock(&family_lock);
    orphaned = group_orphaned(p->group, NULL);
    spin_unlock(&family_lock);
    return orphaned;
}

int process_in_session_group(int sid, int pgid) {
    struct ident *group = ident_find(pgid);
    struct process *p;
    bool found = false;

    if (!group)
        return -ESRCH;
    spin_lock(&family_lock);
    list_for_each(p, &group->group, group_link) { found |= p->sid == sid; }
    spin_unlock(&family_lock);
    ident_put(group);
    return found ? 0 : -EPERM;
}

void process_look(struct process *p, void (*f)(struct process *p, void *argument), void *argument) {
    spin_lock(&family_lock);
    f(p, argument);
    spin_unlock(&family_lock);
}

void process_each_in_session(int sid, void (*f)(struct process *p, void *argument), void *argument) {
    struct process *p;

    spin_lock(&family_lock);
    list_for_each(p, &everyone, all_link) {
        if (p->sid == sid)
            f(p, argument);
    }
    spin_unlock(&family_lock);
}

/* ---- looking at others ---- */

struct process *process_next(int pid) {
    struct process *p, *found = NULL;

    if (pid < 1) {
        process_get(process_kernel);
        return process_kernel;
    }
    spin_lock(&family_lock);
    list_for_each(p, &everyone, all_link) {
        if (p->pid > pid && (!found || p->pid < found->pid))
            found = p;
    }
    if (found)
        process_get(found);
    spin_unlock(&family_lock);
    return found;
}

struct space *process_space(struct process *p) {
    struct space *space;

    spin_lock(&p->lock);
    space = p->space;
    if (space)
        space_get(space);
    spin_unlock(&p->lock);
    return space;
}

/* ---- descriptors, root and working directory: of tasks, which mostly share them ---- */

void task_release_files(struct task *t) {
    struct files *files = t->files;
    struct fs_root *fs = t->fs;

    if (t->process)
        spin_lock(&t->process->lock);
    t->files = NULL;
    t->fs = NULL;
    if (t->process)
        spin_unlock(&t->process->lock);
    if (files)
        files_put(files);
    if (fs)
        fs_root_put(fs);
}

int task_unshare_files(void) {
    struct task *t = task_current();
    struct files *old = t->files, *own;

    if (!files_shared(old))
        return 0;
    own = files_fork(old);
    if (is_err(own))
        return ptr_err(own);
    spin_lock(&t->process->lock);
    t->files = own;
    spin_unlock(&t->process->lock);
    files_put(old);
    return 0;
}

int task_unshare_fs(void) {
    struct task *t = task_current();
    struct fs_root *old = t->fs, *own = fs_root_fork(old);

    if (!own)
        return -ENOMEM;
    spin_lock(&t->process->lock);
    t->fs = own;
    spin_unlock(&t->process->lock);
    fs_root_put(old);
    return 0;
}

/* The first thread that has any: the leading one's, while it runs. p->lock is held. */
static struct task *thread_with_files(struct process *p) {
    struct task *t;

    list_for_each(t, &p->threads, thread_link) {
        if (t->files && t->fs)
            return t;
    }
    return NULL;
}

struct files *process_files(struct process *p) {
    struct task *t;
    struct files *files = NULL;

    spin_lock(&p->lock);
    t = thread_with_files(p);
    if (t) {
        files = t->files;
        files_get(files);
    }
    spin_unlock(&p->lock);
    return files;
}

struct fs_root *process_fs_root(struct process *p) {
    struct fs_root *fs = NULL, *copy = NULL;
    struct task *t;

    spin_lock(&p->lock);
    t = thread_with_files(p);
    if (t) {
        fs = t->fs;
        fs_root_get(fs);
    }
    spin_unlock(&p->lock);
    if (fs) {
        copy = fs_root_fork(fs);
        fs_root_put(fs);
    }
    return copy;
}

int process_parent_pid(struct process *p) {
    int pid;

    spin_lock(&family_lock);
    pid = p->parent ? p->parent->pid : 0;
    spin_unlock(&family_lock);
    return pid;
}

void process_cpu_time(struct process *p, u64 *user_ns, u64 *system_ns) {
    struct task *t;
    u64 user, system;

    spin_lock(&p->lock);
    *user_ns = p->user_ns;
    *system_ns = p->system_ns;
    list_for_each(t, &p->threads, thread_link) {
        task_times(t, &user, &system);
        *user_ns += user;
        *system_ns += system;
    }
    spin_unlock(&p->lock);
}

struct faults process_faults(struct process *p) {
    struct task *t;

    spin_lock(&p->lock);
    struct faults faults = {p->faults_minor, p->faults_major};
    list_for_each(t, &p->threads, thread_link) {
        faults.minor += atomic_load_relaxed(&t->faults_minor);
        faults.major += atomic_load_relaxed(&t->faults_major);
    }
    spin_unlock(&p->lock);
    return faults;
}

struct task *process_thread_next(struct process *p, int tid) {
    struct task *t, *found = NULL;

    spin_lock(&p->lock);
    list_for_each(t, &p->threads, thread_link) {
        if (t->tid > tid && (!found || t->tid < found->tid))
            found = t;
    }
    if (found)
        task_get(found);
    spin_unlock(&p->lock);
    return found;
}

static bool trace_shows(struct task *t) {
    bool stopped = false;

    if (t->process) {
        spin_lock(&t->process->signal_lock);
        stopped = t->trace && t->trace->stopped;
        spin_unlock(&t->process->signal_lock);
    }
    return stopped;
}

char task_state_letter(struct task *t) {
    if (trace_shows(t))
        return 't';
    switch (atomic_load_relaxed(&t->state)) {
    case TASK_SLEEPING:
        return t->parked ? 'T' : t->interruptible ? 'S' : 'D';
    case TASK_STOPPED:
        return 'T';
    case TASK_DEAD:
        return 'X';
    default:
        return 'R';
    }
}

char process_state_letter(struct process *p) {
    struct task *t;
    char letter;

    if (p->zombie)
        return 'Z';
    t = task_find(p->pid);
    letter = t ? task_state_letter(t) : 'Z';
    if (t)
        task_put(t);
    return letter;
}

u64 process_count_of(u32 uid) {
    struct process *p;
    u64 count = 0;

    spin_lock(&family_lock);
    list_for_each(p, &everyone, all_link) { count += p->cred.uid == uid; }
    spin_unlock(&family_lock);
    return count;
}

u64 process_count(void) { return atomic_load_relaxed(&live_processes); }

bool family_empty(void) {
    bool empty;

    spin_lock(&family_lock);
    empty = list_empty(&everyone);
    spin_unlock(&family_lock);
    return empty;
}

void family_kill(void) {
    struct process *p;

    spin_lock(&family_lock);
    list_for_each(p, &everyone, all_link) { signal_send_prepared(p, NULL, SIGKILL, NULL, NULL); }
    spin_unlock(&family_lock);
}

/* signal_everyone: kill(-1): all but pid 1 and the caller's own process. -ESRCH: nobody; -EPERM: nobody allowed it. */
int signal_everyone(int signal, const siginfo_t *info) {
    struct process *self = process_current(), *p;
    int result = -ESRCH;

    for (p = process_next(1); p;) {
        int pid = p->pid, error;

        if (p != self) {
            error = signal_check(p, signal);
            if (!error && signal)
                error = signal_process(p, signal, info);
            if (result == -ESRCH || !error)
                result = error;
        }
        process_put(p);
        p = process_next(pid);
    }
    return result;
}
