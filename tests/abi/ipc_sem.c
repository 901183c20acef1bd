/* ipc_sem.c - System V semaphores: arguments, all or nothing, who waits, what an end undoes. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static long say(const char *what, long result) {
    if (result > 0)
        printf("%s -> %ld\n", what, result);
    else
        printf("%s -> %s\n", what, error_of(result));
    return result;
}

union argument {
    int value;
    void *buffer;
    unsigned short *array;
};
static int set;
static long control(int number, int command, long argument) {
    union argument a = {.buffer = (void *)argument};
    return semctl(set, number, command, a);
}
static long operate(short number, short operation, short flags) {
    struct sembuf op = {(unsigned short)number, operation, flags};
    return semop(set, &op, 1);
}
static void values(const char *what) {
    unsigned short v[4] = {0};
    long r = control(0, GETALL, (long)v);
    printf("%s: %s; %d %d %d; pids ours %d %d %d\n", what, error_of(r), v[0], v[1], v[2],
           control(0, GETPID, 0) == getpid(), control(1, GETPID, 0) == getpid(), control(2, GETPID, 0) == getpid());
}

static void getting(void) {
    say("none of the key", semget(0x5157, 3, 0));
    say("no semaphores", semget(0x5157, 0, IPC_CREAT | 0600));
    say("too many", semget(0x5157, 32001, IPC_CREAT | 0600));
    say("fewer than none", semget(0x5157, -1, IPC_CREAT | 0600));
    set = semget(0x5157, 3, IPC_CREAT | 0600);
    printf("made: %d\n", set >= 0);
    printf("again: %d\n", semget(0x5157, 3, IPC_CREAT | 0600) == set);
    printf("any size: %d\n", semget(0x5157, 0, 0) == set);
    say("more than there are", semget(0x5157, 4, 0));
    say("exclusive", semget(0x5157, 3, IPC_CREAT | IPC_EXCL | 0600));
    struct semid_ds d;
    memset(&d, 0x55, sizeof d);
    say("stat", control(0, IPC_STAT, (long)&d));
    printf("key %x mode %o count %lu otime %ld ctime set %d owner %d\n", d.sem_perm.__key, d.sem_perm.mode, d.sem_nsems,
           (long)d.sem_otime, d.sem_ctime > 1577836800, d.sem_perm.uid == geteuid());
    say("stat to nowhere", control(0, IPC_STAT, 8));
    say("no such command", control(0, 77, 0));
    say("negative", semctl(-1, 0, IPC_STAT, &d));
    say("no such set", semctl(set + 32768, 0, IPC_STAT, &d));
}

static void limits(void) {
    struct seminfo i;
    memset(&i, 0, sizeof i);
    control(0, IPC_INFO, (long)&i);
    printf("info: %d %d %d %d %d %d %d %d %d %d\n", i.semmap, i.semmni, i.semmns, i.semmnu, i.semmsl, i.semopm,
           i.semume, i.semusz, i.semvmx, i.semaem);
    control(0, SEM_INFO, (long)&i);
    printf("used: %d %d\n", i.semusz, i.semaem);
    say("info to nowhere", control(0, IPC_INFO, 8));
}

static void assigning(void) {
    unsigned short three[3] = {1, 2, 3}, much[3] = {1, 40000, 3};
    values("new");
    say("set one", control(1, SETVAL, 7));
    values("after");
    say("set all", control(0, SETALL, (long)three));
    values("after");
    say("set all, too much", control(0, SETALL, (long)much));
    say("set all from nowhere", control(0, SETALL, 8));
    say("too much", control(1, SETVAL, 32768));
    say("less than none", control(1, SETVAL, -1));
    say("too much of none there is", control(9, SETVAL, -1));
    say("none there is", control(3, SETVAL, 1));
    say("get none there is", control(-1, GETVAL, 1));
    say("get", control(2, GETVAL, 0));
    say("waiters", control(2, GETNCNT, 0));
    say("waiters for zero", control(2, GETZCNT, 0));
    values("after");
}

static void operations(void) {
    struct sembuf both[3] = {{0, -1, 0}, {1, 5, 0}, {2, -9, IPC_NOWAIT}}, twice[2] = {{0, 1, 0}, {0, -2, IPC_NOWAIT}};
    struct timespec none = {0, 0}, little = {0, 1000000}, bad = {0, 1000000000};
    say("add", operate(0, 3, 0));
    say("take", operate(0, -4, 0));
    say("zero", operate(0, 0, 0));
    say("not zero", operate(1, 0, IPC_NOWAIT));
    say("take what is not there", operate(0, -1, IPC_NOWAIT));
    say("too much", operate(1, 32766, 0));
    say("no operations", semop(set, both, 0));
    say("too many", semop(set, both, 501));
    say("none there is", operate(3, 1, 0));
    say("from nowhere", semop(set, (void *)8, 1));
    say("no such set", semop(set + 32768, both, 1));
    say("negative set", semop(-1, both, 1));
    values("before");
    control(0, SETVAL, 1);
    say("all or nothing", semop(set, both, 3));
    values("after");
    control(0, SETVAL, 1);
    say("one after the other", semop(set, twice, 2));
    values("after");
    say("no time", semtimedop(set, &(struct sembuf){0, -5, 0}, 1, &none));
    say("little time", semtimedop(set, &(struct sembuf){0, -5, 0}, 1, &little));
    say("bad time", semtimedop(set, &(struct sembuf){0, -5, 0}, 1, &bad));
    say("time for what is there", semtimedop(set, &(struct sembuf){2, -1, 0}, 1, &none));
}

static void catch (int number) { (void)number; }

/* A child that makes one operation and says how it went by its status. */
static pid_t child(short number, short operation, short flags, int restart) {
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction a = {.sa_handler = catch, .sa_flags = restart ? SA_RESTART : 0};
        sigaction(SIGUSR1, &a, NULL);
        long r = operate(number, operation, flags);
        _exit(r ? errno : 0);
    }
    return pid;
}
static void ended(const char *what, pid_t pid) {
    int status;
    waitpid(pid, &status, 0);
    printf("%s -> %s\n", what,
           WIFSIGNALED(status)   ? "killed"
           : WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status))
                                 : "ok");
}
static void until(int number, int command, int count) {
    while (control(number, command, 0) != count)
        usleep(1000);
}

static void waiting(void) {
    control(0, SETVAL, 0);
    control(1, SETVAL, 1);
    pid_t a = child(0, -2, 0, 0);
    until(0, GETNCNT, 1);
    pid_t b = child(0, -1, 0, 0);
    until(0, GETNCNT, 2);
    pid_t z = child(1, 0, 0, 0);
    until(1, GETZCNT, 1);
    printf("waiters: %ld %ld %ld %ld\n", control(0, GETNCNT, 0), control(0, GETZCNT, 0), control(1, GETNCNT, 0),
           control(1, GETZCNT, 0));
    say("one for the second", operate(0, 1, 0));
    ended("second", b);
    say("one more", operate(0, 1, 0));
    printf("first still waits: %ld\n", control(0, GETNCNT, 0));
    say("another", operate(0, 1, 0));
    ended("first", a);
    say("to zero", operate(1, -1, 0));
    ended("zero", z);
    a = child(0, -1, 0, 1);
    until(0, GETNCNT, 1);
    kill(a, SIGUSR1);
    ended("a signal", a);
    a = child(0, -1, 0, 0);
    until(0, GETNCNT, 1);
    kill(a, SIGKILL);
    ended("death", a);
    printf("waiters: %ld\n", control(0, GETNCNT, 0));
    a = child(0, -1, 0, 0);
    until(0, GETNCNT, 1);
    control(0, SETVAL, 5);
    ended("set", a);
    values("after");
}

static void undoing(void) {
    control(0, SETVAL, 5);
    ended("takes", child(0, -3, SEM_UNDO, 0));
    values("given back");
    ended("adds", child(0, 3, SEM_UNDO, 0));
    values("taken back");
    pid_t pid = fork();
    if (pid == 0) {
        operate(0, -3, SEM_UNDO);
        operate(0, 2, SEM_UNDO);
        operate(1, 2, SEM_UNDO);
        control(1, SETVAL, 9);
        _exit(0);
    }
    ended("several, and one set", pid);
    values("after");
    pid = fork();
    if (pid == 0) {
        operate(0, 3, SEM_UNDO);
        operate(0, -8, 0);
        _exit(0);
    }
    ended("less than none", pid);
    values("after");
    control(0, SETVAL, 1);
    pid = fork();
    if (pid == 0) {
        operate(0, -1, SEM_UNDO);
        until(0, GETNCNT, 1);
        kill(getpid(), SIGKILL);
    }
    until(0, GETVAL, 0);
    pid_t next = child(0, -1, 0, 0);
    ended("holder", pid);
    ended("who waited for it", next);
    pid = fork();
    if (pid == 0) {
        operate(0, 2, SEM_UNDO);
        if (fork() == 0)
            _exit(0);
        wait(NULL);
        _exit(control(0, GETVAL, 0) == 2 ? 0 : EINVAL);
    }
    ended("a child owes nothing", pid);
    say("owing too much", operate(0, -32768, SEM_UNDO | IPC_NOWAIT));
    control(1, SETVAL, 32767);
    say("owe all", operate(1, -32767, SEM_UNDO));
    control(2, SETVAL, 3);
    operate(1, 30000, 0);
    say("owe more", operate(1, -2, SEM_UNDO));
}

static void rights(void) {
    struct semid_ds d;
    control(0, IPC_STAT, (long)&d);
    d.sem_perm.mode = 0640;
    say("set", control(0, IPC_SET, (long)&d));
    say("set from nowhere", control(0, IPC_SET, 8));
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
            _exit(1);
        say("other: get", semget(0x5157, 3, 0600));
        say("other: stat", control(0, IPC_STAT, (long)&d));
        say("other: read", control(0, GETVAL, 0));
        say("other: write", control(0, SETVAL, 0));
        say("other: zero", operate(0, 0, IPC_NOWAIT));
        say("other: set", control(0, IPC_SET, (long)&d));
        say("other: remove", control(0, IPC_RMID, 0));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    d.sem_perm.mode = 0644;
    control(0, IPC_SET, (long)&d);
    pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
            _exit(1);
        printf("other: get to read %d\n", semget(0x5157, 3, 0400) == set);
        say("other: get to write", semget(0x5157, 3, 0600));
        say("other: read", control(1, GETVAL, 0));
        say("other: change", operate(0, 1, IPC_NOWAIT));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void show_proc(void) {
    char line[256];
    FILE *f = fopen("/proc/sysvipc/sem", "r");
    for (int n = 0; f && fgets(line, sizeof line, f); n++) {
        if (n)
            printf("%.10s%.6s%.16s\n", line, line + 21, line + 27);
        else
            printf("%s", line);
    }
    fclose(f);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    getting();
    limits();
    assigning();
    operations();
    waiting();
    undoing();
    rights();
    show_proc();
    control(0, SETVAL, 1);
    pid_t pid = child(0, 0, 0, 0);
    until(0, GETZCNT, 1);
    say("remove", control(0, IPC_RMID, 0));
    ended("who waited", pid);
    say("again", control(0, IPC_RMID, 0));
    say("by its key", semget(0x5157, 0, 0));
    int first = semget(IPC_PRIVATE, 1, 0600), second = semget(IPC_PRIVATE, 1, 0600);
    printf("numbers differ by %d\n", second - first);
    semctl(first, 0, IPC_RMID);
    semctl(second, 0, IPC_RMID);
    return 0;
}
