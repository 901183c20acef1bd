/* flight.c - files in flight: those that lie in the inboxes of Unix sockets, and the closing of those that nobody can
 * get at any more.
 *
 *     descriptor --> A    B --inbox--> C --inbox--> B       B and C hold each other; nobody holds them
 *
 * A file in flight whose references are all from packets is a candidate. A candidate is alive when one of the packets
 * that hold it does not lie in a candidate's inbox: it lies in another's, or is on its way (a sender waits for room
 * with it, a receiver has taken it out and not looked into it yet, a connection that is being accepted has it). What
 * lies in the inbox of one that is alive is alive. The inboxes of the others are emptied, which closes them. While the
 * mutex is held no file begins or ends to be in flight, and who could use a candidate would have a reference more, or
 * its packet. So what is found stays so.
 *
 * Locks: the mutex; under it unix_sockets' lock (unix.c), then a socket's. */
#include <linux/capability.h>

#include "net/socket.h"
#include "net/unix.h"
#include "task/task.h"

static struct mutex mutex = MUTEX_INIT(mutex); /* protects what is in flight, and every unix_socket's in_flight */
static u64 total, sockets; /* files, and Unix sockets, in flight; [mutex] to write, read atomically */

void flight_lock(void) { mutex_lock(&mutex); }
void flight_unlock(void) { mutex_unlock(&mutex); }

/* Each file one more, or less. */
static void count_files(struct ancillary *a, int add) {
    for (u32 n = 0; n < a->count; n++) {
        struct unix_socket *u = unix_of_file(a->files[n]);
        if (u) {
            u->in_flight += (u32)add;
            atomic_store(&sockets, sockets + (u64)(s64)add);
        }
    }
    atomic_store(&total, total + (s64)a->count * add);
    a->in_flight = add > 0;
}

int flight_begin(struct ancillary *a) {
    u64 most = process_current()->limits[RLIMIT_NOFILE].rlim_cur;
    if (atomic_load(&total) > most && !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN))
        return -ETOOMANYREFS;
    mutex_lock(&mutex);
    count_files(a, 1);
    mutex_unlock(&mutex);
    return 0;
}

void flight_end(struct ancillary *a) {
    assert(mutex_held(&mutex));
    if (a->in_flight)
        count_files(a, -1);
}

/* ---- collecting ---- */

/* Do for each packet with files in the inbox of s, and of the connections that wait at it. */
static void each_carried(struct socket *s, void (*act)(struct packet *p, struct list *list), struct list *list) {
    struct packet *p;
    struct socket *c;
    spin_lock(&s->lock);
    list_for_each(p, &s->inbox, link) {
        if (p->carried)
            act(p, list);
    }
    list_for_each(c, &s->pending, pending_link) {
        spin_lock(&c->lock);
        list_for_each(p, &c->inbox, link) {
            if (p->carried)
                act(p, list);
        }
        spin_unlock(&c->lock);
    }
    spin_unlock(&s->lock);
}

static bool is_candidate(struct unix_socket *u) {
    struct file *f = atomic_load(&u->socket.file);
    return u->in_flight && f && atomic_load(&f->references) == u->in_flight;
}

/* What lies in the inbox of one that is alive is alive, and to be looked into. */
static void mark(struct packet *p, struct list *alive) {
    for (u32 n = 0; n < p->carried->count; n++) {
        struct unix_socket *u = unix_of_file(p->carried->files[n]);
        if (u && u->candidate) {
            u->candidate = false;
            list_del(&u->collect_link);
            list_add_tail(alive, &u->collect_link);
        }
    }
}

static void take_out(struct packet *p, struct list *dropped) {
    struct ancillary *a = p->carried;
    p->carried = NULL;
    flight_end(a);
    list_add_tail(dropped, &a->link);
}

static void count_inside(struct packet *p, struct list *unused list) {
    for (u32 n = 0; n < p->carried->count; n++) {
        struct unix_socket *u = unix_of_file(p->carried->files[n]);
        if (u && u->candidate)
            u->inside++;
    }
}

/* All candidates to one list, and from there those that are alive. unix_sockets are locked. */
static void sort_out(struct list *candidates, struct list *alive) {
    struct unix_socket *u, *next;
    list_for_each(u, &unix_sockets, all_link) {
        u->candidate = is_candidate(u);
        u->inside = 0;
        if (u->candidate)
            list_add_tail(candidates, &u->collect_link);
    }
    list_for_each(u, candidates, collect_link) { each_carried(&u->socket, count_inside, NULL); }
    list_for_each_safe(u, next, candidates, collect_link) {
        if (u->inside < u->in_flight) {
            u->candidate = false;
            list_del(&u->collect_link);
            list_add_tail(alive, &u->collect_link);
        }
    }
    while (!list_empty(alive)) {
        u = list_first(alive, struct unix_socket, collect_link);
        list_del(&u->collect_link);
        each_carried(&u->socket, mark, alive);
    }
}

void flight_collect(void) {
    struct list candidates = LIST_INIT(candidates), alive = LIST_INIT(alive), dropped = LIST_INIT(dropped);
    if (!atomic_load(&sockets)) /* no other file can hold itself */
        return;
    mutex_lock(&mutex);
    spin_lock(&unix_sockets_lock);
    sort_out(&candidates, &alive);
    while (!list_empty(&candidates)) {
        struct unix_socket *u = list_first(&candidates, struct unix_socket, collect_link);
        list_del(&u->collect_link);
        u->candidate = false;
        each_carried(&u->socket, take_out, &dropped);
    }
    spin_unlock(&unix_sockets_lock);
    mutex_unlock(&mutex);
    while (!list_empty(&dropped)) {
        struct ancillary *a = list_first(&dropped, struct ancillary, link);
        list_del(&a->link);
        ancillary_drop(a);
    }
}
