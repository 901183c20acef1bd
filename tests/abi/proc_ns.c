/* proc_ns.c - /proc/PID/ns: the links, the files that they lead to, and setns(2) to where one is. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[] = {
    "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"};
#define COUNT (sizeof(names) / sizeof(*names))

static const char *said(long result) {
    static char text[4][32];
    static int turn;
    char *t = text[turn++ & 3];
    snprintf(t, 32, "%s", result < 0 ? strerrorname_np(errno) : result ? "positive" : "0");
    return t;
}

static int open_ns(const char *who, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/%s", who, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(void) {
    char *found[32];
    int n = 0;
    DIR *d = opendir("/proc/self/ns");
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            found[n++] = strdup(e->d_name);
    qsort(found, n, sizeof *found, by_name);
    printf("names ->");
    for (int i = 0; i < n; i++)
        printf(" %s", found[i]);
    printf("\n");
}

static void each(const char *name) {
    char path[64], text[64] = "", other[64] = "";
    struct stat link, file, fd_stat;
    struct statfs fs;
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    long n = readlink(path, text, sizeof text - 1);
    lstat(path, &link);
    stat(path, &file);
    int fd = open_ns("self", name);
    fstat(fd, &fd_stat);
    unsigned long number = strchr(text, '[') ? strtoul(strchr(text, '[') + 1, NULL, 10) : 0;
    *strchrnul(text, '[') = 0;
    printf("%s: link -> %d %s %o %ld\n", name, n > 10, text, link.st_mode, (long)link.st_size);
    printf("%s: file -> %o %d %d %d\n", name, file.st_mode, file.st_ino == number, fd_stat.st_ino == file.st_ino,
           fd_stat.st_dev == file.st_dev);
    snprintf(path, sizeof path, "/proc/1/ns/%s", name);
    n = readlink(path, other, sizeof other - 1);
    *strchrnul(other, '[') = 0;
    printf("%s: of 1 -> %s\n", name, n < 0 ? strerrorname_np(errno) : other);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n = readlink(path, other, sizeof other - 1);
    other[n < 0 ? 0 : n] = 0;
    *strchrnul(other, '[') = 0;
    fstatfs(fd, &fs);
    printf("%s: opened -> %s %#lx\n", name, other, (unsigned long)fs.f_type);
    char c;
    printf("%s: read -> %s\n", name, said(read(fd, &c, 1)));
    printf("%s: mmap -> %s\n", name,
           mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    printf("%s: to write -> %s\n", name, said(open(path, O_RDWR)));
    unsigned uid = 77;
    printf("%s: type -> %#x\n", name, ioctl(fd, NS_GET_NSTYPE));
    printf("%s: parent -> %s\n", name, said(ioctl(fd, NS_GET_PARENT)));
    long owner = ioctl(fd, NS_GET_USERNS);
    printf("%s: user namespace -> %s\n", name, said(owner));
    printf("%s: ... closes on exec -> %d\n", name, owner < 0 ? -1 : fcntl((int)owner, F_GETFD));
    long asked = ioctl(fd, NS_GET_OWNER_UID, &uid);
    printf("%s: owner -> %s %u\n", name, said(asked), uid);
    printf("%s: another ioctl -> %s\n", name, said(ioctl(fd, NS_GET_OWNER_UID + 1, &uid)));
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        printf("%s: setns -> %s\n", name, said(setns(fd, 0)));
        printf("%s: setns, wrong -> %s\n", name, said(setns(fd, strcmp(name, "net") ? CLONE_NEWNET : CLONE_NEWIPC)));
        printf("%s: setns, odd -> %s\n", name, said(setns(fd, CLONE_VM)));
        if (setresuid(1000, 1000, 1000))
            abort();
        printf("%s: setns of a user -> %s\n", name, said(setns(fd, 0)));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(fd);
}

int main(void) {
    struct stat s;
    list();
    stat("/proc/self/ns", &s);
    printf("directory -> %o\n", s.st_mode);
    for (unsigned i = 0; i < COUNT; i++)
        each(names[i]);
    int fd = open("/dev/null", O_RDONLY);
    printf("setns of a file -> %s\n", said(setns(fd, 0)));
    printf("setns of nothing -> %s\n", said(setns(-1, 0)));
    printf("a name that is none -> %s\n", said(open_ns("self", "other")));
    int mnt = open_ns("self", "mnt"), again = open_ns("self", "mnt");
    struct stat a, b;
    fstat(mnt, &a);
    fstat(again, &b);
    printf("one file -> %d\n", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    return 0;
}
