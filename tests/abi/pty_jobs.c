/* pty_jobs.c - pseudo-terminals and job control: who gets a controlling terminal and how, /dev/tty, groups, window
 * size, signals typed, and what a hang-up does to a session. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int m;
static char name[64];

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld\n", what, result);
}

static void make(void) {
    int zero = 0, number;
    m = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    ioctl(m, TIOCSPTLCK, &zero);
    ioctl(m, TIOCGPTN, &number);
    snprintf(name, sizeof name, "/dev/pts/%d", number);
}

static void told(const char *what, int status) {
    if (WIFSIGNALED(status))
        printf("%s -> SIG%s\n", what, sigabbrev_np(WTERMSIG(status)));
    else if (WIFSTOPPED(status))
        printf("%s -> stopped SIG%s\n", what, sigabbrev_np(WSTOPSIG(status)));
    else
        printf("%s -> %d\n", what, WEXITSTATUS(status));
}

/* Runs f in a child that leads a session; the master stays open here. */
static void in_session(const char *what, void (*f)(void)) {
    int status;
    pid_t pid = fork();
    if (!pid) {
        setsid();
        f();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    told(what, status);
}

static void getting(void) {
    int s = open(name, O_RDWR | O_NOCTTY), group = -1;
    say("/dev/tty of none", open("/dev/tty", O_RDWR));
    say("TIOCGPGRP of no controlling one", ioctl(s, TIOCGPGRP, &group));
    say("TIOCGSID", ioctl(s, TIOCGSID, &group));
    say("TIOCGPGRP by the master", ioctl(m, TIOCGPGRP, &group));
    printf("it is -> %d\n", group);
    say("TIOCGSID by the master", ioctl(m, TIOCGSID, &group));
    say("TIOCNOTTY", ioctl(s, TIOCNOTTY, 0));
    say("TIOCSCTTY", ioctl(s, TIOCSCTTY, 0));
    say("TIOCSCTTY again", ioctl(s, TIOCSCTTY, 0));
    say("TIOCGPGRP", ioctl(s, TIOCGPGRP, &group));
    printf("it is ours -> %d\n", group == getpgrp());
    say("TIOCGSID by the master", ioctl(m, TIOCGSID, &group));
    printf("it is ours -> %d\n", group == getsid(0));
    int t = open("/dev/tty", O_RDWR);
    say("/dev/tty", t >= 0 ? 0 : -1);
    say("tcsetpgrp to nobody", tcsetpgrp(s, 1 << 21));
    say("tcsetpgrp to a negative", tcsetpgrp(s, -1));
    say("tcsetpgrp to another session's", tcsetpgrp(s, getppid()));
    int m2 = m;
    char first[64];
    strcpy(first, name);
    make();
    int s2 = open(name, O_RDWR);
    say("a second one", ioctl(s2, TIOCSCTTY, 0));
    say("TIOCNOTTY of the second", ioctl(s2, TIOCNOTTY, 0));
    close(s2);
    close(m);
    m = m2;
    strcpy(name, first);
    if (!fork()) {
        setsid();
        say("another session opens it", open(name, O_RDWR) >= 0 ? 0 : -1);
        say("and has none", open("/dev/tty", O_RDWR));
        say("TIOCSCTTY of a taken one", ioctl(s, TIOCSCTTY, 0));
        _exit(0);
    }
    wait(NULL);
    signal(SIGHUP, SIG_IGN);
    say("TIOCNOTTY by /dev/tty", ioctl(t, TIOCNOTTY, 0));
    say("/dev/tty after it", open("/dev/tty", O_RDWR));
    say("write to the old /dev/tty", write(t, "x", 1));
}

static void by_opening(void) {
    int t;
    say("write only", open(name, O_WRONLY) >= 0 ? 0 : -1);
    say("gives none", open("/dev/tty", O_RDWR));
    say("open", open(name, O_RDWR) >= 0 ? 0 : -1);
    t = open("/dev/tty", O_RDWR);
    say("gives one", t >= 0 ? 0 : -1);
    if (!fork()) {
        say("a child has it", open("/dev/tty", O_RDWR) >= 0 ? 0 : -1);
        setsid();
        say("but not in a session of its own", open("/dev/tty", O_RDWR));
        _exit(0);
    }
    wait(NULL);
}

static void typed(void) {
    int s = open(name, O_RDWR), status;
    const char *keys[] = {"\003", "\034", "\032"};
    for (int i = 0; i < 3; i++) {
        int p[2];
        char b;
        (void)!pipe(p);
        pid_t pid = fork();
        if (!pid) {
            prctl(PR_SET_DUMPABLE, 0);
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(s, getpid());
            (void)!write(p[1], "x", 1);
            for (;;)
                pause();
        }
        (void)!read(p[0], &b, 1);
        (void)!write(m, keys[i], 1);
        waitpid(pid, &status, WUNTRACED);
        told("typed", status);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        signal(SIGTTOU, SIG_IGN);
        tcsetpgrp(s, getpid());
    }
    int sent = SIGINT;
    signal(SIGINT, SIG_IGN);
    say("TIOCSIG INT", ioctl(m, TIOCSIG, sent));
    say("TIOCSIG TERM", ioctl(m, TIOCSIG, SIGTERM));
}

static void background(void) {
    int s = open(name, O_RDWR), status;
    for (int i = 0; i < 4; i++) {
        pid_t pid = fork();
        if (!pid) {
            char b;
            struct termios t;
            setpgid(0, 0);
            if (i == 0)
                say("read", read(s, &b, 1));
            if (i == 1)
                _exit(write(s, "x", 1) == 1 ? 7 : 8);
            tcgetattr(s, &t);
            if (i == 2)
                say("tcsetattr", tcsetattr(s, TCSANOW, &t));
            signal(SIGTTIN, SIG_IGN);
            say("read, SIGTTIN ignored", read(s, &b, 1));
            _exit(0);
        }
        waitpid(pid, &status, WUNTRACED);
        told("in the background", status);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
}

static volatile sig_atomic_t seen;
static void note(int signal) { seen |= 1 << signal; }

static void window(void) {
    int s = open(name, O_RDWR);
    struct winsize w = {24, 80, 1, 2}, got;
    struct sigaction a = {.sa_handler = note};
    sigaction(SIGWINCH, &a, NULL);
    say("TIOCSWINSZ by the master", ioctl(m, TIOCSWINSZ, &w));
    printf("signalled -> %d\n", seen == 1 << SIGWINCH);
    say("TIOCGWINSZ", ioctl(s, TIOCGWINSZ, &got));
    printf("it is -> %d %d %d %d\n", got.ws_row, got.ws_col, got.ws_xpixel, got.ws_ypixel);
    seen = 0;
    say("the same again", ioctl(m, TIOCSWINSZ, &w));
    printf("signalled -> %d\n", seen == 1 << SIGWINCH);
    w.ws_col = 132;
    say("by the slave", ioctl(s, TIOCSWINSZ, &w));
    printf("signalled -> %d\n", seen == 1 << SIGWINCH);
    ioctl(m, TIOCGWINSZ, &got);
    printf("the master's -> %d\n", got.ws_col);
}

/* A leader with a job in front: what each dies of when the master is closed. */
static void hang_up(const char *what, int leader_ignores) {
    int p[2], status;
    char b[64];
    make();
    (void)!pipe(p);
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        close(m);
        close(p[0]);
        setsid();
        int s = open(name, O_RDWR);
        pid_t job = fork();
        if (!job) {
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(s, getpid());
            (void)!write(p[1], "r", 1);
            close(p[1]);
            for (;;)
                pause();
        }
        if (leader_ignores) {
            sigset_t gone;
            sigemptyset(&gone);
            sigaddset(&gone, SIGCONT); /* follows SIGHUP, when the terminal is ours no more */
            sigprocmask(SIG_BLOCK, &gone, NULL);
            signal(SIGHUP, SIG_IGN);
            (void)!write(p[1], "r", 1);
            sigwaitinfo(&gone, NULL);
            int n = snprintf(b, sizeof b, "read %zd job %d tty %s ", read(s, b, 1), kill(job, 0),
                             open("/dev/tty", O_RDWR) < 0 ? strerrorname_np(errno) : "there");
            (void)!write(p[1], b, n);
            _exit(3);
        }
        waitpid(job, &status, 0);
        (void)!write(p[1], "job ended before", 16);
        _exit(4);
    }
    close(p[1]);
    for (int i = 0; i < 1 + leader_ignores; i++)
        (void)!read(p[0], b, 1);
    close(m);
    waitpid(pid, &status, 0);
    told(what, status);
    /* the job has the pipe no more, but the leader's end is gone: what it said is all there is */
    ssize_t n = read(p[0], b, sizeof b);
    printf("said -> %.*s\n", (int)(n > 0 ? n : 0), b);
    close(p[0]);
}

/* The leader ends: the group in front hears SIGHUP, and the terminal is free for another session. */
static void leader_ends(void) {
    int p[2], status;
    char b;
    make();
    (void)!pipe(p);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    if (!pid) {
        setsid();
        int s = open(name, O_RDWR);
        if (!fork()) {
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(s, getpid());
            (void)!write(p[1], "r", 1);
            for (;;)
                pause();
        }
        (void)!read(p[0], &b, 1);
        _exit(5);
    }
    waitpid(pid, &status, 0);
    told("leader", status);
    wait(&status);
    told("its job", status);
    close(p[0]), close(p[1]);
    in_session("the next session", by_opening);
    close(m);
}

int main(void) {
    setbuf(stdout, NULL);
    setsid();
    make();
    in_session("getting", getting);
    in_session("by opening", by_opening);
    in_session("typed", typed);
    in_session("background", background);
    in_session("window", window);
    close(m);
    hang_up("hang-up", 0);
    hang_up("hang-up ignored", 1);
    leader_ends();
    return 0;
}
