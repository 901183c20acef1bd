/* asleep.h - waiting until another process sleeps in the call that a test is about: never for a time. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* await_state: until the thread's state in /proc is `state`, or it has ended. thread == pid: the first one. */
static __attribute__((unused)) void await_state(pid_t pid, pid_t thread, char state) {
    char path[64], text[256], *after = NULL;
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, thread);
    do {
        usleep(1000);
        FILE *f = fopen(path, "r");
        text[f ? fread(text, 1, sizeof text - 1, f) : 0] = 0;
        if (f)
            fclose(f);
        after = strrchr(text, ')');
    } while (after && after[2] != state && after[2] != 'Z');
}

static __attribute__((unused)) void asleep(pid_t pid) { await_state(pid, pid, 'S'); }

/* interrupting_writer: a child that signals us once we sleep, and writes one byte to fd when we sleep again. */
static __attribute__((unused)) pid_t interrupting_writer(int number, int fd, char byte) {
    pid_t me = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        asleep(me);
        kill(me, number);
        asleep(me);
        _exit(write(fd, &byte, 1) != 1);
    }
    return pid;
}

/* signal_sleeper: a child that signals us once we sleep, so many times. */
static __attribute__((unused)) pid_t signal_sleeper(int number, int times) {
    pid_t me = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        for (; times; times--) {
            asleep(me);
            kill(me, number);
        }
        _exit(0);
    }
    return pid;
}
