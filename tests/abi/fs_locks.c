/* fs_locks.c - advisory locks between processes: records, open-description records, flock, and who wakes whom. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asleep.h"

static void show(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : "");
    fflush(stdout);
}

static int lock(int fd, int command, int type, long start, long length) {
    struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &l);
}

static void ask(int fd, int command, int type, long start, long length) {
    struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int result = fcntl(fd, command, &l);
    printf("ask [%ld,+%ld): %d type %d start %ld length %ld pid %d\n", start, length, result, l.l_type, (long)l.l_start,
           (long)l.l_len,
           l.l_type == F_UNLCK    ? 0
           : l.l_pid == getppid() ? 1
                                  : l.l_pid);
    fflush(stdout);
}

/* Runs in a child, so that the locks asked about are another's. */
static void in_child(void (*run)(int), int fd) {
    if (!fork()) {
        run(fd);
        _exit(0);
    }
    wait(NULL);
}

static void ask_all(int fd) {
    ask(fd, F_GETLK, F_WRLCK, 0, 0);
    ask(fd, F_GETLK, F_WRLCK, 20, 10);
    ask(fd, F_GETLK, F_RDLCK, 0, 5);
    ask(fd, F_GETLK, F_WRLCK, 25, 1);
    ask(fd, F_GETLK, F_WRLCK, 1000, 1);
    show("take a free part", lock(fd, F_SETLK, F_WRLCK, 500, 10));
    show("take a taken one", lock(fd, F_SETLK, F_WRLCK, 0, 1));
}

static void ask_one(int fd) { ask(fd, F_GETLK, F_WRLCK, 0, 0); }

static void records(void) {
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    show("read lock", lock(fd, F_SETLK, F_RDLCK, 0, 10));
    show("write lock", lock(fd, F_SETLK, F_WRLCK, 20, 30));
    show("split it", lock(fd, F_SETLK, F_UNLCK, 24, 4));
    in_child(ask_all, fd);
    show("join", lock(fd, F_SETLK, F_WRLCK, 24, 4));
    show("lock to the end", lock(fd, F_SETLK, F_WRLCK, 10, 0));
    in_child(ask_all, fd);
    show("upgrade", lock(fd, F_SETLK, F_WRLCK, 0, 10));
    in_child(ask_one, fd);
    close(dup(fd)); /* any close drops them all */
    in_child(ask_one, fd);
    show("negative length", lock(fd, F_SETLK, F_WRLCK, 10, -5));
    in_child(ask_one, fd);
    show("before the start", lock(fd, F_SETLK, F_WRLCK, 3, -5));
    show("bad type", lock(fd, F_SETLK, 9, 0, 1));
    int reader = open("f", O_RDONLY);
    show("write lock of a reader", lock(reader, F_SETLK, F_WRLCK, 100, 1));
    close(reader);
}

static void take_and_wait(int fd) {
    show("child waits", lock(fd, F_SETLKW, F_WRLCK, 0, 10));
    show("child has it, and leaves", 0);
}

static void waiting(void) {
    int fd = open("w", O_CREAT | O_RDWR, 0600);
    lock(fd, F_SETLK, F_WRLCK, 0, 10);
    pid_t child = fork();
    if (!child) {
        take_and_wait(fd);
        _exit(0);
    }
    asleep(child);
    show("parent unlocks", 0);
    lock(fd, F_SETLK, F_UNLCK, 0, 10);
    waitpid(child, NULL, 0);
    show("free again", lock(fd, F_SETLK, F_WRLCK, 0, 10));
}

static void circle(void) {
    int fd = open("c", O_CREAT | O_RDWR, 0600), ends[2];
    pipe(ends);
    lock(fd, F_SETLK, F_WRLCK, 0, 1);
    pid_t child = fork();
    if (!child) {
        lock(fd, F_SETLK, F_WRLCK, 1, 1);
        write(ends[1], "x", 1);
        lock(fd, F_SETLKW, F_WRLCK, 0, 1);
        _exit(0);
    }
    read(ends[0], (char[1]){0}, 1);
    asleep(child);
    show("a circle", lock(fd, F_SETLKW, F_WRLCK, 1, 1));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static int closing;
static pid_t thread;

static void *wait_for_lock(void *result) {
    __atomic_store_n(&thread, gettid(), __ATOMIC_RELEASE);
    *(int *)result = lock(closing, F_SETLKW, F_WRLCK, 0, 10) ? errno : 0;
    return NULL;
}

/* The descriptor is closed while one of its process's threads waits by it for a lock. */
static void closed_meanwhile(void) {
    int ends[2], result = 0;
    pthread_t waiter;
    pipe(ends);
    closing = open("m", O_CREAT | O_RDWR, 0600);
    pid_t child = fork();
    if (!child) {
        lock(closing, F_SETLK, F_WRLCK, 0, 10);
        write(ends[1], "x", 1);
        pause();
    }
    read(ends[0], (char[1]){0}, 1);
    pthread_create(&waiter, NULL, wait_for_lock, &result);
    while (!__atomic_load_n(&thread, __ATOMIC_ACQUIRE))
        usleep(1000);
    await_state(getpid(), thread, 'S');
    close(closing);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    pthread_join(waiter, NULL);
    printf("closed meanwhile: %s\n", result ? strerrorname_np(result) : "locked");
    fflush(stdout);
    int fd = open("m", O_RDWR);
    in_child(ask_one, fd);
    close(fd);
}

static void on_alarm(int signal) {}

static void interrupted(void) {
    int fd = open("i", O_CREAT | O_RDWR, 0600);
    pid_t child;
    lock(fd, F_SETLK, F_WRLCK, 0, 1);
    child = fork();
    if (!child) {
        struct sigaction act = {.sa_handler = on_alarm};
        sigaction(SIGALRM, &act, NULL);
        show("interrupted", lock(fd, F_SETLKW, F_WRLCK, 0, 1));
        _exit(0);
    }
    asleep(child);
    kill(child, SIGALRM);
    waitpid(child, NULL, 0);
}

static void descriptions(void) {
    int a = open("o", O_CREAT | O_RDWR, 0600), b = open("o", O_RDWR);
    show("of a", lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
    show("of b", lock(b, F_OFD_SETLK, F_WRLCK, 5, 10));
    ask(b, F_OFD_GETLK, F_WRLCK, 5, 1);
    close(dup(a));
    show("closing a copy keeps it", lock(b, F_OFD_SETLK, F_RDLCK, 5, 1));
    show("a record against it", lock(b, F_SETLK, F_WRLCK, 0, 1));
    close(a);
    show("closing the last drops it", lock(b, F_OFD_SETLK, F_WRLCK, 5, 1));
}

static void whole_files(void) {
    int a = open("w2", O_CREAT | O_RDWR, 0600), b = open("w2", O_RDONLY);
    show("shared", flock(a, LOCK_SH));
    show("shared too", flock(b, LOCK_SH));
    show("upgrade", flock(a, LOCK_EX | LOCK_NB));
    show("it cost the share", flock(b, LOCK_EX | LOCK_NB));
    show("shared again", flock(b, LOCK_SH));
    show("shared again too", flock(a, LOCK_SH));
    pid_t other = fork();
    if (!other) {
        int c = open("w2", O_RDWR);
        show("a third shares", flock(c, LOCK_SH));
        close(a), close(b);
        flock(c, LOCK_EX);
        _exit(0);
    }
    asleep(other);
    show("unlock one", flock(b, LOCK_UN));
    show("both want it alone", flock(a, LOCK_EX));
    show("unlock the other", flock(a, LOCK_UN));
    waitpid(other, NULL, 0);
    show("the third had it too", flock(a, LOCK_SH));
    show("shared once more", flock(b, LOCK_SH));
    show("unlock", flock(b, LOCK_UN));
    show("upgrade again", flock(a, LOCK_EX | LOCK_NB));
    show("records do not meet it", lock(b, F_SETLK, F_RDLCK, 0, 1));
    show("nonsense", flock(a, 77));
    if (!fork()) {
        show("inherited", flock(a, LOCK_EX | LOCK_NB));
        _exit(0);
    }
    wait(NULL);
    close(a);
    show("gone with the last descriptor", flock(b, LOCK_EX | LOCK_NB));
}

int main(void) {
    records();
    waiting();
    circle();
    closed_meanwhile();
    interrupted();
    descriptions();
    whole_files();
    return 0;
}
