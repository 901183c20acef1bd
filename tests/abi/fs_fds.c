/* fs_fds.c - descriptors: lowest numbers, limits, flags, copies, close_range, O_PATH, and what follows fork and exec.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

static void show(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : "");
    fflush(stdout);
}

static void numbers(void) {
    int a = open("f", O_CREAT | O_RDWR, 0600);
    show("first", a);
    show("second", open("f", O_RDONLY));
    show("third", dup(a));
    close(4);
    show("lowest", dup(a));
    show("from 10", fcntl(a, F_DUPFD, 10));
    show("from 10 again", fcntl(a, F_DUPFD_CLOEXEC, 10));
    show("its flag", fcntl(11, F_GETFD));
    show("dup2 far", dup2(a, 300));
    show("dup2 over", dup2(a, 4));
    show("dup2 of a closed one", dup2(77, 5));
    show("dup2 to a negative", dup2(a, -1));
    show("dup3 flags", dup3(a, 6, O_RDWR));
    show("dup3", dup3(a, 6, O_CLOEXEC));
    show("its flag", fcntl(6, F_GETFD));
    show("close twice", close(6) | close(6));
    struct rlimit limit = {20, 20};
    setrlimit(RLIMIT_NOFILE, &limit);
    show("dup2 over the limit", dup2(a, 20));
    show("from the limit", fcntl(a, F_DUPFD, 20));
    int last = 0, n = 0;
    while ((n = dup(a)) >= 0)
        last = n;
    printf("last %d: %s\n", last, strerrorname_np(errno));
    show("close_range", syscall(SYS_close_range, 5, 12, 0));
    show("lowest", dup(a));
    show("the far one is still there", fcntl(300, F_GETFD));
    show("close_range backwards", syscall(SYS_close_range, 9, 8, 0));
    show("close_range bad flags", syscall(SYS_close_range, 9, 9, 64));
    show("close_range marks", syscall(SYS_close_range, 13, ~0U, CLOSE_RANGE_CLOEXEC));
    show("marked", fcntl(300, F_GETFD));
    show("close all", syscall(SYS_close_range, 5, ~0U, 0));
    show("gone", fcntl(300, F_GETFD));
}

static void flags(void) {
    int fd = open("f", O_RDWR | O_APPEND | O_CLOEXEC | O_CREAT | O_NOFOLLOW, 0600);
    printf("flags %o\n", fcntl(fd, F_GETFL));
    show("set", fcntl(fd, F_SETFL, O_NONBLOCK | O_RDONLY));
    printf("flags %o\n", fcntl(fd, F_GETFL));
    int on = 1;
    show("FIOCLEX", ioctl(fd, FIOCLEX));
    show("cloexec", fcntl(fd, F_GETFD));
    show("FIONCLEX", ioctl(fd, FIONCLEX));
    show("cloexec", fcntl(fd, F_GETFD));
    show("FIONBIO", ioctl(fd, FIONBIO, &on));
    printf("flags %o\n", fcntl(fd, F_GETFL));
    pwrite(fd, "abcdef", 6, 0);
    lseek(fd, 2, SEEK_SET);
    show("FIONREAD", ioctl(fd, FIONREAD, &on));
    printf("%d\n", on);
    show("TCGETS", ioctl(fd, TCGETS, (char[64]){0}));
    show("TIOCGWINSZ", ioctl(fd, TIOCGWINSZ, &on));
    show("nonsense", ioctl(fd, 0x12345, 0));
    show("bad command", fcntl(fd, 9999, 0));
    show("owner", fcntl(fd, F_SETOWN, getpid()));
    show("owner", fcntl(fd, F_GETOWN) == getpid());
    show("pipe size of a file", fcntl(fd, F_GETPIPE_SZ));
    int null = open("/dev/null", O_RDWR);
    show("seals of a device", fcntl(null, F_GET_SEALS)); /* of a file: the file system decides */
    close(null);
    show("lease", fcntl(fd, F_GETLEASE));
}

static void places(void) {
    mkdir("d", 0755);
    close(open("d/f", O_CREAT | O_WRONLY, 0600));
    int dir = open("d", O_PATH), file = open("d/f", O_PATH | O_RDWR | O_TRUNC);
    char c;
    struct stat st;
    show("read", read(file, &c, 1));
    show("sync_file_range", sync_file_range(file, 0, 10, 0));
    show("write", write(file, &c, 1));
    show("lseek", lseek(file, 0, SEEK_SET));
    show("fstat", fstat(file, &st));
    show("fchmod", fchmod(file, 0600));
    show("ioctl", ioctl(file, FIONREAD, &c));
    printf("flags %o %o\n", fcntl(dir, F_GETFL), fcntl(file, F_GETFL));
    show("below it", openat(dir, "f", O_RDONLY) > 0);
    show("below a file", openat(file, "f", O_RDONLY));
    show("getdents", syscall(SYS_getdents64, dir, (char[256]){0}, 256));
    show("fchdir", fchdir(dir));
    show("here", access("f", F_OK));
    show("mmap", fsync(file));
    show("dup", dup(file) > 0);
    show("fchownat by it", fchownat(file, "", -1, -1, AT_EMPTY_PATH));
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    show("open again", open(link, O_RDONLY) > 0);
    chdir("..");
}

static void positions(void) {
    int fd = open("p", O_CREAT | O_RDWR, 0600);
    write(fd, "0123456789", 10);
    lseek(fd, 3, SEEK_SET);
    int copy = dup(fd), other = open("p", O_RDONLY);
    char c;
    read(copy, &c, 1);
    show("shared by a copy", lseek(fd, 0, SEEK_CUR));
    show("not by another open", lseek(other, 0, SEEK_CUR));
    if (!fork()) {
        lseek(fd, 7, SEEK_SET);
        _exit(0);
    }
    wait(NULL);
    show("shared by a child", lseek(fd, 0, SEEK_CUR));
    show("read at the end", lseek(fd, 5, SEEK_END) == 15 ? read(fd, &c, 1) : -2);
    show("pread keeps it", pread(fd, &c, 1, 0) == 1 ? lseek(fd, 0, SEEK_CUR) : -2);
    show("zero bytes", read(fd, NULL, 0));
    show("write zero bytes", write(fd, NULL, 0));
    show("bad buffer", write(fd, (char *)-4096L, 1));
    show("huge", read(other, &c, (size_t)-1));
    int dir = open("/proc/self", O_RDONLY);
    show("directory seek", lseek(dir, 0, SEEK_SET));
    show("getdents too small", syscall(SYS_getdents64, dir, (char[8]){0}, 8));
    show("getdents of a file", syscall(SYS_getdents64, fd, (char[256]){0}, 256));
}

static void many(void) {
    char name[16];
    mkdir("many", 0755);
    chdir("many");
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    DIR *d = opendir(".");
    int count = 0, sum = 0, removed = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] == 'n') {
            count++;
            sum += atoi(e->d_name + 1);
            if (atoi(e->d_name + 1) % 2)
                removed += !unlink(e->d_name); /* while listing */
        }
    printf("count %d sum %d removed %d\n", count, sum, removed);
    rewinddir(d);
    for (count = 0; readdir(d);)
        count++;
    printf("then %d\n", count);
    rewinddir(d);
    for (int i = 0; i < 700; i++)
        readdir(d);
    long here = telldir(d);
    char after[256];
    strcpy(after, readdir(d)->d_name);
    for (int i = 0; i < 500; i++)
        readdir(d);
    seekdir(d, here);
    show("seek back", strcmp(after, readdir(d)->d_name));
    chdir("..");
}

/* Where a file's bytes lie is asked of every kind of file, and refused by those of file systems that do not know. */
static void extents(void) {
    static const char *const names[] = {"f", ".", "/dev/null", "/proc/self/status"};
    struct fiemap map = {.fm_length = ~0ULL};
    int ends[2];

    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
        int fd = open(names[i], O_RDONLY);
        show(names[i], ioctl(fd, FS_IOC_FIEMAP, &map));
        close(fd);
    }
    pipe(ends);
    show("a pipe", ioctl(ends[0], FS_IOC_FIEMAP, &map));
    show("nothing asked", ioctl(ends[0], FS_IOC_FIEMAP, NULL));
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    flags();
    places();
    positions();
    many();
    int copy = dup(1);
    (void)copy;
    syscall(SYS_close_range, 3, ~0U, 0);
    numbers();
    extents();
    return 0;
}
