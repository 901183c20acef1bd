/* threads.c - threads, futexes, thread-local storage, exit of one and of all, exec from a thread. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static __thread int mine = 5;
static int turn, total;

static void show(const char *what, long result) {
    const char *error = result == -1 ? strerrorname_np(errno) : "";
    printf("%s: %ld %s\n", what, result, error);
}

static void *in_turn(void *argument) {
    int me = (int)(long)argument;
    mine += me;
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&cond, &mutex);
        turn = (turn + 1) % 8;
        total += mine;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)(long)mine;
}

static void conditions(void) {
    pthread_t list[8];
    void *result;
    long sum = 0;
    for (long i = 0; i < 8; i++)
        pthread_create(&list[i], NULL, in_turn, (void *)i);
    for (int i = 0; i < 8; i++) {
        pthread_join(list[i], &result);
        sum += (long)result;
    }
    printf("total %d, results %ld, mine %d\n", total, sum, mine);
}

static void futexes(void) {
    uint32_t word = 1;
    struct timespec brief = {0, 1000000};
    show("wait for another value", syscall(SYS_futex, &word, FUTEX_WAIT, 2, NULL));
    show("wait in vain", syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &brief));
    show("wake nobody", syscall(SYS_futex, &word, FUTEX_WAKE, 5));
    show("odd address", syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT, 1, &brief));
    show("no address", syscall(SYS_futex, NULL, FUTEX_WAIT, 1, &brief));
    show("no such operation", syscall(SYS_futex, &word, 99, 1, &brief));
}

/* A semaphore in shared memory between processes. */
static void between_processes(void) {
    sem_t *sem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(&sem[0], 1, 0);
    sem_init(&sem[1], 1, 0);
    fflush(stdout);
    pid_t pid = fork();
    for (int i = 0; i < 200; i++) {
        sem_post(&sem[pid == 0]);
        while (sem_wait(&sem[pid != 0]) && errno == EINTR)
            continue;
    }
    if (pid == 0)
        _exit(3);
    int status;
    waitpid(pid, &status, 0);
    printf("between processes: %d\n", WEXITSTATUS(status));
}

static void *sleeper(void *argument) {
    pause();
    return argument;
}

static void *ender(void *argument) {
    usleep(20000);
    exit((int)(long)argument);
}

static void *executer(void *argument) {
    execl("/bin/sh", "sh", "-c", "exit 21", NULL);
    return argument;
}

static void ends(const char *what, void *(*function)(void *), void *argument) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, sleeper, NULL);
        pthread_create(&thread, NULL, function, argument);
        pause();
    }
    int status;
    waitpid(pid, &status, 0);
    printf("%s: %d\n", what, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

static void *cancelled(void *argument) {
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    pause();
    return argument;
}

static int first_word, second_word;
static void *waits(void *argument) {
    syscall(SYS_futex, &first_word, FUTEX_WAIT, 0, NULL);
    return argument;
}

/* How many wakes wake, by the number that is asked for; moving the waitss says when all sleep. */
static void wake_counts(void) {
    pthread_t threads[4];
    long moved = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, waits, NULL);
    while (moved < 4) {
        moved += syscall(SYS_futex, &first_word, FUTEX_REQUEUE, 0, 4, &second_word);
        sched_yield();
    }
    show("move less than none", syscall(SYS_futex, &second_word, FUTEX_REQUEUE, 0, -1, &first_word));
    show("wake none", syscall(SYS_futex, &second_word, FUTEX_WAKE, 0));
    show("wake less than none", syscall(SYS_futex, &second_word, FUTEX_WAKE, -1));
    show("wake none of a set", syscall(SYS_futex, &second_word, FUTEX_WAKE_BITSET, 0, NULL, NULL, 1));
    show("wake none of two", syscall(SYS_futex, &first_word, FUTEX_WAKE_OP, 0, 0, &second_word, 0));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* ---- segments: each thread has its own selectors ---- */

static unsigned selector_gs(void) {
    unsigned s;
    asm volatile("mov %%gs, %0" : "=r"(s));
    return s;
}
static unsigned selector_es(void) {
    unsigned s;
    asm volatile("mov %%es, %0" : "=r"(s));
    return s;
}
static void load_selectors(unsigned gs, unsigned es) {
    asm volatile("mov %0, %%gs; mov %1, %%es" : : "r"(gs), "r"(es));
}

static int there[2], back[2];
static void *other_segments(void *argument) {
    char c;
    while (read(there[0], &c, 1) == 1) {
        printf("another thread's gs %x es %x\n", selector_gs(), selector_es());
        load_selectors(0x2b, 0);
        write(back[1], &c, 1);
    }
    return argument;
}

static void segments(void) {
    static const unsigned selectors[][2] = {{0, 0}, {0x2b, 0x2b}, {0, 0x2b}};
    cpu_set_t one, all;
    pthread_t thread;
    char c = 'c';
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
    if (pipe(there) || pipe(back) || pthread_create(&thread, NULL, other_segments, NULL))
        return;
    for (int i = 0; i < 3; i++) {
        load_selectors(selectors[i][0], selectors[i][1]);
        write(there[1], &c, 1);
        read(back[0], &c, 1);
        printf("ours after %x %x: gs %x es %x\n", selectors[i][0], selectors[i][1], selector_gs(), selector_es());
    }
    fflush(stdout);
    if (fork() == 0) {
        printf("a child's gs %x es %x\n", selector_gs(), selector_es());
        _exit(0);
    }
    wait(NULL);
    load_selectors(0, 0);
    close(there[1]);
    pthread_join(thread, NULL);
    sched_setaffinity(0, sizeof all, &all);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    segments();
    conditions();
    futexes();
    wake_counts();
    between_processes();
    ends("exit of all by one", ender, (void *)17);
    ends("exec by one", executer, NULL);
    ends("the default action ends all", (void *(*)(void *))(void (*)(void))abort, NULL);
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, cancelled, NULL);
    usleep(10000);
    printf("cancel %d", pthread_cancel(thread));
    printf(" join %d", pthread_join(thread, &result));
    printf(" %d\n", result == PTHREAD_CANCELED);
    return 0;
}
