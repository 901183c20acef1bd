/* sys_rest.c - calls that few programs make: adjtimex, kcmp, syslog, file handles. */
#include "abi.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>

#define CASE(call) (ask("%s", #call), (void)result(call), done())

static void note_timex(const struct timex *t) {
    note("modes %#x offset %ld freq %ld maxerror %ld esterror %ld status %#x constant %ld precision %ld tolerance %ld "
         "tick %ld "
         "tai %d pps %ld %ld",
         t->modes, t->offset, t->freq, t->maxerror, t->esterror, t->status, t->constant, t->precision, t->tolerance,
         t->tick, t->tai, t->ppsfreq, t->stbcnt);
}

static void clocks(void) {
    struct timex t = {0};
    ask("adjtimex, to read"), result(syscall(SYS_adjtimex, &t)), note_timex(&t), done();
    ask("a plausible time"), note("%d", llabs((long long)t.time.tv_sec - time(NULL)) < 10), done();
    t.modes = ADJ_OFFSET_SS_READ;
    ask("ADJ_OFFSET_SS_READ"), result(syscall(SYS_adjtimex, &t)), note("%ld", t.offset), done();
    t.modes = 0;
    ask("clock_adjtime"), result(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &t)), done();
    CASE(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &t));
    CASE(syscall(SYS_clock_adjtime, 99, &t));
    CASE(syscall(SYS_adjtimex, 8));
    ordinary();
    t.modes = ADJ_FREQUENCY;
    CASE(syscall(SYS_adjtimex, &t));
    t.modes = 0x8000;
    CASE(syscall(SYS_adjtimex, &t));
}

static const char *order(long r) { return r == 0 ? "same" : r == 1 || r == 2 ? "differ" : error_name(errno); }
#define KCMP(what, p, q, type, a, b) (ask("%s", what), note("%s", order(syscall(SYS_kcmp, p, q, type, a, b))), done())

static int child(void *end) {
    char c;
    while (read(*(int *)end, &c, 1) > 0)
        continue;
    return 0;
}

static char stack[65536] __attribute__((aligned(16)));

static void comparing(void) {
    int self = getpid(), end[2], dup_of, again;
    if (pipe2(end, O_CLOEXEC))
        abort();
    dup_of = dup(0), again = open("/dev/null", O_RDONLY);
    int flags = CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND;
    int other = clone(child, stack + sizeof stack, flags | SIGCHLD, &end[0]), forked = fork();
    if (!forked)
        _exit(close(end[1]) + child(&end[0]));
    KCMP("a duplicate", self, self, KCMP_FILE, 0, dup_of);
    KCMP("another file", self, self, KCMP_FILE, end[0], again);
    KCMP("of a child", self, forked, KCMP_FILE, end[0], end[0]);
    KCMP("no descriptor", self, self, KCMP_FILE, 0, 999);
    KCMP("memory", self, other, KCMP_VM, 0, 0);
    KCMP("memory of a child", self, forked, KCMP_VM, 0, 0);
    KCMP("descriptors", self, other, KCMP_FILES, 0, 0);
    KCMP("descriptors of a child", self, forked, KCMP_FILES, 0, 0);
    KCMP("directories", self, other, KCMP_FS, 0, 0);
    KCMP("directories of a child", self, forked, KCMP_FS, 0, 0);
    KCMP("handlers", self, other, KCMP_SIGHAND, 0, 0);
    KCMP("handlers of a child", self, forked, KCMP_SIGHAND, 0, 0);
    KCMP("I/O", self, forked, KCMP_IO, 0, 0);
    KCMP("semaphores", self, forked, KCMP_SYSVSEM, 0, 0);
    KCMP("no such type", self, self, 99, 0, 0);
    KCMP("no such process", self, 4000000, KCMP_VM, 0, 0);
    pid_t pid = fork();
    if (!pid) {
        ordinary();
        KCMP("somebody else's", getpid(), self, KCMP_VM, 0, 0);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(end[1]);
    while (wait(NULL) > 0)
        continue;
}

static void log_of_the_kernel(void) {
    char b[100];
    CASE(syscall(SYS_syslog, 0, NULL, 0));
    CASE(syscall(SYS_syslog, 1, NULL, 0));
    CASE(syscall(SYS_syslog, 3, NULL, 10));
    CASE(syscall(SYS_syslog, 3, b, -1));
    CASE(syscall(SYS_syslog, 3, b, 0));
    CASE(syscall(SYS_syslog, 3, (char *)8, 0));
    CASE(syscall(SYS_syslog, 8, NULL, 0));
    CASE(syscall(SYS_syslog, 8, NULL, 9));
    CASE(syscall(SYS_syslog, 11, b, 0));
    CASE(syscall(SYS_syslog, -1, b, 0));
    CASE(syscall(SYS_syslog, 3, b, 3) >= 0);
    CASE(syscall(SYS_syslog, 10, NULL, 0) > 0);
    int fd = open("/dev/kmsg", O_RDWR | O_NONBLOCK);
    ask("a line is written"), result(write(fd, "<6>here\n", 8)), done();
    ask("from the end"), note("%d", lseek(fd, 0, SEEK_END) == 0), result(read(fd, b, sizeof b)), done();
    ask("and another"), result(write(fd, "<5>there\n", 9)), memset(b, 0, sizeof b),
        read(fd, b, sizeof b) < 0 ? abort() : 0, note("%.6s", strchr(b, ';')), done();
    CASE(read(fd, b, 5));
    ask("too small"), result(write(fd, "<6>x\n", 5)), result(read(fd, b, 5)), done();
    CASE(lseek(fd, 5, SEEK_SET));
    CASE(lseek(fd, 0, SEEK_CUR));
    ordinary();
    CASE(syscall(SYS_syslog, 3, b, 3));
    CASE(syscall(SYS_syslog, 10, NULL, 0));
}

static void handles(void) {
    struct {
        struct file_handle h;
        char room[128];
    } h = {.h.handle_bytes = 128};
    int mount;
    CASE(name_to_handle_at(AT_FDCWD, "/proc/self", &h.h, &mount, 1));
    CASE(name_to_handle_at(AT_FDCWD, "/none", &h.h, &mount, 0));
    CASE(name_to_handle_at(99, "none", &h.h, &mount, 0));
    CASE(name_to_handle_at(AT_FDCWD, "/proc/self/status", &h.h, &mount, 0));
    CASE(name_to_handle_at(0, "", &h.h, &mount, 0));
    h.h.handle_bytes = 0;
    CASE(open_by_handle_at(AT_FDCWD, &h.h, O_RDONLY));
    h.h.handle_bytes = 129;
    CASE(open_by_handle_at(AT_FDCWD, &h.h, O_RDONLY));
    CASE(open_by_handle_at(AT_FDCWD, (void *)8, O_RDONLY));
    h.h.handle_bytes = 12;
    CASE(open_by_handle_at(99, &h.h, O_RDONLY));
    ordinary();
    CASE(open_by_handle_at(AT_FDCWD, &h.h, O_RDONLY));
}

int main(void) {
    GROUP(clocks);
    GROUP(comparing);
    GROUP(log_of_the_kernel);
    GROUP(handles);
    return 0;
}
