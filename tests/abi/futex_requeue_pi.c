/* futex_requeue_pi.c - waiters at one word that are moved to a lock which names its owner. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

#include "asleep.h"

#define WAITERS 3

static uint32_t word, lock, other;
static struct timespec past = {1, 0};

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static int self(void) { return (int)syscall(SYS_gettid); }
static long wait_at(uint32_t value, struct timespec *until, uint32_t *target) {
    return syscall(SYS_futex, &word, FUTEX_WAIT_REQUEUE_PI, value, until, target, 0);
}
static long move(unsigned wake, unsigned long most, uint32_t *target, uint32_t value) {
    return syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PI, wake, most, target, value);
}
static long futex(uint32_t *at, int operation, uint32_t value) {
    return syscall(SYS_futex, at, operation, value, NULL, NULL, 0);
}
static void say(const char *what, long result) { printf("%s -> %ld %s\n", what, result, error_of(result)); }

static void alone(void) {
    struct timespec bad = {0, 2000000000};
    say("wait, another value", wait_at(1, NULL, &lock));
    say("wait, time past", wait_at(0, &past, &lock));
    say("wait, bad time", wait_at(0, &bad, &lock));
    say("wait for itself", wait_at(0, NULL, &word));
    say("wait, not aligned", wait_at(0, NULL, (uint32_t *)((char *)&lock + 1)));
    say("wait, nowhere", wait_at(0, NULL, (uint32_t *)8));
    say("wall clock bit", syscall(SYS_futex, &word, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &past, &lock, 0));
    say("move, another value", move(1, 1, &lock, 1));
    say("move nobody", move(1, 1, &lock, 0));
    say("move to itself", move(1, 1, &word, 0));
    say("wake none", move(0, 1, &lock, 0));
    say("wake two", move(2, 1, &lock, 0));
    say("move minus one", move(1, -1UL, &lock, 0));
    say("move to nowhere", move(1, 1, (uint32_t *)8, 0));
}

static pthread_t threads[WAITERS];
static int tids[WAITERS];
static long results[WAITERS];
static int errors[WAITERS];

static void *waiter(void *argument) {
    long i = (long)argument;
    __atomic_store_n(&tids[i], self(), __ATOMIC_RELEASE);
    results[i] = wait_at(0, NULL, &lock);
    errors[i] = results[i] ? errno : 0;
    if (!results[i] && (lock & FUTEX_TID_MASK) != (uint32_t)self())
        errors[i] = -1;
    if (!results[i])
        futex(&lock, FUTEX_UNLOCK_PI, 0);
    return NULL;
}

/* start: so many wait at the word, in order. */
static void start(long count) {
    for (long i = 0; i < count; i++) {
        tids[i] = 0;
        pthread_create(&threads[i], NULL, waiter, (void *)i);
        while (!__atomic_load_n(&tids[i], __ATOMIC_ACQUIRE))
            sched_yield();
        await_state(getpid(), tids[i], 'S');
    }
}
static void end(const char *what, long count) {
    printf("%s:", what);
    for (long i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        printf(" %s", errors[i] > 0 ? strerrorname_np(errors[i]) : errors[i] ? "not its own" : "its own");
    }
    printf("; %s%s\n", lock & FUTEX_TID_MASK ? "ours" : "nobody's", lock & FUTEX_OWNER_DIED ? " died" : "");
}

static void moved(void) {
    lock = word = 0;
    start(1);
    say("a plain wake", futex(&word, FUTEX_WAKE, 1));
    say("a plain move", syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 1, &other, 0));
    say("to another lock", move(1, 0, &other, 0));
    say("to a free lock", move(1, 0, &lock, 0));
    end("had", 1);

    futex(&lock, FUTEX_LOCK_PI, 0);
    start(WAITERS);
    say("one to a lock of ours", move(1, 0, &lock, 0));
    say("the others", move(1, INT32_MAX, &lock, 0));
    say("nobody is left", move(1, INT32_MAX, &lock, 0));
    say("unlock", futex(&lock, FUTEX_UNLOCK_PI, 0));
    end("had", WAITERS);

    start(WAITERS);
    say("all to a free lock", move(1, INT32_MAX, &lock, 0));
    end("had", WAITERS);
}

static void *plain(void *argument) {
    tids[0] = self();
    errors[0] = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0) ? errno : 0;
    return argument;
}
static void mixed(void) {
    tids[0] = 0;
    pthread_create(&threads[0], NULL, plain, NULL);
    while (!__atomic_load_n(&tids[0], __ATOMIC_ACQUIRE))
        sched_yield();
    await_state(getpid(), tids[0], 'S');
    say("one that waits for a wake", move(1, 1, &lock, 0));
    say("wake it", futex(&word, FUTEX_WAKE, 1));
    pthread_join(threads[0], NULL);
}

static void handler(int number) { (void)number; }
static void signalled(int flags, int before) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    lock = 0;
    futex(&lock, FUTEX_LOCK_PI, 0);
    start(1);
    if (!before)
        say("move", move(1, 0, &lock, 0));
    else if (flags)
        word = 1; /* what is waited for changes while the handler runs */
    syscall(SYS_tgkill, getpid(), tids[0], SIGUSR1);
    if (before && !flags) { /* waits again */
        await_state(getpid(), tids[0], 'S');
        say("move", move(1, 0, &lock, 0));
        say("unlock", futex(&lock, FUTEX_UNLOCK_PI, 0));
    }
    end(before ? "signalled before" : "signalled after", 1);
    futex(&lock, FUTEX_UNLOCK_PI, 0);
    lock = word = 0;
}

static void *owner(void *argument) {
    futex(&lock, FUTEX_LOCK_PI, 0);
    start(1);
    say("by the owner", move(1, 0, &lock, 0));
    syscall(SYS_exit, 0);
    return argument;
}
static void owner_dies(void) {
    pthread_t t;
    pthread_create(&t, NULL, owner, NULL);
    pthread_join(t, NULL);
    end("the dead owner's", 1);
}

/* A condition variable: each turn is taken by the thread whose it is. */
static long turn;
static void *taking_turns(void *argument) {
    long me = (long)argument;
    futex(&lock, FUTEX_LOCK_PI, 0);
    for (int i = 0; i < 60; i++) {
        while (turn % WAITERS != me) {
            uint32_t value = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
            futex(&lock, FUTEX_UNLOCK_PI, 0);
            if (wait_at(value, NULL, &lock) && (errno != EAGAIN || futex(&lock, FUTEX_LOCK_PI, 0)))
                abort();
        }
        turn++;
        uint32_t value = __atomic_add_fetch(&word, 1, __ATOMIC_ACQ_REL);
        if (move(1, INT32_MAX, &lock, value) < 0)
            abort();
    }
    futex(&lock, FUTEX_UNLOCK_PI, 0);
    return NULL;
}
static void turns(void) {
    lock = word = 0;
    for (long i = 0; i < WAITERS; i++)
        pthread_create(&threads[i], NULL, taking_turns, (void *)i);
    for (long i = 0; i < WAITERS; i++)
        pthread_join(threads[i], NULL);
    printf("%ld turns\n", turn);
}

int main(void) {
    alone();
    moved();
    mixed();
    signalled(0, 1);
    signalled(SA_RESTART, 1);
    signalled(0, 0);
    owner_dies();
    turns();
    return 0;
}
