/* ioprio.c - priorities of input and output: what is taken, what is told back, who inherits. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OF(class, level) ((class) << 13 | (level))
static void show(const char *what, long r) {
    if (r < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld, %ld\n", what, r >> 13, r & 0x1fff);
}
static void set(const char *what, int which, int who, int priority) {
    long r = syscall(SYS_ioprio_set, which, who, priority);
    printf("%s -> %s\n", what, r ? strerrorname_np(errno) : "ok");
}
static void get(const char *what, int which, int who) { show(what, syscall(SYS_ioprio_get, which, who)); }

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    get("at first", 1, 0);
    get("of the group", 2, 0);
    get("of no kind", 0, 0);
    get("of no kind above", 4, 0);
    get("of nobody", 1, 99999999);
    get("of no group", 2, 99999999);
    set("best effort 7", 1, 0, OF(2, 7));
    get("now", 1, 0);
    get("of the group", 2, 0);
    set("best effort 8", 1, 0, OF(2, 8));
    set("idle", 1, getpid(), OF(3, 0));
    get("now", 1, getpid());
    set("idle with a level", 1, 0, OF(3, 5));
    get("now", 1, 0);
    set("none with a level", 1, 0, OF(0, 5));
    set("none", 1, 0, 0);
    get("now", 1, 0);
    set("no such class", 1, 0, OF(4, 0));
    set("of no kind", 7, 0, OF(2, 0));
    set("of nobody", 1, 99999999, OF(2, 0));
    set("real time", 1, 0, OF(1, 3));
    get("now", 1, 0);
    if (fork() == 0) {
        get("a child's", 1, 0);
        set("the child's", 1, 0, OF(2, 2));
        get("of the group", 2, 0);
        get("the parent's", 1, getppid());
        if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
            _exit(1);
        set("ordinary: real time", 1, 0, OF(1, 3));
        set("ordinary: best effort", 1, 0, OF(2, 3));
        set("ordinary: another's", 1, getppid(), OF(2, 3));
        get("ordinary: of the user", 3, 1000);
        _exit(0);
    }
    wait(NULL);
    set("none", 1, 0, 0);
    setpriority(PRIO_PROCESS, 0, 10);
    get("nice", 1, 0);
    get("nice, of the group", 2, 0);
    set("the whole group", 2, 0, OF(2, 1));
    get("now", 1, 0);
    return 0;
}
