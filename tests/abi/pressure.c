/* pressure.c - /proc/pressure: what its files look like, and what a trigger may say (psi.rst). That one tells is
 * tests/guest/pressure.py's, "stalls": when it does depends on the machine. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const files[] = {"cpu", "io", "memory"};

static int opened(unsigned i, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/pressure/%s", files[i]);
    return open(path, flags);
}

static void events(const char *what, int fd, short asked) {
    struct pollfd p = {.fd = fd, .events = asked};
    int r = poll(&p, 1, 0);
    printf("%s -> %d, events %#x\n", what, r, p.revents);
}

static void look(unsigned i) {
    struct stat s;
    char text[256];
    int fd = opened(i, O_RDONLY), lines = 0;
    fstat(fd, &s);
    ssize_t bytes = read(fd, text, sizeof text);
    for (ssize_t n = 0; n < bytes; n++)
        lines += text[n] == '\n';
    printf("%s -> mode %o, lines %d, begins \"%.11s\"\n", files[i], s.st_mode, lines, text);
    events("no trigger", fd, POLLIN | POLLOUT | POLLPRI);
    close(fd);
}

static void said(unsigned i, const char *text, size_t bytes) {
    int fd = opened(i, O_RDWR);
    ssize_t r = write(fd, text, bytes);
    printf("%s, \"%s\", %zu bytes -> ", files[i], text, bytes);
    if (r < 0)
        printf("%s\n", strerrorname_np(errno));
    else
        printf("%zd\n", r);
    close(fd);
}

static void triggers(void) {
    static const char *const texts[] = {
        "some 150000 1000000",
        "full 150000 1000000",
        "some 150000 1000000\n",
        "some 150000  1000000 and more of",
        "some  150000 1000000",
        "some 1 500000",
        "some 500000 500000",
        "some 10000000 10000000",
        "some 0 500000",
        "some 500001 500000",
        "some 1 499999",
        "some 1 10000001",
        "some 150000",
        "some -1 1000000",
        "none 150000 1000000",
        "some",
        "",
        "some 150000 1000000                   7",
        "         some 150000 1000000",
    };
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        said(2, texts[i], strlen(texts[i]) + 1);
    said(0, texts[0], strlen(texts[0]) + 1);
    said(0, texts[1], strlen(texts[1]) + 1);
    said(1, texts[1], strlen(texts[1]) + 1);
    said(1, texts[0], strlen(texts[0])); /* the last byte never counts */
    said(1, "some 1 10000001", 15);
    said(1, texts[0], 1);
    said(1, texts[0], 0);
}

static void one(void) {
    static const char text[] = "full 9999999 10000000";
    int fd = opened(2, O_RDWR | O_NONBLOCK);
    char c;
    printf("write -> %zd\n", write(fd, text, sizeof text));
    events("a trigger", fd, POLLIN | POLLOUT | POLLPRI);
    events("a trigger, POLLPRI", fd, POLLPRI);
    ssize_t r = write(fd, text, sizeof text);
    printf("another -> %zd %s\n", r, strerrorname_np(errno));
    printf("it reads -> %zd\n", pread(fd, &c, 1, 0));
    r = write(fd, "nonsense", 9);
    printf("nonsense after it -> %zd %s\n", r, strerrorname_np(errno));
    r = write(fd, (void *)8, 20);
    printf("a bad address -> %zd %s\n", r, strerrorname_np(errno));
    close(fd);
}

static void of_others(void) {
    fflush(stdout);
    if (fork() == 0) {
        if (setgid(1000) || setuid(1000))
            abort();
        int fd = opened(2, O_RDONLY);
        printf("not root, to read -> %s\n", fd < 0 ? strerrorname_np(errno) : "ok");
        fd = opened(2, O_RDWR);
        printf("not root, to write -> %s\n", fd < 0 ? strerrorname_np(errno) : "ok");
        said(2, "some 150000 1000000", 20);
        said(2, "some 150000 2000000", 20);
        said(2, "full 150000 3000000", 20);
        said(2, "full 150000 4000000", 20);
        exit(0);
    }
    wait(NULL);
}

int main(void) {
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        look(i);
    triggers();
    one();
    of_others();
    return 0;
}
