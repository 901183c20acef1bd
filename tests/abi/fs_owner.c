/* fs_owner.c - who hears of a file by a signal: F_SETOWN, F_SETSIG, O_ASYNC on pipes, sockets and terminals. */
#include "sock.h"

#include <sys/signalfd.h>

static int own; /* this process */

/* What waits of a set of signals, one after another; a second is given to the first. */
static void note_signals(void) {
    struct timespec long_time = {20, 0}, none = {0, 0};
    siginfo_t info;
    sigset_t set;
    int first = 1;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGURG);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    while (sigtimedwait(&set, &info, first ? &long_time : &none) > 0) {
        if (info.si_signo == SIGRTMIN + 1 || info.si_signo == SIGUSR1)
            note("%s code %d band %#lx fd %d", info.si_signo == SIGUSR1 ? "USR1" : "RT", info.si_code, info.si_band,
                 info.si_fd);
        else
            note("SIG%s code %#x", sigabbrev_np(info.si_signo), (unsigned)info.si_code);
        first = 0;
    }
    if (first)
        note("no signal");
}

static void block(void) {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    own = getpid();
}

static void async(int fd, int owner, int signal) {
    result(fcntl(fd, F_SETOWN, owner));
    result(fcntl(fd, F_SETSIG, signal));
    result(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

static void note_owner(int fd) {
    struct f_owner_ex e = {-1, -1};
    int pid = fcntl(fd, F_GETOWN);
    note("own %s%s", pid < 0 ? "-" : "", abs(pid) == own ? "self" : pid ? "other" : "0");
    result(fcntl(fd, F_GETOWN_EX, &e));
    note("type %d %s", e.type, e.pid == own ? "self" : e.pid ? "other" : "0");
}

static void owners(void) {
    struct f_owner_ex e;
    int p[2], file = named_file("owned", 10);
    block();
    if (pipe(p))
        abort();
    ask("nobody"), note_owner(p[0]), done();
    ask("self"), result(fcntl(p[0], F_SETOWN, own)), note_owner(p[0]), done();
    setpgid(0, 0);
    ask("own group"), result(fcntl(p[0], F_SETOWN, -own)), note_owner(p[0]), done();
    ask("nobody again"), result(fcntl(p[0], F_SETOWN, 0)), note_owner(p[0]), done();
    CASE(fcntl(p[0], F_SETOWN, 4000000));
    CASE(fcntl(p[0], F_SETOWN, -4000000));
    CASE(fcntl(p[0], F_SETOWN, INT_MIN));
    e = (struct f_owner_ex){F_OWNER_TID, own};
    ask("a task"), result(fcntl(p[0], F_SETOWN_EX, &e)), note_owner(p[0]), done();
    e = (struct f_owner_ex){F_OWNER_PGRP, own};
    ask("a group"), result(fcntl(p[0], F_SETOWN_EX, &e)), note_owner(p[0]), done();
    e = (struct f_owner_ex){3, own};
    CASE_NAMED("type 3", fcntl(p[0], F_SETOWN_EX, &e));
    e = (struct f_owner_ex){-1, own};
    CASE_NAMED("type -1", fcntl(p[0], F_SETOWN_EX, &e));
    e = (struct f_owner_ex){F_OWNER_PID, 4000000};
    CASE_NAMED("no such process", fcntl(p[0], F_SETOWN_EX, &e));
    CASE(fcntl(p[0], F_SETOWN_EX, (void *)8));
    CASE(fcntl(p[0], F_GETOWN_EX, (void *)8));
    pid_t pid = fork();
    if (!pid)
        _exit(0);
    ask("a child"), result(fcntl(p[0], F_SETOWN, pid)), note_owner(p[0]), done();
    waitpid(pid, NULL, 0);
    ask("a child that is gone"), note_owner(p[0]), done();
    CASE(fcntl(p[0], F_GETSIG));
    CASE(fcntl(p[0], F_SETSIG, 65));
    CASE(fcntl(p[0], F_SETSIG, 64));
    CASE(fcntl(p[0], F_GETSIG));
    ask("a regular file"), result(fcntl(file, F_SETOWN, own)), note_owner(file), done();
    ask("a regular file: flags"), result(fcntl(file, F_SETFL, O_ASYNC) ?: (fcntl(file, F_GETFL) & O_ASYNC)), done();
    int off = 0, on = 1;
    CASE_NAMED("a regular file: FIOASYNC off", ioctl(file, FIOASYNC, &off));
    CASE_NAMED("a regular file: FIOASYNC on", ioctl(file, FIOASYNC, &on));
    CASE_NAMED("a pipe: FIOASYNC on", ioctl(p[0], FIOASYNC, &on));
    CASE_NAMED("a pipe: flags", fcntl(p[0], F_GETFL) & O_ASYNC);
    int s = socket(AF_INET, SOCK_DGRAM, 0), who = own;
    CASE_NAMED("a socket: FIOSETOWN", ioctl(s, FIOSETOWN, &who));
    who = 0;
    CASE_NAMED("a socket: SIOCGPGRP", ioctl(s, SIOCGPGRP, &who) ?: who == own);
    CASE_NAMED("a pipe: FIOSETOWN", ioctl(p[0], FIOSETOWN, &who));
    unlink("owned");
}

static void pipes(void) {
    char b[65536] = "";
    int p[2];
    block();
    if (pipe2(p, O_NONBLOCK))
        abort();
    ask("the reader asks"), async(p[0], own, 0), done();
    ask("a write"), result(write(p[1], "a", 1)), note_signals(), done();
    ask("another write"), result(write(p[1], "b", 1)), note_signals(), done();
    ask("a signal of one's choice"), result(fcntl(p[0], F_SETSIG, SIGRTMIN + 1)), result(write(p[1], "c", 1)),
        note_signals(), done();
    ask("a standard one"), result(fcntl(p[0], F_SETSIG, SIGUSR1)), result(write(p[1], "d", 1)), note_signals(), done();
    ask("the end"), close(p[1]), note_signals(), done();
    close(p[0]);
    if (pipe2(p, O_NONBLOCK))
        abort();
    while (write(p[1], b, sizeof b) > 0)
        continue;
    ask("the writer asks"), async(p[1], own, SIGRTMIN + 1), done();
    ask("a read"), result(read(p[0], b, sizeof b)), note_signals(), done();
    ask("off"), result(fcntl(p[1], F_SETFL, O_NONBLOCK)), result(read(p[0], b, sizeof b)), done();
    ask("the reader's end"), result(fcntl(p[1], F_SETFL, O_ASYNC)), close(p[0]), note_signals(), done();
}

static void to_whom(void) {
    int p[2];
    block();
    setpgid(0, 0);
    if (pipe2(p, O_NONBLOCK))
        abort();
    ask("the own group"), async(p[0], -own, 0), result(write(p[1], "a", 1)), note_signals(), done();
    struct f_owner_ex e = {F_OWNER_TID, own};
    ask("a task"), result(fcntl(p[0], F_SETOWN_EX, &e)), result(write(p[1], "a", 1)), note_signals(), done();
    pid_t pid = fork();
    if (!pid) {
        own = getpid();
        ask("a child, as a process"), note_signals(), done();
        _exit(0);
    }
    fcntl(p[0], F_SETOWN, pid);
    if (write(p[1], "b", 1) != 1)
        abort();
    waitpid(pid, NULL, 0);
    if (!fork()) {
        ordinary();
        ask("root, by an ordinary user"), result(fcntl(p[0], F_SETOWN, own)), result(write(p[1], "c", 1)), done();
        _exit(0);
    }
    wait(NULL);
    kill(own, SIGURG);
    ask("it gets only"), note_signals(), done();
    signal(SIGIO, SIG_DFL);
    pid = fork();
    if (!pid) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (;;)
            pause();
    }
    int status = 0;
    fcntl(p[0], F_SETOWN, pid);
    if (write(p[1], "d", 1) != 1)
        abort();
    waitpid(pid, &status, 0);
    ask("SIGIO by default"), note("%s", WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "lives"), done();
}

static void sockets(void) {
    int s[2], udp[2];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;
    block();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
        abort();
    ask("a stream asks"), async(s[0], own, SIGRTMIN + 1), done();
    ask("its peer sends"), result(send(s[1], "x", 1, 0)), note_signals(), done();
    udp[0] = socket(AF_INET, SOCK_DGRAM, 0);
    udp[1] = socket(AF_INET, SOCK_DGRAM, 0);
    bind(udp[0], (void *)&a, sizeof a);
    getsockname(udp[0], (void *)&a, &bytes);
    ask("UDP asks"), async(udp[0], own, 0), done();
    ask("a datagram"), result(sendto(udp[1], "x", 1, 0, (void *)&a, sizeof a)), note_signals(), done();
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_port = 0;
    bind(l, (void *)&a, sizeof a);
    getsockname(l, (void *)&a, &bytes);
    listen(l, 5);
    ask("a listener asks"), async(l, own, 0), done();
    ask("a connection"), result(connect(c, (void *)&a, sizeof a)), note_signals(), done();
    int end = accept(l, NULL, NULL);
    ask("TCP asks"), async(end, own, 0), done();
    ask("bytes"), result(send(c, "xy", 2, 0)), note_signals(), done();
    ask("the end of bytes"), result(shutdown(c, SHUT_WR)), note_signals(), done();
}

static void terminals(void) {
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0, number;
    char name[32];
    block();
    setsid();
    ioctl(master, TIOCSPTLCK, &zero);
    ioctl(master, TIOCGPTN, &number);
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    int slave = open(name, O_RDWR | O_NOCTTY);
    ask("no owner yet"), note_owner(slave), result(fcntl(slave, F_SETFL, O_ASYNC)), note_owner(slave), done();
    ask("a line is typed"), result(write(master, "x\n", 2)), note_signals(), done();
    if (ioctl(slave, TIOCSCTTY, 0))
        abort();
    int again = open(name, O_RDWR);
    ask("of a session"), result(fcntl(again, F_SETFL, O_ASYNC)), note_owner(again), done();
}

/* The same, read from a signalfd. */
static void by_signalfd(void) {
    static const int signals[] = {0, SIGUSR1, 35, SIGSEGV};
    struct signalfd_siginfo info;
    sigset_t set;
    block();
    sigfillset(&set);
    int signal_fd = signalfd(-1, &set, 0);
    for (unsigned i = 0; i < countof(signals); i++) {
        int p[2];
        if (pipe(p))
            abort();
        ask("signalfd, F_SETSIG %d", signals[i]);
        async(p[0], own, signals[i]);
        result(write(p[1], "x", 1));
        memset(&info, 0, sizeof info);
        result(read(signal_fd, &info, sizeof info));
        note("code %#x band %#x fd %d address %#lx", (unsigned)info.ssi_code, info.ssi_band,
             info.ssi_fd ? info.ssi_fd - p[0] : -1, (long)info.ssi_addr);
        done();
        close(p[0]), close(p[1]);
    }
}

int main(void) {
    GROUP(owners);
    GROUP(pipes);
    GROUP(to_whom);
    GROUP(sockets);
    GROUP(terminals);
    GROUP(by_signalfd);
    return 0;
}
