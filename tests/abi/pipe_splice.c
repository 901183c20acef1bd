/* pipe_splice.c - splice, tee, vmsplice: what they move, what they refuse, what they leave where it was; the flags of
 * preadv2 and pwritev2; O_DIRECT and O_SYNC. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static long say(const char *what, long result) {
    if (result > 0)
        printf("%s -> %ld\n", what, result);
    else
        printf("%s -> %s\n", what, result ? strerrorname_np(errno) : "0");
    return result;
}
static int a[2], b[2];
static char text[70000];

static void make(void) {
    if (pipe2(a, O_NONBLOCK) || pipe2(b, O_NONBLOCK))
        abort();
}
static void unmake(void) { close(a[0]), close(a[1]), close(b[0]), close(b[1]); }
static void left(const char *what, int fd) {
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    printf("%s holds %d\n", what, n);
}
static void comes(const char *what, int fd) {
    memset(text, 0, 100);
    long n = read(fd, text, 100);
    if (n < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld \"%s\"\n", what, n, text);
}
static void put(int fd, const char *s) {
    if (write(fd, s, strlen(s)) != (long)strlen(s))
        abort();
}

static void refused(void) {
    int file = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    off_t at = 0;
    make();
    say("splice nothing, bad flags", splice(a[0], NULL, b[1], NULL, 0, 16));
    say("splice bad flags", splice(a[0], NULL, b[1], NULL, 1, 16));
    say("splice the wrong way", splice(a[1], NULL, b[0], NULL, 1, 0));
    say("splice within a pipe", splice(a[0], NULL, a[1], NULL, 1, 0));
    say("splice files", splice(file, NULL, file, NULL, 1, 0));
    say("splice with an offset in a pipe", splice(a[0], &at, b[1], NULL, 1, 0));
    say("splice no descriptor", splice(99, NULL, b[1], NULL, 1, 0));
    say("splice to an empty pipe's reader", splice(a[0], NULL, b[1], NULL, 1, 0));
    say("tee nothing, bad flags", tee(a[0], b[1], 0, 16));
    say("tee nothing", tee(a[0], b[1], 0, 0));
    say("tee within a pipe", tee(a[0], a[1], 1, 0));
    say("tee a file", tee(file, b[1], 1, 0));
    say("tee the wrong way", tee(a[1], b[0], 1, 0));
    say("tee an empty pipe", tee(a[0], b[1], 1, 0));
    struct iovec v = {text, 10}, bad = {(void *)8, 10};
    say("vmsplice bad flags", vmsplice(a[1], &v, 1, 16));
    say("vmsplice a file", vmsplice(file, &v, 1, 0));
    say("vmsplice no descriptor", vmsplice(99, &v, 1, 0));
    say("vmsplice from nowhere", vmsplice(a[1], &bad, 1, 0));
    say("vmsplice nothing", vmsplice(a[1], &v, 0, 0));
    say("vmsplice too many", vmsplice(a[1], &v, 1025, 0));
    int end = open("f", O_WRONLY | O_APPEND);
    put(a[1], "x");
    say("splice to append", splice(a[0], NULL, end, NULL, 1, 0));
    close(end);
    close(b[0]);
    signal(SIGPIPE, SIG_IGN);
    say("splice to no reader", splice(a[0], NULL, b[1], NULL, 1, 0));
    say("tee to no reader", tee(a[0], b[1], 1, 0));
    left("the source", a[0]);
    unmake();
    make();
    close(a[1]);
    say("splice from no writer", splice(a[0], NULL, b[1], NULL, 1, 0));
    say("tee from no writer", tee(a[0], b[1], 1, 0));
    unmake();
    close(file);
}

static void pipes(void) {
    make();
    put(a[1], "one two three");
    say("tee a part", tee(a[0], b[1], 3, 0));
    comes("the copy", b[0]);
    say("tee all", tee(a[0], b[1], 100, 0));
    comes("the copy", b[0]);
    say("splice a part", splice(a[0], NULL, b[1], NULL, 4, 0));
    comes("the part", b[0]);
    comes("the rest", a[0]);
    struct iovec v[2] = {{"vec", 3}, {"tors", 4}};
    say("vmsplice", vmsplice(a[1], v, 2, 0));
    comes("from there", a[0]);
    put(a[1], "to memory");
    char x[4] = "", y[20] = "";
    struct iovec to[2] = {{x, 3}, {y, 19}};
    say("vmsplice to memory", vmsplice(a[0], to, 2, 0));
    printf("%s|%s\n", x, y);
    unmake();
    /* full pipes */
    make();
    memset(text, 'f', sizeof text);
    say("fill", write(b[1], text, sizeof text));
    put(a[1], "waits");
    say("splice to a full pipe", splice(a[0], NULL, b[1], NULL, 5, 0));
    say("tee to a full pipe", tee(a[0], b[1], 5, 0));
    comes("nothing is lost", a[0]);
    unmake();
    make();
    fcntl(b[1], F_SETFL, 0), fcntl(a[0], F_SETFL, 0);
    say("fill", write(b[1], text, 65536));
    put(a[1], "waits");
    say("splice without waiting to a full pipe", splice(a[0], NULL, b[1], NULL, 5, SPLICE_F_NONBLOCK));
    say("tee without waiting to a full pipe", tee(a[0], b[1], 5, SPLICE_F_NONBLOCK));
    comes("nothing is lost", a[0]);
    say("splice without waiting from an empty pipe", splice(a[0], NULL, b[1], NULL, 5, SPLICE_F_NONBLOCK));
    say("vmsplice without waiting to a full pipe", vmsplice(b[1], &(struct iovec){text, 10}, 1, SPLICE_F_NONBLOCK));
    unmake();
}

static void others(void) {
    int s[2], file = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    off_t at = 2;
    make();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s))
        abort();
    put(a[1], "to a file");
    say("splice to a file", splice(a[0], NULL, file, &at, 100, 0));
    printf("at %ld, the file's own %ld\n", (long)at, (long)lseek(file, 0, SEEK_CUR));
    at = 5;
    say("splice from a file", splice(file, &at, a[1], NULL, 3, 0));
    comes("from the file", a[0]);
    at = 11;
    say("splice at the end", splice(file, &at, a[1], NULL, 3, 0));
    put(s[0], "by a socket");
    say("splice from a socket", splice(s[1], NULL, a[1], NULL, 100, 0));
    say("splice from an empty socket", splice(s[1], NULL, a[1], NULL, 100, 0));
    say("splice to a socket", splice(a[0], NULL, s[1], NULL, 100, 0));
    comes("back", s[0]);
    close(s[0]);
    put(a[1], "nor now");
    say("splice to no socket", splice(a[0], NULL, s[1], NULL, 100, 0));
    comes("nothing is lost", a[0]);
    /* a file that is as large as it may be */
    int memory = memfd_create("m", MFD_ALLOW_SEALING);
    fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE);
    put(a[1], "never");
    say("splice to a sealed file", splice(a[0], NULL, memory, NULL, 100, 0));
    comes("nothing is lost", a[0]);
    put(s[1] = dup(a[1]), "twice");
    close(s[1]), close(memory), close(file);
    unmake();
}

static void waits(void) {
    int status;
    make();
    fcntl(a[0], F_SETFL, 0), fcntl(b[1], F_SETFL, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(splice(a[0], NULL, b[1], NULL, 100, 0) == 4 ? 0 : 1);
    put(a[1], "late");
    waitpid(pid, &status, 0);
    printf("splice waited: %d\n", status);
    comes("late", b[0]);
    pid = fork();
    if (pid == 0)
        _exit(tee(a[0], b[1], 100, 0) == 4 ? 0 : 1);
    put(a[1], "also");
    waitpid(pid, &status, 0);
    printf("tee waited: %d\n", status);
    comes("also", b[0]);
    comes("still there", a[0]);
    say("fill", write(b[1], text, 65536));
    pid = fork();
    if (pid == 0)
        _exit(splice(a[0], NULL, b[1], NULL, 100, 0) == 4 ? 0 : 1);
    put(a[1], "room");
    while (read(b[0], text, sizeof text) != 4)
        continue;
    waitpid(pid, &status, 0);
    printf("room came: %d %.4s\n", status, text);
    unmake();
}

static void flagged(void) {
    int file = open("g", O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct iovec v = {"abc", 3};
    make();
    say("append", pwritev2(file, &v, 1, 0, RWF_APPEND));
    say("append again", pwritev2(file, &v, 1, 0, RWF_APPEND));
    printf("own position %ld\n", (long)lseek(file, 0, SEEK_CUR));
    say("append at the file's own", pwritev2(file, &v, 1, -1, RWF_APPEND));
    printf("own position %ld\n", (long)lseek(file, 0, SEEK_CUR));
    say("sync", pwritev2(file, &v, 1, 1, RWF_SYNC));
    say("dsync", pwritev2(file, &v, 1, 1, RWF_DSYNC | RWF_HIPRI));
    say("do not wait", pwritev2(file, &v, 1, 1, RWF_NOWAIT));
    say("no such flag", pwritev2(file, &v, 1, 1, 32));
    char x[10] = "";
    struct iovec to = {x, 9};
    say("read with flags", preadv2(file, &to, 1, 0, RWF_HIPRI | RWF_SYNC | RWF_APPEND));
    printf("%s\n", x);
    say("read without waiting", preadv2(file, &to, 1, 0, RWF_NOWAIT));
    say("read a pipe without waiting", preadv2(a[0], &to, 1, -1, RWF_NOWAIT));
    say("write a pipe, append", pwritev2(a[1], &v, 1, -1, RWF_APPEND | RWF_SYNC));
    say("a pipe has no offset", pwritev2(a[1], &v, 1, 0, RWF_SYNC));
    printf("O_DIRECT in memory: %d\n", open("g", O_RDWR | O_DIRECT) >= 0);
    say("O_DIRECT later", fcntl(file, F_SETFL, O_DIRECT));
    say("O_DIRECT of a pipe", fcntl(a[1], F_SETFL, O_DIRECT));
    say("O_DIRECT of null", open("/dev/null", O_RDWR | O_DIRECT));
    say("O_DIRECT of a directory", open(".", O_RDONLY | O_DIRECT));
    int synced = open("g", O_RDWR | O_SYNC);
    printf("flags %o\n", fcntl(synced, F_GETFL) & ~O_LARGEFILE);
    say("write to it", write(synced, "s", 1));
    say("O_SYNC does not go", fcntl(synced, F_SETFL, 0));
    printf("flags %o\n", fcntl(synced, F_GETFL) & ~O_LARGEFILE);
    unmake();
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (mkdir("/dev/shm/splice", 0700) || chdir("/dev/shm/splice"))
        abort();
    refused();
    pipes();
    others();
    waits();
    flagged();
    unlink("f"), unlink("g");
    rmdir("/dev/shm/splice");
    return 0;
}
