/* ptrace_attach.c - attach, seize, group stops, events of children and programs, threads, and who may. */
#include "trace.h"

static void sleeper(void) {
    while (1)
        pause();
}

static char letter(pid_t pid, int *tracer) {
    char name[64], text[4096];
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    FILE *f = fopen(name, "r");
    size_t bytes = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[bytes] = 0;
    if (f)
        fclose(f);
    char *at = strstr(text, "State:\t"), *by = strstr(text, "TracerPid:\t");
    *tracer = by ? atoi(by + 11) : -1;
    return at ? at[7] : '?';
}

static void say_state(const char *what, pid_t pid) {
    int tracer;
    char c = letter(pid, &tracer);
    printf("%s -> %s, traced by %s\n", what, c == 't' || c == 'T' ? (char[]){c, 0} : "runs or sleeps",
           tracer == getpid() ? "us"
           : tracer           ? "another"
                              : "nobody");
}

static void until_parked(pid_t pid) {
    int tracer;
    while (letter(pid, &tracer) != 'T')
        sched_yield();
}

static void group_info(const char *what, pid_t pid) {
    siginfo_t i;
    memset(&i, 0, sizeof i);
    long result = ask(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&i);
    printf("%s -> %s %d %#x\n", what, error_of(result), i.si_signo, i.si_code);
}

static void attach(void) {
    pid_t pid = start(sleeper, 0);
    show("cont, not traced", ask(PTRACE_CONT, pid, 0, 0));
    show("attach", ask(PTRACE_ATTACH, pid, 0, 0));
    next("stop", pid);
    say_state("state", pid);
    show("attach again", ask(PTRACE_ATTACH, pid, 0, 0));
    show("interrupt, not seized", ask(PTRACE_INTERRUPT, pid, 0, 0));
    show("listen, not seized", ask(PTRACE_LISTEN, pid, 0, 0));
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    show("cont a running one", ask(PTRACE_CONT, pid, 0, 0));
    nothing("runs", pid);
    kill(pid, SIGSTOP);
    next("SIGSTOP", pid);
    show("cont with it", ask(PTRACE_CONT, pid, 0, SIGSTOP));
    next("group stop", pid);
    group_info("info", pid);
    say_state("state", pid);
    show("detach", ask(PTRACE_DETACH, pid, 0, 0));
    until_parked(pid);
    say_state("state", pid);
    kill(pid, SIGCONT);
    show("attach", ask(PTRACE_ATTACH, pid, 0, 0));
    next("stop", pid);
    show("detach with SIGTERM", ask(PTRACE_DETACH, pid, 0, SIGTERM));
    next("end", pid);
    show("attach to nobody", ask(PTRACE_ATTACH, pid, 0, 0));
    show("attach to oneself", ask(PTRACE_ATTACH, getpid(), 0, 0));
}

static void seize(void) {
    pid_t pid = start(sleeper, 0);
    show("seize with an address", ask(PTRACE_SEIZE, pid, 1, 0));
    show("seize with bad options", ask(PTRACE_SEIZE, pid, 0, 0x80000000));
    show("seize", ask(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD));
    nothing("it runs", pid);
    show("getregs of a running one", ask(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&pid));
    show("interrupt", ask(PTRACE_INTERRUPT, pid, 0, 0));
    next("trap", pid);
    group_info("info", pid);
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    kill(pid, SIGSTOP);
    next("SIGSTOP", pid);
    show("cont with it", ask(PTRACE_CONT, pid, 0, SIGSTOP));
    next("group stop", pid);
    show("listen", ask(PTRACE_LISTEN, pid, 0, 0));
    say_state("state", pid);
    nothing("listens", pid);
    show("cont while it listens", ask(PTRACE_CONT, pid, 0, 0));
    kill(pid, SIGCONT);
    next("trap", pid);
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    next("SIGCONT", pid);
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    show("interrupt", ask(PTRACE_INTERRUPT, pid, 0, 0));
    next("trap", pid);
    show("listen", ask(PTRACE_LISTEN, pid, 0, 0));
    show("interrupt one that listens", ask(PTRACE_INTERRUPT, pid, 0, 0));
    next("trap", pid);
    show("detach", ask(PTRACE_DETACH, pid, 0, 0));
    kill(pid, SIGKILL);
    next("end", pid);
}

static void attach_stopped(void) {
    pid_t pid = start(sleeper, 0);
    int s;
    kill(pid, SIGSTOP);
    waitpid(pid, &s, WUNTRACED);
    printf("stopped -> %s\n", status_text(s));
    show("seize", ask(PTRACE_SEIZE, pid, 0, 0));
    next("trap", pid);
    show("detach", ask(PTRACE_DETACH, pid, 0, 0));
    until_parked(pid);
    say_state("state", pid);
    end(pid);
}

/* As strace starts a program: SIGCONT comes while the tracee is on its way into the stop. */
static void seize_and_continue(void) {
    const int stop = SIGSTOP | PTRACE_EVENT_STOP << 8, trap = SIGTRAP | PTRACE_EVENT_STOP << 8;
    pid_t pid = start(sleeper, 0);
    int round, s;
    for (round = 0, s = trap << 8; round < 300 && s >> 8 == trap; round++) {
        kill(pid, SIGSTOP);
        waitpid(pid, &s, WUNTRACED);
        ask(PTRACE_SEIZE, pid, 0, 0);
        ask(PTRACE_INTERRUPT, pid, 0, 0);
        kill(pid, SIGCONT);
        while (waitpid(pid, &s, __WALL) == pid && s >> 8 == stop)
            ask(PTRACE_LISTEN, pid, 0, 0);
        ask(PTRACE_DETACH, pid, 0, 0);
    }
    printf("seized and continued -> %d times, at last %s\n", round, status_text(s));
    end(pid);
}

static void family_body(void) {
    int s;
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    waitpid(pid, &s, 0);
    pid = vfork();
    if (pid == 0)
        _exit(4);
    waitpid(pid, &s, 0);
    execl("/bin/true", "true", NULL);
    _exit(9);
}

/* Every stop of the tracees, ours first: child by child, as they are made one after the other. */
static void events(const char *name, unsigned long options) {
    pid_t pid = start(family_body, 1), child = 0;
    unsigned long message;
    int s;
    printf("%s\n", name);
    next("first", pid);
    show("options", ask(PTRACE_SETOPTIONS, pid, 0, options));
    ask(PTRACE_CONT, pid, 0, 0);
    for (int alive = 1; alive;) {
        waitpid(pid, &s, __WALL);
        alive = WIFSTOPPED(s);
        int event = s >> 16;
        message = 0;
        if (alive)
            ask(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message);
        printf("parent %s", status_text(s));
        if (event == PTRACE_EVENT_EXIT)
            printf(" status %#lx", message);
        if (event == PTRACE_EVENT_EXEC)
            printf(" message %s", (pid_t)message == pid ? "itself" : "another");
        printf("\n");
        if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
            child = (pid_t)message;
            next("  child", child);
            ask(PTRACE_CONT, child, 0, 0);
            if (options & PTRACE_O_TRACEEXIT) {
                next("  child", child);
                ask(PTRACE_CONT, child, 0, 0);
            }
            next("  child", child);
        }
        if (alive)
            ask(PTRACE_CONT, pid, 0, WSTOPSIG(s) == SIGCHLD ? SIGCHLD : 0);
    }
}

static void *thread_body(void *argument) {
    syscall(SYS_getuid);
    return argument;
}

static void threads_body(void) {
    pthread_t t;
    pthread_create(&t, NULL, thread_body, NULL);
    pthread_join(t, NULL);
    _exit(6);
}

static void threads(void) {
    pid_t pid = start(threads_body, 1);
    unsigned long tid = 0;
    next("first", pid);
    show("options", ask(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE));
    ask(PTRACE_CONT, pid, 0, 0);
    next("clone", pid);
    ask(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&tid);
    next("thread", (pid_t)tid);
    ask(PTRACE_CONT, (pid_t)tid, 0, 0);
    next("thread", (pid_t)tid);
    ask(PTRACE_CONT, pid, 0, 0);
    next("process", pid);
}

/* A thread executes a program: it takes the leader's number, and the leader is gone without a word. */
static void *exec_body(void *argument) {
    execl("/bin/true", "true", NULL);
    return argument;
}

static void exec_threads_body(void) {
    pthread_t t;
    pthread_create(&t, NULL, exec_body, NULL);
    while (1)
        pause();
}

static void exec_by_thread(void) {
    pid_t pid = start(exec_threads_body, 1);
    unsigned long tid = 0, message = 0;
    next("first", pid);
    ask(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
    ask(PTRACE_CONT, pid, 0, 0);
    next("clone", pid);
    ask(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&tid);
    next("thread", (pid_t)tid);
    ask(PTRACE_CONT, pid, 0, 0);
    ask(PTRACE_CONT, (pid_t)tid, 0, 0);
    next("exec", pid);
    ask(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message);
    printf("it was the thread: %d\n", message == tid);
    show("the thread's number", ask(PTRACE_CONT, (pid_t)tid, 0, 0));
    ask(PTRACE_CONT, pid, 0, 0);
    next("end", pid);
}

/* A tracer that is not the parent: both hear of the end, the tracer first. */
static void two_parents(void) {
    int ready[2], go[2], s;
    char c = 0;
    if (pipe(ready) || pipe(go))
        exit(1);
    pid_t pid = start(sleeper, 0);
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        show("seize", ask(PTRACE_SEIZE, pid, 0, 0));
        (void)!write(ready[1], "", 1);
        (void)!read(go[0], &c, 1);
        next("the tracer", pid);
        nothing("again", pid);
        fflush(stdout);
        _exit(0);
    }
    (void)!read(ready[0], &c, 1);
    show("traced by another", ask(PTRACE_ATTACH, pid, 0, 0));
    show("not ours", ask(PTRACE_CONT, pid, 0, 0));
    kill(pid, SIGKILL);
    nothing("not yet", pid);
    fflush(stdout);
    (void)!write(go[1], "", 1);
    next("the parent", pid);
    waitpid(tracer, &s, 0);
}

/* The tracer's end sets its tracees free, or kills them. */
static void tracer_ends(const char *name, unsigned long options) {
    pid_t pid = start(sleeper, 0);
    int s;
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        ask(PTRACE_SEIZE, pid, 0, options);
        ask(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid(pid, &s, __WALL);
        _exit(0);
    }
    waitpid(tracer, &s, 0);
    if (!options) {
        say_state(name, pid);
        kill(pid, SIGTERM);
    }
    next(name, pid);
}

static void rights(void) {
    pid_t pid = start(sleeper, 0);
    fflush(stdout);
    pid_t other = fork();
    if (other == 0) {
        if (setgid(1) || setuid(1))
            _exit(1);
        show("another user's", ask(PTRACE_ATTACH, pid, 0, 0));
        pid_t mine = fork();
        if (mine == 0) {
            prctl(PR_SET_DUMPABLE, 1);
            sleeper();
        }
        fflush(stdout);
        pid_t mine2 = fork();
        if (mine2 == 0)
            sleeper();
        show("one's own, not dumpable", ask(PTRACE_SEIZE, mine2, 0, 0));
        kill(mine, SIGKILL);
        kill(mine2, SIGKILL);
        fflush(stdout);
        _exit(0);
    }
    next("other", other);
    end(pid);
}

static void me(void) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        show("traceme", ask(PTRACE_TRACEME, 0, 0, 0));
        show("traceme again", ask(PTRACE_TRACEME, 0, 0, 0));
        fflush(stdout);
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    next("exec", pid);
    group_info("info", pid);
    ask(PTRACE_CONT, pid, 0, 0);
    next("end", pid);
}

static void waits(void) {
    pid_t pid = start(sleeper, 1);
    siginfo_t i;
    memset(&i, 0, sizeof i);
    int result = waitid(P_PID, pid, &i, WSTOPPED | WNOWAIT);
    printf("waitid -> %d code %d status %d\n", result, i.si_code, i.si_status);
    result = waitid(P_PID, pid, &i, WEXITED | WNOHANG);
    printf("waitid exited -> %d code %d status %d\n", result, i.si_code, i.si_status);
    nothing("told", pid);
    show("kill", ask(PTRACE_KILL, pid, 0, 0));
    next("end", pid);
}

int main(void) {
    attach();
    seize();
    attach_stopped();
    seize_and_continue();
    events("no options", 0);
    events("fork, vfork", PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE);
    events("exec, exit", PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
    threads();
    exec_by_thread();
    two_parents();
    tracer_ends("free", 0);
    tracer_ends("killed", PTRACE_O_EXITKILL);
    rights();
    me();
    waits();
    return 0;
}
