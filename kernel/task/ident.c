/* ident.c - the numbers by which user programs name tasks, processes, groups and sessions.
 *
 * Nouns: ident (family.h): one number in use, counted by everything that has it, so that no number is given out again
 * while a group or a session of that number lives on without its leader. A fixed hash table finds it.
 *
 * Locks: ident_lock protects the table and what an ident points to; a finder takes its reference on the task or process
 * before it lets go, which is why they unbind before their last reference goes. */
#include "task/family.h"

#define NUMBER_LAST 32768 /* kernel.pid_max of a small machine: numbers are below it */
#define NUMBER_AGAIN 300  /* after a wrap the low numbers, of long-lived processes, are left alone: as Linux */
#define BUCKETS 512

static struct spin ident_lock;
static struct ident *buckets[BUCKETS];
static int last_number;

static struct ident **bucket_of(int number) { return &buckets[(unsigned)number % BUCKETS]; }

static struct ident *look_up(int number) {
    struct ident *id = *bucket_of(number);

    while (id && id->number != number)
        id = id->hash_next;
    return id;
}

static int free_number(void) {
    int number = last_number;

    for (int tries = 0; tries < NUMBER_LAST; tries++) {
        number = number + 1 >= NUMBER_LAST ? NUMBER_AGAIN : number + 1;
        if (!look_up(number))
            return number;
    }
    return 0;
}

struct ident *ident_new(void) {
    struct ident *id = kzalloc(sizeof(*id));

    if (!id)
        return NULL;
    id->references = 1;
    list_init(&id->group);
    spin_lock(&ident_lock);
    id->number = free_number();
    if (id->number) {
        last_number = id->number;
        id->hash_next = *bucket_of(id->number);
        *bucket_of(id->number) = id;
    }
    spin_unlock(&ident_lock);
    if (!id->number) {
        kfree(id);
        id = NULL;
    }
    return id;
}

void ident_get(struct ident *id) { atomic_add(&id->references, 1); }

/* ident_put: the count goes to 0 only under the lock, so that ident_find gives no new reference to a dying one. */
void ident_put(struct ident *id) {
    struct ident **link;
    bool last;

    spin_lock(&ident_lock);
    last = atomic_sub(&id->references, 1) == 0;
    if (last) {
        for (link = bucket_of(id->number); *link != id; link = &(*link)->hash_next)
            continue;
        *link = id->hash_next;
    }
    spin_unlock(&ident_lock);
    if (last)
        kfree(id);
}

struct ident *ident_find(int number) {
    struct ident *id;

    spin_lock(&ident_lock);
    id = look_up(number);
    if (id)
        ident_get(id);
    spin_unlock(&ident_lock);
    return id;
}

void ident_bind(struct ident *id, struct task *t, struct process *p) {
    spin_lock(&ident_lock);
    if (t)
        id->task = t;
    if (p)
        id->process = p;
    spin_unlock(&ident_lock);
}

void ident_unbind(struct ident *id, struct task *t, struct process *p) {
    spin_lock(&ident_lock);
    if (t && id->task == t)
        id->task = NULL;
    if (p && id->process == p)
        id->process = NULL;
    spin_unlock(&ident_lock);
}

struct process *process_find(int pid) {
    struct process *p = NULL;
    struct ident *id;

    spin_lock(&ident_lock);
    id = look_up(pid);
    if (id && id->process) {
        p = id->process;
        process_get(p);
    }
    spin_unlock(&ident_lock);
    return p;
}

struct task *task_find(int tid) {
    struct task *t = NULL;
    struct ident *id;

    spin_lock(&ident_lock);
    id = look_up(tid);
    if (id && id->task) {
        t = id->task;
        task_get(t);
    }
    spin_unlock(&ident_lock);
    return t;
}
