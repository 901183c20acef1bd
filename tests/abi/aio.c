/* aio.c - io_setup, io_submit, io_getevents and their family: what is refused, what is told, and what is waited for. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static aio_context_t context;
static char page[4096], other[4096];
static int fd;

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld\n", what, result);
}

static long setup(unsigned most, aio_context_t *c) { return syscall(SYS_io_setup, most, c); }
static long destroy(aio_context_t c) { return syscall(SYS_io_destroy, c); }
static long submit(aio_context_t c, long count, struct iocb **all) { return syscall(SYS_io_submit, c, count, all); }
static long events(long least, long most, struct io_event *e, struct timespec *t) {
    return syscall(SYS_io_getevents, context, least, most, e, t);
}

static struct iocb request(int number, int opcode, void *buffer, uint64_t bytes, int64_t offset) {
    return (struct iocb){.aio_data = 7,
                         .aio_lio_opcode = opcode,
                         .aio_fildes = number,
                         .aio_buf = (uintptr_t)buffer,
                         .aio_nbytes = bytes,
                         .aio_offset = offset};
}

/* Submit one, and say what is told of it. */
static void one(const char *what, struct iocb io) {
    struct iocb *all = &io;
    struct io_event e = {0};
    long result = submit(context, 1, &all);
    if (result != 1) {
        say(what, result);
        return;
    }
    result = events(1, 1, &e, NULL);
    printf("%s -> submitted, events %ld, data %lld, %s, result %lld %lld\n", what, result, (long long)e.data,
           e.obj == (uintptr_t)&io ? "its own" : "another's", (long long)e.res, (long long)e.res2);
}

static void contexts(void) {
    aio_context_t c = 5;
    say("setup over one", setup(1, &c));
    c = 0;
    say("setup of none", setup(0, &c));
    say("setup nowhere", setup(1, NULL));
    say("destroy 0", destroy(0));
    say("destroy what is none", destroy(4096));
    say("setup", setup(4, &c));
    say("destroy", destroy(c));
    say("again", destroy(c));
    say("submit to it", submit(c, 0, NULL));
    say("cancel in it", syscall(SYS_io_cancel, c, &(struct iocb){0}, NULL));
}

static void transfers(void) {
    struct iovec v[2] = {{page, 10}, {page + 10, 20}};
    int pipes[2], reader = open("aio-file", O_RDONLY), writer = open("aio-file", O_WRONLY),
                  path = open("aio-file", O_PATH);
    one("write", request(fd, IOCB_CMD_PWRITE, page, 4096, 0));
    one("write at 8192", request(fd, IOCB_CMD_PWRITE, page, 100, 8192));
    one("read", request(fd, IOCB_CMD_PREAD, other, 4096, 0));
    printf("it is the same: %d\n", !memcmp(page, other, 4096));
    one("read past the end", request(fd, IOCB_CMD_PREAD, other, 4096, 8292));
    one("read the end", request(fd, IOCB_CMD_PREAD, other, 4096, 8192));
    one("readv", request(fd, IOCB_CMD_PREADV, v, 2, 0));
    one("writev", request(fd, IOCB_CMD_PWRITEV, v, 2, 0));
    one("readv of too many", request(fd, IOCB_CMD_PREADV, v, 1025, 0));
    one("readv of nothing there", request(fd, IOCB_CMD_PREADV, (void *)8, 1, 0));
    one("read to nowhere", request(fd, IOCB_CMD_PREAD, (void *)8, 100, 0));
    one("read far out", request(fd, IOCB_CMD_PREAD, (void *)-4096L, 100, 0));
    one("negative bytes", request(fd, IOCB_CMD_PREAD, other, -1, 0));
    one("negative offset", request(fd, IOCB_CMD_PREAD, other, 1, -1));
    one("write what is for reading", request(reader, IOCB_CMD_PWRITE, page, 1, 0));
    one("read what is for writing", request(writer, IOCB_CMD_PREAD, page, 1, 0));
    one("read O_PATH", request(path, IOCB_CMD_PREAD, page, 1, 0));
    one("no descriptor", request(999, IOCB_CMD_PREAD, page, 1, 0));
    one("fsync", request(fd, IOCB_CMD_FSYNC, NULL, 0, 0));
    one("fdsync", request(fd, IOCB_CMD_FDSYNC, NULL, 0, 0));
    one("fsync of bytes", request(fd, IOCB_CMD_FSYNC, page, 1, 0));
    one("noop", request(fd, IOCB_CMD_NOOP, NULL, 0, 0));
    one("opcode 99", request(fd, 99, NULL, 0, 0));
    if (pipe(pipes) == 0) {
        one("write to a pipe", request(pipes[1], IOCB_CMD_PWRITE, page, 5, 77));
        one("read from a pipe", request(pipes[0], IOCB_CMD_PREAD, other, 5, 99));
        one("fsync of a pipe", request(pipes[0], IOCB_CMD_FSYNC, NULL, 0, 0));
    }
    struct iocb io = request(fd, IOCB_CMD_PWRITE, page, 1, 0);
    io.aio_rw_flags = RWF_DSYNC;
    one("RWF_DSYNC", io);
    io.aio_rw_flags = 1 << 20;
    one("flags that are none", io);
    io.aio_rw_flags = 0;
    io.aio_reserved2 = 1;
    one("reserved2", io);
}

static void many(void) {
    struct iocb io[3], *all[3];
    struct io_event e[5];
    struct timespec now = {0}, soon = {.tv_nsec = 1000000};
    for (int i = 0; i < 3; i++) {
        io[i] = request(i == 1 ? 999 : fd, IOCB_CMD_PREAD, other, 10 + i, 0);
        all[i] = &io[i];
    }
    say("submit three, the second bad", submit(context, 3, all));
    say("one event", events(1, 5, e, NULL));
    all[0] = (void *)8;
    say("submit one that is nowhere", submit(context, 1, all));
    say("submit a list that is nowhere", submit(context, 1, (void *)8));
    say("submit -1", submit(context, -1, all));
    say("submit none", submit(context, 0, all));
    say("events, least -1", events(-1, 1, e, &now));
    say("events, least above most", events(2, 1, e, &now));
    say("events, none there", events(1, 5, e, &now));
    say("events, none soon", events(1, 5, e, &soon));
    say("events, least 0", events(0, 5, e, NULL));
    all[0] = &io[0];
    submit(context, 1, all);
    say("events to nowhere", events(1, 1, (void *)8, NULL));
    say("it is still there", events(1, 1, e, NULL));
    say("cancel what is over", syscall(SYS_io_cancel, context, &io[0], e));
    say("cancel nothing", syscall(SYS_io_cancel, context, (void *)8, e));
}

static void event_descriptor(void) {
    int event = eventfd(0, EFD_NONBLOCK);
    uint64_t count = 0;
    struct iocb io = request(fd, IOCB_CMD_PREAD, other, 10, 0);
    io.aio_flags = IOCB_FLAG_RESFD;
    io.aio_resfd = event;
    one("with an eventfd", io);
    one("with it again", io);
    say("read it", read(event, &count, 8));
    printf("count %llu\n", (unsigned long long)count);
    io.aio_resfd = fd;
    one("with a file for one", io);
    io.aio_resfd = 999;
    one("with no descriptor", io);
}

static void *submitter(void *thread) {
    struct iocb io = request(fd, IOCB_CMD_PREAD, other, 10, 0), *all = &io;
    await_state(getpid(), *(pid_t *)thread, 'S');
    submit(context, 1, &all);
    await_state(getpid(), *(pid_t *)thread, 'S');
    submit(context, 1, &all);
    return NULL;
}

static void caught(int signal) {}

static void waiting(void) {
    pid_t me = gettid();
    pthread_t thread;
    struct io_event e[2];
    struct sigaction action = {.sa_handler = caught};
    sigset_t empty, user1;
    struct {
        sigset_t *mask;
        size_t bytes;
    } set = {&empty, 8};
    pthread_create(&thread, NULL, submitter, &me);
    say("two from another thread", events(2, 2, e, NULL));
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &action, NULL);
    pid_t pid = signal_sleeper(SIGUSR1, 1);
    say("a signal", events(1, 1, e, NULL));
    waitpid(pid, NULL, 0);
    sigemptyset(&empty);
    sigemptyset(&user1);
    sigaddset(&user1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &user1, NULL);
    raise(SIGUSR1);
    say("a signal that the mask lets in", syscall(SYS_io_pgetevents, context, 1, 1, e, NULL, &set));
    set.bytes = 3;
    say("a mask of 3 bytes", syscall(SYS_io_pgetevents, context, 1, 1, e, NULL, &set));
}

static void *destroyer(void *thread) {
    await_state(getpid(), *(pid_t *)thread, 'S');
    destroy(context);
    return NULL;
}

static void ends(void) {
    pid_t me = gettid();
    pthread_t thread;
    struct io_event e;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        say("a child has no context", submit(context, 0, NULL));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    pthread_create(&thread, NULL, destroyer, &me);
    say("destroyed while one waits", events(1, 1, &e, NULL));
    pthread_join(thread, NULL);
}

int main(void) {
    fd = open("aio-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    memset(page, 'x', sizeof page);
    contexts();
    say("setup", setup(8, &context));
    transfers();
    many();
    event_descriptor();
    waiting();
    ends();
    unlink("aio-file");
    return 0;
}
