/* files.c - files and directories: results and errno of the calls that programs use most. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, long result) {
    const char *error = result == -1 ? strerrorname_np(errno) : "";
    printf("%s: %ld %s\n", what, result, error);
}

static void show_open(const char *what, int fd) {
    const char *error = fd == -1 ? strerrorname_np(errno) : "ok";
    printf("open %s: %s\n", what, error);
    if (fd >= 0)
        close(fd);
}

static void opens(void) {
    show_open("missing", open("missing", O_RDONLY));
    show_open("new", open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
    show_open("again exclusively", open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
    show_open("as a directory", open("f", O_RDONLY | O_DIRECTORY));
    show_open("below a file", open("f/x", O_RDONLY));
    show_open("a directory to write", open(".", O_RDWR));
    show_open("empty name", open("", O_RDONLY));
    show_open("bad pointer", open((char *)8, O_RDONLY));
    show("symlink", symlink("loop", "loop"));
    show_open("a loop", open("loop", O_RDONLY));
    show_open("a link not followed", open("loop", O_RDONLY | O_NOFOLLOW));
    char name[300];
    memset(name, 'n', sizeof name);
    name[299] = '\0';
    show_open("a long name", open(name, O_RDONLY));
    show_open("of a bad directory", openat(99, "x", O_RDONLY));
    show("O_TMPFILE", open(".", O_TMPFILE | O_RDWR, 0600) >= 0);
}

static void reads_and_writes(void) {
    char text[64] = "";
    int fd = open("f", O_RDWR);
    show("write", write(fd, "hello, world", 12));
    show("lseek", lseek(fd, 7, SEEK_SET));
    show("read", read(fd, text, 50));
    printf("%s\n", text);
    show("read at the end", read(fd, text, 50));
    show("pwrite past the end", pwrite(fd, "!", 1, 9999));
    struct stat st;
    fstat(fd, &st);
    printf("size %ld mode %o links %ld\n", (long)st.st_size, st.st_mode, (long)st.st_nlink);
    show("pread in the hole", pread(fd, text, 3, 5000));
    show("pread at a negative offset", pread(fd, text, 3, -1));
    show("lseek before the start", lseek(fd, -1, SEEK_SET));
    show("lseek whence", lseek(fd, 0, 77));
    struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
    show("pwritev", pwritev(fd, parts, 2, 0));
    show("readv none", readv(fd, parts, 0));
    show("readv too many", readv(fd, parts, 2000));
    show("ftruncate", ftruncate(fd, 3));
    show("ftruncate negative", ftruncate(fd, -1));
    show("pread", pread(fd, text, 50, 0));
    int append = open("f", O_WRONLY | O_APPEND), reader = open("f", O_RDONLY);
    show("append", write(append, "XY", 2));
    show("at", lseek(append, 0, SEEK_CUR));
    show("write to a reader", write(reader, "x", 1));
    show("read from a writer", read(append, text, 1));
    show("read into nowhere", read(reader, (void *)8, 4));
    show("read a directory", read(open(".", O_RDONLY), text, 4));
    show("read of a closed one", read(99, text, 4));
    show("fallocate", fallocate(fd, 0, 0, 8192));
    show("dup2 to itself", dup2(fd, fd) == fd);
    show("dup3 to itself", dup3(fd, fd, 0));
    show("F_DUPFD", fcntl(fd, F_DUPFD, 40));
    show("FD_CLOEXEC", fcntl(open("f", O_RDONLY | O_CLOEXEC), F_GETFD));
    printf("flags %#x\n", fcntl(append, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    show("copy_file_range", copy_file_range(reader, &(loff_t){0}, open("g", O_CREAT | O_WRONLY, 0600), NULL, 4, 0));
    show("flock", flock(fd, LOCK_EX | LOCK_NB));
    show("flock by another", flock(reader, LOCK_EX | LOCK_NB));
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void names(void) {
    show("mkdir", mkdir("d", 0755));
    show("mkdir again", mkdir("d", 0755));
    show("mkdir below nothing", mkdir("x/y", 0755));
    show("link", link("f", "d/l"));
    show("link a directory", link("d", "e"));
    show("rmdir full", rmdir("d"));
    show("rmdir a file", rmdir("f"));
    show("unlink a directory", unlink("d"));
    show("rename over a directory", rename("f", "d"));
    show("rename into itself", rename("d", "d/e"));
    show("rename noreplace", renameat2(AT_FDCWD, "f", AT_FDCWD, "d", RENAME_NOREPLACE));
    show("rename exchange", renameat2(AT_FDCWD, "f", AT_FDCWD, "d", RENAME_EXCHANGE));
    show("and back", renameat2(AT_FDCWD, "f", AT_FDCWD, "d", RENAME_EXCHANGE));
    show("rename", rename("d", "e"));
    char text[64] = "";
    show("readlink", readlink("loop", text, 64));
    show("readlink of a file", readlink("f", text, 64));
    show("chmod", chmod("f", 04751));
    struct stat st;
    stat("e/l", &st);
    printf("mode %o links %ld\n", st.st_mode, (long)st.st_nlink);
    show("access missing", access("missing", F_OK));
    show("chdir to a file", chdir("f"));
    show("chdir", chdir("e"));
    show("getcwd too small", getcwd(text, 2) ? 0 : -1);
    show("chdir back", chdir(".."));
    struct timespec times[2] = {{100, 5}, {200, 7}};
    show("utimensat", utimensat(AT_FDCWD, "f", times, 0));
    stat("f", &st);
    printf("times %ld.%ld %ld.%ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
           st.st_mtim.tv_nsec);
    struct dirent **list;
    int n = scandir(".", &list, NULL, by_name);
    for (int i = 0; i < n; i++)
        printf("%s %d\n", list[i]->d_name, list[i]->d_type);
    int fd = open("f", O_RDWR);
    show("unlink", unlink("f") | unlink("e/l"));
    fstat(fd, &st);
    printf("links %ld\n", (long)st.st_nlink);
    show("write to an unlinked", write(fd, "still here", 10));
    show("statx", statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &(struct statx){0}));
}

static void pipes(void) {
    int ends[2];
    char text[8192];
    show("pipe2", pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    show("read empty", read(ends[0], text, 10));
    long all = 0, n;
    while ((n = write(ends[1], text, 4096)) > 0)
        all += n;
    printf("took %ld, then %s\n", all, strerrorname_np(errno));
    int bytes;
    ioctl(ends[0], FIONREAD, &bytes);
    printf("FIONREAD %d\n", bytes);
    show("seek", lseek(ends[0], 0, SEEK_SET));
    struct pollfd fds[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLOUT}};
    show("poll", poll(fds, 2, 0));
    printf("%#x %#x\n", fds[0].revents, fds[1].revents);
    close(ends[1]);
    while ((n = read(ends[0], text, sizeof text)) > 0)
        all -= n;
    printf("left %ld, end %ld\n", all, n);
    poll(fds, 1, 0);
    printf("%#x\n", fds[0].revents);
    show("F_GETPIPE_SZ", fcntl(ends[0], F_GETPIPE_SZ));
}

int main(void) {
    umask(022);
    char place[] = "/tmp/quire-files.XXXXXX";
    if (!mkdtemp(place) || chdir(place))
        return 1;
    opens();
    reads_and_writes();
    names();
    pipes();
    return system("rm -rf \"$PWD\"") != 0;
}
