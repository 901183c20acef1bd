/* task_wait.c - what a parent hears: wait4 and waitid with every option, stops, orphans, subreapers, death signals. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : ""; }
static void show(const char *what, long result) { printf("%s: %ld %s\n", what, result, error_of(result)); }

static void status(const char *what, pid_t wanted, pid_t pid, int options) {
    int s = 0;
    pid_t got = waitpid(pid, &s, options);
    printf("%s: %s %s", what, got == wanted ? "it" : got == 0 ? "none" : got > 0 ? "another" : "error", error_of(got));
    if (got > 0)
        printf(" exited %d code %d signaled %d by %d stopped %d by %d continued %d", WIFEXITED(s), WEXITSTATUS(s),
               WIFSIGNALED(s), WIFSIGNALED(s) ? WTERMSIG(s) : 0, WIFSTOPPED(s), WIFSTOPPED(s) ? WSTOPSIG(s) : 0,
               WIFCONTINUED(s));
    printf("\n");
}

static void info(const char *what, pid_t wanted, int result, const siginfo_t *i) {
    printf("%s: %d %s", what, result, error_of(result));
    if (result == 0)
        printf(" signo %d code %d status %d it %d uid %d", i->si_signo, i->si_code, i->si_status, i->si_pid == wanted,
               i->si_uid == getuid());
    printf("\n");
}

static pid_t child(int (*body)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    return pid;
}

static int seven(void) { return 7; }
static int forever(void) {
    while (1)
        pause();
    return 0;
}

static void statuses(void) {
    int s = 0;
    pid_t pid = child(seven);
    siginfo_t i;
    memset(&i, 0xff, sizeof i);
    info("waitid nowait", pid, waitid(P_PID, pid, &i, WEXITED | WNOWAIT), &i);
    info("waitid", pid, waitid(P_PID, pid, &i, WEXITED), &i);
    info("waitid gone", pid, waitid(P_PID, pid, &i, WEXITED), &i);
    pid = child(forever);
    status("nothing yet", pid, pid, WNOHANG);
    i.si_pid = 1;
    info("waitid nothing yet", 0, waitid(P_ALL, 0, &i, WEXITED | WNOHANG), &i);
    kill(pid, SIGTERM);
    status("terminated", pid, -1, 0);
    status("no child", pid, -1, 0);
    pid = child(forever);
    kill(pid, SIGKILL);
    info("waitid killed", pid, waitid(P_ALL, 0, &i, WEXITED), &i);
    show("bad options", waitpid(-1, &s, 0x100));
    show("waitid without a kind", waitid(P_ALL, 0, &i, WNOHANG));
    show("waitid bad which", waitid(77, 0, &i, WEXITED));
    show("wait for a stranger", waitpid(getppid(), &s, 0));
}

static void stops(void) {
    siginfo_t i;
    pid_t pid = child(forever);
    kill(pid, SIGSTOP);
    status("stopped", pid, pid, WUNTRACED);
    status("told once", pid, pid, WUNTRACED | WNOHANG);
    kill(pid, SIGTERM);
    usleep(20000);
    status("stopped ones do not die", pid, pid, WNOHANG);
    kill(pid, SIGCONT);
    status("but then", pid, pid, 0);
    pid = child(forever);
    kill(pid, SIGSTOP);
    info("waitid stopped", pid, waitid(P_PID, pid, &i, WSTOPPED), &i);
    kill(pid, SIGCONT);
    info("waitid continued", pid, waitid(P_PID, pid, &i, WCONTINUED), &i);
    status("told once", pid, pid, WCONTINUED | WNOHANG);
    kill(pid, SIGSTOP);
    info("stopped, left there", pid, waitid(P_PID, pid, &i, WSTOPPED | WNOWAIT), &i);
    info("still there", pid, waitid(P_PID, pid, &i, WSTOPPED), &i);
    kill(pid, SIGKILL);
    status("killed while stopped", pid, pid, 0);
}

static volatile sig_atomic_t told;
static siginfo_t last;
static void on_child(int number, siginfo_t *i, void *context) {
    (void)number, (void)context;
    last = *i;
    told++;
}

static void await_told(int n) {
    for (int tries = 0; told < n && tries < 6000; tries++)
        usleep(10000);
}

static void child_signals(void) {
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO};
    sigaction(SIGCHLD, &action, NULL);
    pid_t pid = child(forever);
    kill(pid, SIGSTOP);
    await_told(1);
    printf("SIGCHLD of a stop: %d code %d status %d it %d\n", told, last.si_code, last.si_status, last.si_pid == pid);
    kill(pid, SIGCONT);
    await_told(2);
    printf("of a continuation: %d code %d status %d\n", told, last.si_code, last.si_status);
    kill(pid, SIGUSR1);
    await_told(3);
    printf("of a death: %d code %d status %d\n", told, last.si_code, last.si_status);
    waitpid(pid, NULL, 0);
    pid = child(seven);
    waitpid(pid, NULL, 0);
    await_told(4);
    printf("of an end: %d code %d status %d\n", told, last.si_code, last.si_status);
    told = 0;
    action.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
    pid = child(forever);
    int s;
    kill(pid, SIGSTOP);
    status("with SA_NOCLDSTOP", pid, pid, WUNTRACED);
    printf("told %d\n", told);
    kill(pid, SIGKILL);
    waitpid(pid, &s, 0);
    action.sa_flags |= SA_NOCLDWAIT;
    sigaction(SIGCHLD, &action, NULL);
    pid = child(seven);
    status("with SA_NOCLDWAIT", pid, pid, 0);
    signal(SIGCHLD, SIG_IGN);
    pid = child(seven);
    status("ignored", pid, pid, 0);
    signal(SIGCHLD, SIG_DFL);
}

static void groups(void) {
    int ready[2];
    pipe(ready);
    fflush(stdout);
    pid_t a = child(forever), b = fork();
    if (b == 0) {
        setpgid(0, 0);
        close(ready[1]);
        forever();
    }
    setpgid(b, b);
    printf("setpgid twice: %d\n", setpgid(b, b));
    show("setpgid into no group", setpgid(b, 99999));
    kill(-b, SIGTERM);
    status("by group", b, -b, 0);
    status("not of mine", a, 0, WNOHANG);
    kill(a, SIGKILL);
    status("of mine", a, 0, 0);
    show("kill of no group", kill(-b, 0));
    show("kill of no process", kill(b, 0));
    show("kill with a bad signal", kill(getpid(), 65));
    close(ready[0]);
    close(ready[1]);
}

static int leader(void) {
    pid_t before = getsid(0);
    pid_t sid = setsid();
    printf("setsid: new %d, group %d, session %d, again %d %s\n", sid == getpid() && sid != before, getpgrp() == sid,
           getsid(0) == sid, setsid(), error_of(-1));
    show("a leader stays", setpgid(0, 0));
    fflush(stdout);
    return 0;
}

/* grandchild whose parent ends: who is its parent now */
static int orphaned(void) {
    pid_t me = getpid();
    int fd[2];
    pipe(fd);
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        prctl(PR_SET_PDEATHSIG, SIGUSR1);
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        write(fd[1], "x", 1);
        siginfo_t i;
        int got = sigwaitinfo(&set, &i);
        printf("death signal: %d, parent changed %d\n", got, getppid() != me);
        fflush(stdout);
        (void)ignore, (void)c;
        _exit(9);
    }
    char c;
    read(fd[0], &c, 1);
    return 0;
}

static void orphans(void) {
    int s;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int is = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &is);
    printf("subreaper: %d\n", is);
    pid_t pid = child(orphaned);
    status("the middle one", pid, pid, 0);
    pid_t got = wait(&s);
    printf("the orphan came to us: %d, %d\n", got > 0 && got != pid, WEXITSTATUS(s));
}

static int stack_child(void *argument) {
    *(int *)argument = 42;
    return 5;
}

static void clones(void) {
    static char stack[65536] __attribute__((aligned(16)));
    int value = 0;
    pid_t pid = clone(stack_child, stack + sizeof stack, CLONE_VM | SIGCHLD, &value);
    status("CLONE_VM", pid, pid, 0);
    printf("shared: %d\n", value);
    pid = clone(stack_child, stack + sizeof stack, CLONE_VM, &value);
    status("without a signal", pid, pid, 0);
    status("__WALL", pid, pid, __WALL);
    pid = vfork();
    if (pid == 0) {
        value = 43;
        _exit(3);
    }
    printf("after vfork: %d\n", value);
    status("vfork", pid, pid, 0);
    show("thread without VM", clone(stack_child, stack + sizeof stack, CLONE_SIGHAND, &value));
}

int main(void) {
    statuses();
    stops();
    child_signals();
    groups();
    pid_t pid = child(leader);
    status("leader", pid, pid, 0);
    orphans();
    clones();
    return 0;
}
