/* ipc_mq.c - POSIX message queues: names, limits, order, waiting, notification. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
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
static char text[9000];
static long raw_open(const char *name, int flags, unsigned mode, const struct mq_attr *a) {
    return syscall(SYS_mq_open, name, flags, mode, a);
}
static void opens(const char *what, const char *name, int flags, long count, long bytes) {
    struct mq_attr a = {.mq_maxmsg = count, .mq_msgsize = bytes};
    long fd = raw_open(name, flags, 0600, count == -7 ? NULL : &a);
    printf("%s -> %s\n", what, error_of(fd < 0 ? -1 : 0));
    if (fd >= 0)
        close((int)fd);
}
static void state(const char *what, int q) {
    struct mq_attr a;
    memset(&a, 0x55, sizeof a);
    long r = syscall(SYS_mq_getsetattr, q, NULL, &a);
    printf("%s: %s flags %lx most %ld of %ld, now %ld\n", what, error_of(r), a.mq_flags, a.mq_maxmsg, a.mq_msgsize,
           a.mq_curmsgs);
}

/* Queues without a name, but with a descriptor, count against RLIMIT_MSGQUEUE. */
static void nameless(void) {
    long fds[50], count = 0;
    while (count < 50 && (fds[count] = raw_open("nameless", O_RDWR | O_CREAT | O_EXCL, 0600, NULL)) >= 0) {
        syscall(SYS_mq_unlink, "nameless");
        count++;
    }
    printf("nameless -> %ld, then %s\n", count, strerrorname_np(errno));
    while (count)
        close((int)fds[--count]);
    opens("when they are gone", "nameless", O_RDWR | O_CREAT, -7, 0);
    syscall(SYS_mq_unlink, "nameless");
}

static void no_descriptor(void) {
    struct rlimit usual, none;
    getrlimit(RLIMIT_NOFILE, &usual);
    none = usual;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    opens("without a descriptor", "none", O_RDWR | O_CREAT, -7, 0);
    setrlimit(RLIMIT_NOFILE, &usual);
    opens("it is not there", "none", O_RDWR, -7, 0);
}

static void names(void) {
    char longest[300];
    memset(longest, 'n', sizeof longest);
    longest[255] = 0;
    opens("none", "none", O_RDWR, -7, 0);
    opens("no name", "", O_RDWR | O_CREAT, -7, 0);
    opens("a slash", "/name", O_RDWR | O_CREAT, -7, 0);
    opens("dot", ".", O_RDWR | O_CREAT, -7, 0);
    opens("the longest", longest, O_RDWR | O_CREAT, -7, 0);
    say("the longest goes", syscall(SYS_mq_unlink, longest));
    longest[255] = 'n', longest[256] = 0;
    opens("too long", longest, O_RDWR | O_CREAT, -7, 0);
    opens("nowhere", (char *)8, O_RDWR, -7, 0);
    opens("no messages", "q", O_RDWR | O_CREAT, 0, 1);
    opens("no bytes", "q", O_RDWR | O_CREAT, 1, 0);
    opens("too many", "q", O_RDWR | O_CREAT, 65537, 1);
    opens("too big", "q", O_RDWR | O_CREAT, 1, (16 << 20) + 1);
    opens("more than the limit", "q", O_RDWR | O_CREAT, 60000, 100);
    opens("made", "q", O_RDWR | O_CREAT, 4, 20);
    opens("exclusive", "q", O_RDWR | O_CREAT | O_EXCL, 4, 20);
    opens("again, other values", "q", O_RDWR | O_CREAT, 0, 20);
    opens("to read and write in another way", "q", 3, -7, 0);
    say("unlink nothing", syscall(SYS_mq_unlink, "none"));
    say("unlink a slash", syscall(SYS_mq_unlink, "/q"));
    say("unlink nowhere", syscall(SYS_mq_unlink, 8));
}

static void receive(const char *what, int q) {
    unsigned priority = 99;
    memset(text, 0, sizeof text);
    long r = mq_receive(q, text, sizeof text, &priority);
    if (r < 0)
        printf("%s -> %s\n", what, error_of(r));
    else
        printf("%s -> %ld \"%s\" priority %u\n", what, r, text, priority);
}

static void moves(int q) {
    struct timespec past = {1, 0}, bad = {1, 1000000000};
    struct pollfd p = {q, POLLIN | POLLOUT, 0};
    state("new", q);
    poll(&p, 1, 0);
    printf("poll %x\n", p.revents);
    say("low", mq_send(q, "low", 3, 1));
    say("high", mq_send(q, "high", 4, 9));
    say("low again", mq_send(q, "low again", 9, 1));
    say("nothing", mq_send(q, "", 0, 5));
    poll(&p, 1, 0);
    printf("poll %x\n", p.revents);
    say("full, time past", mq_timedsend(q, "x", 1, 0, &past));
    say("bad time", mq_timedsend(q, "x", 1, 0, &bad));
    say("bad priority", mq_send(q, "x", 1, 32768));
    say("too long", mq_send(q, "123456789012345678901", 21, 0));
    say("from nowhere", mq_send(q, (void *)8, 1, 0));
    struct mq_attr a = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 77}, wrong = {.mq_flags = O_APPEND};
    say("not to wait", mq_setattr(q, &a, NULL));
    say("wrong flags", mq_setattr(q, &wrong, NULL));
    state("flags", q);
    say("full", mq_send(q, "x", 1, 0));
    memset(text, 0, sizeof text);
    say("read", pread(q, text, 100, 0));
    printf("%s", text);
    say("too short a buffer", mq_receive(q, text, 19, NULL));
    receive("first", q);
    receive("second", q);
    receive("third", q);
    receive("fourth", q);
    receive("fifth", q);
    a.mq_flags = 0;
    mq_setattr(q, &a, NULL);
    say("empty, time past", mq_timedreceive(q, text, sizeof text, NULL, &past));
    int r = mq_open("/q", O_RDONLY), w = mq_open("/q", O_WRONLY);
    say("send to read", mq_send(r, "x", 1, 0));
    say("receive from write", mq_receive(w, text, sizeof text, NULL));
    printf("closes on exec: %d\n", fcntl(r, F_GETFD));
    struct stat s;
    fstat(r, &s);
    printf("mode %o size %ld links %ld\n", s.st_mode, (long)s.st_size, (long)s.st_nlink);
    say("write", write(w, "x", 1));
    say("no queue", mq_send(0, "x", 1, 0));
    say("no descriptor", mq_send(99, "x", 1, 0));
    close(r), close(w);
}

static void catch (int number) { (void)number; }
static void waits(int q) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        long r = mq_receive(q, text, sizeof text, NULL);
        _exit(r < 0 ? errno : (int)r);
    }
    say("for a child", mq_send(q, "12345", 5, 0));
    waitpid(pid, &status, 0);
    printf("the child got %d\n", WEXITSTATUS(status));
    for (int i = 0; i < 4; i++)
        mq_send(q, "fill", 4, 0);
    pid = fork();
    if (pid == 0)
        _exit(mq_send(q, "late", 4, 3) ? errno : 0);
    receive("makes room", q);
    waitpid(pid, &status, 0);
    printf("the child sent: %d\n", WEXITSTATUS(status));
    receive("the child's", q);
    for (int i = 0; i < 3; i++)
        mq_receive(q, text, sizeof text, NULL);
    struct sigaction a = {.sa_handler = catch};
    sigaction(SIGALRM, &a, NULL);
    struct itimerval t = {.it_value = {0, 20000}, .it_interval = {0, 20000}};
    setitimer(ITIMER_REAL, &t, NULL);
    receive("a signal", q);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 0}}, NULL);
}

static volatile sig_atomic_t came;
static volatile int code, value, ours;
static void told(int number, siginfo_t *i, void *context) {
    (void)number, (void)context;
    came++, code = i->si_code, value = i->si_value.sival_int, ours = i->si_pid == getpid();
}
static void notifies(int q) {
    struct sigaction a = {.sa_sigaction = told, .sa_flags = SA_SIGINFO};
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value = {.sival_int = 42}},
                    none = e, bad = e, kind = e;
    none.sigev_notify = SIGEV_NONE, bad.sigev_signo = 65, kind.sigev_notify = 77;
    sigaction(SIGUSR1, &a, NULL);
    say("notify", mq_notify(q, &e));
    say("again", mq_notify(q, &e));
    say("bad signal", mq_notify(q, &bad));
    say("bad kind", mq_notify(q, &kind));
    memset(text, 0, sizeof text);
    if (pread(q, text, 100, 0) > 0)
        printf("%.43s\n", text);
    mq_send(q, "one", 3, 0);
    printf("told %d: code %d value %d ours %d\n", (int)came, code, value, ours);
    mq_send(q, "two", 3, 0);
    printf("told once: %d\n", (int)came);
    say("not empty", mq_notify(q, &e));
    mq_receive(q, text, sizeof text, NULL), mq_send(q, "three", 5, 0);
    printf("not told: %d\n", (int)came);
    mq_receive(q, text, sizeof text, NULL), mq_receive(q, text, sizeof text, NULL);
    mq_send(q, "four", 4, 0);
    printf("told: %d\n", (int)came);
    mq_receive(q, text, sizeof text, NULL);
    say("without a signal", mq_notify(q, &none));
    say("no more", mq_notify(q, NULL));
    say("no more of nothing", mq_notify(q, NULL));
    say("once more", mq_notify(q, &e));
    close(dup(q));
    say("a close ended it", mq_notify(q, &e));
    mq_notify(q, NULL);
}

static void rights(void) {
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
            _exit(1);
        opens("other: open", "q", O_RDONLY, -7, 0);
        say("other: unlink", syscall(SYS_mq_unlink, "q"));
        opens("other: many", "mine", O_RDWR | O_CREAT, 11, 10);
        opens("other: big", "mine", O_RDWR | O_CREAT, 1, 8193);
        opens("other: most", "mine", O_RDWR | O_CREAT, 10, 8192);
        say("other: own goes", syscall(SYS_mq_unlink, "mine"));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

/* ---- /proc/sys/fs/mqueue ---- */

static void knob(const char *name, const char *value) {
    char path[100], was[40] = "";
    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
    int fd = open(path, O_RDWR);
    long n = read(fd, was, sizeof was - 1), r = value ? pwrite(fd, value, strlen(value), 0) : n;
    was[strcspn(was, "\n")] = 0;
    printf("%s %s to %s -> %s\n", name, was, value ? value : "nothing", error_of(r < 0 ? -1 : 0));
    close(fd);
}

static void usual(const char *what) {
    struct mq_attr a = {0};
    int q = (int)raw_open("usual", O_RDWR | O_CREAT, 0600, NULL);
    syscall(SYS_mq_getsetattr, q, NULL, &a);
    printf("%s -> %ld of %ld\n", what, a.mq_maxmsg, a.mq_msgsize);
    close(q);
    syscall(SYS_mq_unlink, "usual");
}

static void ordinary_opens(void) {
    fflush(stdout);
    if (fork() == 0) {
        if (setuid(1000))
            _exit(1);
        opens("ordinary, as many as may be", "other", O_RDWR | O_CREAT, 12, 300);
        opens("ordinary, one more", "other2", O_RDWR | O_CREAT, 13, 300);
        opens("ordinary, one byte more", "other3", O_RDWR | O_CREAT, 12, 301);
        _exit(0);
    }
    wait(NULL);
    syscall(SYS_mq_unlink, "other");
}

static void knobs(void) {
    knob("queues_max", NULL), knob("msg_default", NULL), knob("msg_max", NULL);
    knob("msgsize_default", NULL), knob("msgsize_max", NULL);
    usual("usual");
    knob("msg_default", "0"), knob("msg_default", "65537"), knob("msg_default", "11");
    knob("msgsize_default", "127"), knob("msgsize_default", "16777217"), knob("msgsize_default", "256");
    usual("usual, within the most");
    knob("msg_max", "0"), knob("msg_max", "65537"), knob("msg_max", "12");
    knob("msgsize_max", "127"), knob("msgsize_max", "16777217"), knob("msgsize_max", "300");
    usual("usual, as set");
    ordinary_opens();
    knob("msg_default", "10"), knob("msgsize_default", "8192"), knob("msg_max", "10"), knob("msgsize_max", "8192");
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    knobs();
    names();
    no_descriptor();
    nameless();
    int q = mq_open("/q", O_RDWR);
    moves(q);
    waits(q);
    notifies(q);
    rights();
    say("unlink", mq_unlink("/q"));
    opens("gone", "q", O_RDWR, -7, 0);
    say("still works", mq_send(q, "x", 1, 0));
    receive("still there", q);
    return 0;
}
