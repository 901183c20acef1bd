/* trace.h - what the ptrace tests share: a tracee, its stops as lines. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

static UNUSED const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }

/* The raw call: glibc's turns a peek's result around. */
static UNUSED long ask(long request, pid_t pid, unsigned long address, unsigned long data) {
    return syscall(SYS_ptrace, request, pid, address, data);
}
static UNUSED void show(const char *what, long result) { printf("%s -> %s\n", what, error_of(result)); }

/* A status as strace reads it. */
static UNUSED const char *status_text(int s) {
    static char text[80];
    if (WIFEXITED(s))
        snprintf(text, sizeof text, "exited %d", WEXITSTATUS(s));
    else if (WIFSIGNALED(s))
        snprintf(text, sizeof text, "killed by %d", WTERMSIG(s));
    else if (WIFSTOPPED(s))
        snprintf(text, sizeof text, "stopped by %d%s event %d", WSTOPSIG(s) & 0x7f, s & 0x8000 ? "+call" : "", s >> 16);
    else
        snprintf(text, sizeof text, "%s %x", WIFCONTINUED(s) ? "continued" : "?", s);
    return text;
}

static UNUSED int next(const char *what, pid_t pid) {
    int s = 0;
    pid_t got = waitpid(pid, &s, __WALL);
    printf("%s -> %s\n", what, got == -1 ? strerrorname_np(errno) : status_text(s));
    return s;
}

static UNUSED void nothing(const char *what, pid_t pid) {
    int s = 0;
    pid_t got = waitpid(pid, &s, __WALL | WNOHANG);
    printf("%s -> %s\n", what, got == -1 ? strerrorname_np(errno) : got ? status_text(s) : "nothing");
}

static UNUSED pid_t start(void (*body)(void), int traced) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (traced) {
            ptrace(PTRACE_TRACEME, 0, 0, 0);
            raise(SIGSTOP);
        }
        body();
        _exit(0);
    }
    return pid;
}

static UNUSED void end(pid_t pid) {
    int s;
    kill(pid, SIGKILL);
    while (waitpid(pid, &s, __WALL) == pid && WIFSTOPPED(s))
        continue;
}
