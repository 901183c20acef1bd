/* pipe_basic.c - pipes: capacity, atomic writes, non-blocking edges, packets, end of file, SIGPIPE, poll, fcntl. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int fds[2];
static char buffer[200000];

static void make(int flags) {
    if (pipe2(fds, flags))
        perror("pipe2"), exit(1);
}
static void end(void) { close(fds[0]), close(fds[1]); }

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: %ld\n", what, result);
}

static int events(int fd, int asked) {
    struct pollfd p = {.fd = fd, .events = (short)asked};
    poll(&p, 1, 0);
    return p.revents;
}

static void states(const char *when) {
    printf("%s: reader %#x writer %#x\n", when, events(fds[0], POLLIN | POLLOUT | POLLRDNORM),
           events(fds[1], POLLIN | POLLOUT | POLLWRNORM));
}

static int queued(void) {
    int n = -1;
    ioctl(fds[0], FIONREAD, &n);
    return n;
}

/* How many bytes fit, in writes of `bytes`. */
static void fill(size_t bytes) {
    long total = 0, n;
    make(O_NONBLOCK);
    while ((n = write(fds[1], buffer, bytes)) > 0)
        total += n;
    printf("in writes of %zu fit %ld, then %s, FIONREAD %d\n", bytes, total, strerrorname_np(errno), queued());
    states("full");
    n = read(fds[0], buffer, 1);
    states("less one byte");
    n = read(fds[0], buffer, 4095);
    states("less a page");
    say("write of a page", write(fds[1], buffer, 4096));
    say("write of a byte", write(fds[1], buffer, 1));
    end();
}

static void capacity(void) {
    make(O_NONBLOCK);
    say("F_GETPIPE_SZ", fcntl(fds[1], F_GETPIPE_SZ));
    say("F_SETPIPE_SZ 1", fcntl(fds[1], F_SETPIPE_SZ, 1));
    say("write of 5000", write(fds[1], buffer, 5000));
    say("F_SETPIPE_SZ 10000", fcntl(fds[1], F_SETPIPE_SZ, 10000));
    say("write of 10000", write(fds[1], buffer, 10000));
    say("F_SETPIPE_SZ 4096 with more in it", fcntl(fds[1], F_SETPIPE_SZ, 4096));
    say("F_GETPIPE_SZ", fcntl(fds[0], F_GETPIPE_SZ));
    say("read", read(fds[0], buffer, sizeof(buffer)));
    say("F_SETPIPE_SZ 4096", fcntl(fds[1], F_SETPIPE_SZ, 4096));
    end();
    say("F_GETPIPE_SZ of no pipe", fcntl(open("/dev/null", O_RDONLY), F_GETPIPE_SZ));
}

static void ends(void) {
    signal(SIGPIPE, SIG_IGN);
    make(0);
    states("empty");
    say("read of nothing", read(fds[0], buffer, 0));
    say("write of nothing", write(fds[1], buffer, 0));
    say("write", write(fds[1], "abc", 3));
    states("three bytes");
    close(fds[1]);
    printf("writer gone: reader %#x\n", events(fds[0], POLLIN));
    say("read", read(fds[0], buffer, 2));
    say("read", read(fds[0], buffer, 2));
    say("read", read(fds[0], buffer, 2));
    printf("drained: reader %#x\n", events(fds[0], POLLIN));
    close(fds[0]);
    make(0);
    close(fds[0]);
    printf("reader gone: writer %#x\n", events(fds[1], POLLOUT));
    say("write", write(fds[1], "x", 1));
    close(fds[1]);
    make(O_NONBLOCK);
    say("read while empty", read(fds[0], buffer, 1));
    say("write to the reading end", write(fds[0], buffer, 1));
    say("read from the writing end", read(fds[1], buffer, 1));
    say("lseek", lseek(fds[0], 0, SEEK_CUR));
    say("bad address, read while empty", read(fds[0], (void *)8, 1));
    say("bad address, write", write(fds[1], (void *)8, 1));
    say("write", write(fds[1], "abc", 3));
    say("bad address, read", read(fds[0], (void *)8, 1));
    printf("still %d\n", queued());
    end();
    say("pipe2 with a bad flag", pipe2(fds, O_APPEND));
    say("pipe2 to a bad address", pipe2((int *)8, 0));
}

static void killed(void) {
    fflush(stdout);
    if (!fork()) {
        signal(SIGPIPE, SIG_DFL);
        make(0);
        close(fds[0]);
        (void)!write(fds[1], "x", 1);
        _exit(0);
    }
    int status;
    wait(&status);
    printf("a writer without a reader: signal %d\n", WTERMSIG(status));
}

static void packets(void) {
    make(O_DIRECT | O_NONBLOCK);
    say("packet", write(fds[1], "abcdef", 6));
    say("packet", write(fds[1], "gh", 2));
    say("packet of 5000", write(fds[1], buffer, 5000));
    say("read of 3", read(fds[0], buffer, 3));
    say("read of 10", read(fds[0], buffer, 10));
    say("read of 9000", read(fds[0], buffer, 9000));
    say("read of 9000", read(fds[0], buffer, 9000));
    say("read of 9000", read(fds[0], buffer, 9000));
    end();
}

static void shape(void) {
    struct stat a, b;
    char name[64], want[64];
    make(0);
    fstat(fds[0], &a), fstat(fds[1], &b);
    printf("mode %o, the same inode %d, size %ld, links %d, blksize %ld\n", a.st_mode, a.st_ino == b.st_ino,
           (long)a.st_size, (int)a.st_nlink, (long)a.st_blksize);
    snprintf(want, sizeof(want), "/proc/self/fd/%d", fds[0]);
    ssize_t n = readlink(want, name, sizeof(name) - 1);
    name[n > 0 ? n : 0] = 0;
    snprintf(want, sizeof(want), "pipe:[%lu]", (unsigned long)a.st_ino);
    printf("named by its inode %d\n", !strcmp(name, want));
    printf("flags %#x %#x\n", fcntl(fds[0], F_GETFL), fcntl(fds[1], F_GETFL));
    end();
    make(O_NONBLOCK | O_CLOEXEC);
    printf("flags %#x %#x, of the descriptor %d\n", fcntl(fds[0], F_GETFL), fcntl(fds[1], F_GETFL),
           fcntl(fds[0], F_GETFD));
    end();
}

/* Four writers of whole lines: none is torn. */
static void lines(void) {
    make(0);
    fflush(stdout);
    for (int w = 0; w < 4; w++) {
        if (fork())
            continue;
        char line[300];
        memset(line, 'a' + w, sizeof(line));
        line[299] = '\n';
        for (int i = 0; i < 500; i++)
            (void)!write(fds[1], line, sizeof(line));
        _exit(0);
    }
    close(fds[1]);
    FILE *f = fdopen(fds[0], "r");
    int count[4] = {0}, torn = 0;
    while (fgets(buffer, sizeof(buffer), f)) {
        int same = 0;
        while (buffer[same] == buffer[0])
            same++;
        torn += same != 299;
        count[buffer[0] - 'a']++;
    }
    printf("lines %d %d %d %d, torn %d\n", count[0], count[1], count[2], count[3], torn);
    fclose(f);
    while (wait(NULL) > 0)
        ;
}

/* More than fits goes through, whole. */
static void stream(void) {
    unsigned sum = 0, want = 0;
    long total = 0;
    ssize_t n;
    make(0);
    for (size_t i = 0; i < sizeof(buffer); i++)
        want = want * 31 + (unsigned char)(buffer[i] = (char)(i * 7 + i / 256));
    fflush(stdout);
    if (!fork()) {
        close(fds[0]);
        _exit(write(fds[1], buffer, sizeof(buffer)) != sizeof(buffer));
    }
    close(fds[1]);
    memset(buffer, 0, sizeof(buffer));
    while ((n = read(fds[0], buffer, 777)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 31 + (unsigned char)buffer[i];
        total += n;
    }
    int status;
    wait(&status);
    printf("stream: %ld bytes, whole %d, writer %d\n", total, sum == want, status);
    close(fds[0]);
}

/* Writes from memory that ends. */
static void faults(void) {
    char *end_of = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
    munmap(end_of, 4096);
    make(0);
    say("write that ends in nowhere", write(fds[1], end_of - 10, 20));
    say("FIONREAD", queued());
    say("write", write(fds[1], buffer, 5));
    say("behind it, one that ends in nowhere", write(fds[1], end_of - 10, 20));
    say("FIONREAD", queued());
    end();
}

int main(void) {
    fill(1);
    fill(100);
    fill(4096);
    fill(5000);
    fill(100000);
    capacity();
    ends();
    killed();
    packets();
    shape();
    lines();
    stream();
    faults();
    return 0;
}
