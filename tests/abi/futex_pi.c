/* futex_pi.c - locks that name their owner, waits for several words. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static long futex(uint32_t *word, int operation, uint32_t value, void *time) {
    return syscall(SYS_futex, word, operation, value, time, NULL, 0);
}

static uint32_t word;
static int self(void) { return (int)syscall(SYS_gettid); }
static void say(const char *what, long result) {
    const char *owner = (word & FUTEX_TID_MASK) == (uint32_t)self() ? "ours"
                        : word & FUTEX_TID_MASK                     ? "another's"
                                                                    : "nobody's";
    printf("%s -> %s; %s%s%s\n", what, error_of(result), owner, word & FUTEX_WAITERS ? " waiters" : "",
           word & FUTEX_OWNER_DIED ? " died" : "");
}

static void alone(void) {
    struct timespec past = {1, 0}, bad = {0, 2000000000};
    say("lock", futex(&word, FUTEX_LOCK_PI, 0, NULL));
    say("lock again", futex(&word, FUTEX_LOCK_PI, 0, NULL));
    say("try what is ours", futex(&word, FUTEX_TRYLOCK_PI, 0, NULL));
    say("unlock", futex(&word, FUTEX_UNLOCK_PI, 0, NULL));
    say("unlock again", futex(&word, FUTEX_UNLOCK_PI, 0, NULL));
    say("try", futex(&word, FUTEX_TRYLOCK_PI, 0, NULL));
    say("private unlock", futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
    say("not aligned", futex((uint32_t *)((char *)&word + 1), FUTEX_LOCK_PI, 0, NULL));
    say("nowhere", futex((uint32_t *)8, FUTEX_LOCK_PI, 0, NULL));
    word = 0x3ffffffe;
    say("owned by nobody there is", futex(&word, FUTEX_LOCK_PI, 0, NULL));
    word = FUTEX_OWNER_DIED;
    say("a dead owner's", futex(&word, FUTEX_LOCK_PI, 0, NULL));
    word = FUTEX_WAITERS;
    say("nobody's, with waiters", futex(&word, FUTEX_LOCK_PI, 0, NULL));
    say("unlock", futex(&word, FUTEX_UNLOCK_PI, 0, NULL));
    say("bad time", futex(&word, FUTEX_LOCK_PI, 0, &bad));
    say("LOCK_PI2, free, time past", futex(&word, FUTEX_LOCK_PI2, 0, &past));
    say("unlock", futex(&word, FUTEX_UNLOCK_PI, 0, NULL));
    say("LOCK_PI, wall clock bit", futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, &past));
    say("LOCK_PI2, wall clock bit", futex(&word, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &past));
    word = 0;
}

static pthread_barrier_t barrier;
static volatile int order;

static void *waiter(void *argument) {
    long result = futex(&word, FUTEX_LOCK_PI, 0, NULL);
    order = 1;
    say("the other's lock", result);
    say("the other's unlock", futex(&word, FUTEX_UNLOCK_PI, 0, NULL));
    return argument;
}

static void until_waiters(void) {
    while (!(__atomic_load_n(&word, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
        sched_yield();
}

static void handed_over(void) {
    pthread_t t;
    word = 0;
    say("lock", futex(&word, FUTEX_LOCK_PI, 0, NULL));
    pthread_create(&t, NULL, waiter, NULL);
    until_waiters();
    say("a plain wake", futex(&word, FUTEX_WAKE, 1, NULL));
    printf("still waits: %d\n", !order);
    long result = futex(&word, FUTEX_UNLOCK_PI, 0, NULL);
    pthread_join(t, NULL);
    say("unlocked", result);
}

static void *owner(void *argument) {
    futex(&word, FUTEX_LOCK_PI, 0, NULL);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* until_waiters must not see those of a lock that was only tried */
    until_waiters();
    syscall(SYS_exit, 0);
    return argument;
}

static void owner_dies(void) {
    pthread_t t;
    word = 0;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, owner, NULL);
    pthread_barrier_wait(&barrier);
    struct timespec past = {1, 0};
    say("try", futex(&word, FUTEX_TRYLOCK_PI, 0, NULL));
    word &= ~FUTEX_WAITERS;
    say("time past", futex(&word, FUTEX_LOCK_PI, 0, &past));
    word &= ~FUTEX_WAITERS;
    pthread_barrier_wait(&barrier);
    say("the dead owner's", futex(&word, FUTEX_LOCK_PI, 0, NULL));
    say("unlock", futex(&word, FUTEX_UNLOCK_PI, 0, NULL));
    pthread_join(t, NULL);
}

static uint32_t one, two;
static void *crossing(void *argument) {
    futex(&two, FUTEX_LOCK_PI, 0, NULL);
    pthread_barrier_wait(&barrier);
    futex(&one, FUTEX_LOCK_PI, 0, NULL);
    futex(&one, FUTEX_UNLOCK_PI, 0, NULL);
    futex(&two, FUTEX_UNLOCK_PI, 0, NULL);
    return argument;
}

static void deadlock(void) {
    pthread_t t;
    futex(&one, FUTEX_LOCK_PI, 0, NULL);
    pthread_create(&t, NULL, crossing, NULL);
    pthread_barrier_wait(&barrier);
    while (!(__atomic_load_n(&one, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
        sched_yield();
    long result = futex(&two, FUTEX_LOCK_PI, 0, NULL);
    printf("crossing locks -> %s\n", error_of(result));
    futex(&one, FUTEX_UNLOCK_PI, 0, NULL);
    pthread_join(t, NULL);
}

static pthread_mutex_t a;
static long counter;
static void *counting(void *argument) {
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&a);
        counter++;
        if (i % 16 == 0)
            sched_yield();
        pthread_mutex_unlock(&a);
    }
    return argument;
}

static void many(void) {
    pthread_mutexattr_t attributes;
    pthread_t t[4];
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&a, &attributes);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, counting, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    printf("counted %ld\n", counter);
}

/* ---- futex_waitv ---- */

struct waitv {
    uint64_t value, word;
    uint32_t flags, reserved;
};
static uint32_t words[3];
static void *waker(void *argument) {
    while (futex(&words[1], FUTEX_WAKE, 1, NULL) == 0)
        sched_yield();
    return argument;
}

static void several(void) {
    struct waitv v[3];
    struct timespec past = {0, 1};
    pthread_t t;
    for (int i = 0; i < 3; i++)
        v[i] = (struct waitv){0, (uintptr_t)&words[i], 2, 0};
#define WAITV(count, flags, time, clock) syscall(SYS_futex_waitv, v, count, flags, time, clock)
    say("none", WAITV(0, 0, NULL, 0));
    say("too many", WAITV(129, 0, NULL, 0));
    say("flags", WAITV(3, 1, NULL, 0));
    say("time past", WAITV(3, 0, &past, CLOCK_MONOTONIC));
    say("no such clock", WAITV(3, 0, &past, CLOCK_BOOTTIME));
    v[2].value = 1;
    say("another value", WAITV(3, 0, NULL, 0));
    v[2].value = 0;
    v[1].flags = 1;
    say("no such size", WAITV(3, 0, NULL, 0));
    v[1].flags = 2;
    v[1].reserved = 1;
    say("reserved", WAITV(3, 0, NULL, 0));
    v[1].reserved = 0;
    pthread_create(&t, NULL, waker, NULL);
    printf("woken by %ld\n", WAITV(3, 0, NULL, 0));
    pthread_join(t, NULL);
}

int main(void) {
    alone();
    handed_over();
    owner_dies();
    deadlock();
    many();
    word = 0;
    several();
    return 0;
}
