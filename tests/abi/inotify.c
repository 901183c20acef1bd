/* inotify.c - every event of inotify(7), as the reads give them: names, cookies, order, merging, the masks that change
 * watches, ends of watches, overflow. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static int in;

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld\n", what, result);
}

static void mask_text(unsigned mask) {
    static const struct {
        unsigned bit;
        const char *name;
    } bits[] = {{IN_ACCESS, "ACCESS"},
                {IN_MODIFY, "MODIFY"},
                {IN_ATTRIB, "ATTRIB"},
                {IN_CLOSE_WRITE, "CLOSE_WRITE"},
                {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"},
                {IN_OPEN, "OPEN"},
                {IN_MOVED_FROM, "MOVED_FROM"},
                {IN_MOVED_TO, "MOVED_TO"},
                {IN_CREATE, "CREATE"},
                {IN_DELETE, "DELETE"},
                {IN_DELETE_SELF, "DELETE_SELF"},
                {IN_MOVE_SELF, "MOVE_SELF"},
                {IN_UNMOUNT, "UNMOUNT"},
                {IN_Q_OVERFLOW, "Q_OVERFLOW"},
                {IN_IGNORED, "IGNORED"},
                {IN_ISDIR, "ISDIR"}};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (mask & bits[i].bit)
            printf(" %s", bits[i].name);
}

/* What came since the last call. */
static void events(const char *what) {
    char buffer[8192] __attribute__((aligned(8)));
    static unsigned cookie;
    ssize_t n;
    printf("%s ->", what);
    while ((n = read(in, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event *e = (void *)(buffer + at);
            printf(" [%d", e->wd);
            mask_text(e->mask);
            if (e->len)
                printf(" %s/%u", e->name, e->len);
            if (e->cookie && e->mask & IN_MOVED_TO)
                printf(" %s cookie", e->cookie == cookie ? "same" : "other");
            cookie = e->cookie;
            printf("]");
            at += sizeof *e + e->len;
        }
    }
    printf("\n");
}

static void file(const char *name, const char *text) {
    int fd = open(name, O_CREAT | O_WRONLY, 0644);
    (void)!write(fd, text, strlen(text));
    close(fd);
}

static void in_directory(void) {
    char b[10];
    struct timeval times[2] = {{1, 0}, {2, 0}};
    struct timespec only[2] = {{5, 0}, {0, UTIME_OMIT}};
    mkdir("dir", 0755);
    say("watch", inotify_add_watch(in, "dir", IN_ALL_EVENTS));
    file("dir/file", "text");
    events("make and write");
    int fd = open("dir/file", O_RDWR);
    (void)!read(fd, b, 2);
    (void)!read(fd, b, 2);
    (void)!write(fd, "x", 1);
    (void)!ftruncate(fd, 1);
    fchmod(fd, 0600);
    close(fd);
    events("open, read twice, write, truncate, chmod, close");
    close(open("dir/file", O_WRONLY | O_TRUNC));
    events("open to truncate");
    utimes("dir/file", times);
    events("both times");
    utimensat(AT_FDCWD, "dir/file", only, 0);
    events("one time");
    link("dir/file", "dir/second");
    events("link");
    symlink("file", "dir/symbolic");
    events("symbolic link");
    mkdir("dir/sub", 0755);
    events("directory");
    close(open("dir/sub", O_RDONLY | O_DIRECTORY));
    events("open it");
    chmod("dir", 0700);
    events("chmod of the directory itself");
    rename("dir/file", "dir/renamed");
    events("rename");
    rename("dir/sub", "dir/renamed-directory");
    events("rename a directory");
    rename("dir/renamed", "away");
    events("move away");
    rename("away", "dir/second");
    events("two names of one file");
    unlink("away");
    events("removed elsewhere");
    file("other", "y");
    rename("other", "dir/second");
    events("move over");
    unlink("dir/second");
    events("unlink");
    rmdir("dir/renamed-directory");
    events("rmdir");
    unlink("dir/symbolic");
    events("unlink the symbolic link");
    rmdir("dir");
    events("the directory itself");
    say("forget it", inotify_rm_watch(in, 1));
}

static void on_file(void) {
    file("file", "text");
    int w = inotify_add_watch(in, "file", IN_ALL_EVENTS);
    printf("its number -> %d\n", w);
    say("the same again", inotify_add_watch(in, "file", IN_OPEN) - w);
    close(open("file", O_RDONLY));
    events("only opening");
    say("IN_MASK_ADD", inotify_add_watch(in, "file", IN_CLOSE | IN_MASK_ADD) - w);
    close(open("file", O_RDONLY));
    events("closing too");
    say("IN_MASK_CREATE", inotify_add_watch(in, "file", IN_CLOSE | IN_MASK_CREATE));
    say("both", inotify_add_watch(in, "file", IN_CLOSE | IN_MASK_CREATE | IN_MASK_ADD));
    inotify_add_watch(in, "file", IN_ALL_EVENTS);
    rename("file", "moved");
    events("moved");
    link("moved", "second");
    events("a second name");
    unlink("second");
    events("and not");
    int fd = open("moved", O_RDWR);
    events("open");
    unlink("moved");
    events("unlinked while open");
    (void)!write(fd, "z", 1);
    events("write to it");
    close(fd);
    events("closed");
}

static void special(void) {
    int w, fd;
    file("file", "text");
    w = inotify_add_watch(in, "file", IN_OPEN | IN_ONESHOT);
    close(open("file", O_RDONLY));
    close(open("file", O_RDONLY));
    events("once");
    say("is gone", inotify_rm_watch(in, w));
    w = inotify_add_watch(in, "file", IN_OPEN);
    say("rm_watch", inotify_rm_watch(in, w));
    events("rm_watch");
    mkdir("dir", 0755);
    file("dir/a", "");
    inotify_add_watch(in, "dir", IN_ALL_EVENTS | IN_EXCL_UNLINK);
    fd = open("dir/a", O_RDWR);
    unlink("dir/a");
    (void)!write(fd, "x", 1);
    close(fd);
    events("IN_EXCL_UNLINK");
    rmdir("dir");
    events("end");
    symlink("file", "link");
    say("IN_DONT_FOLLOW", inotify_add_watch(in, "link", IN_ALL_EVENTS | IN_DONT_FOLLOW) > 0);
    close(open("link", O_RDONLY));
    unlink("link");
    events("the link");
    say("IN_ONLYDIR", inotify_add_watch(in, "file", IN_ALL_EVENTS | IN_ONLYDIR));
    say("no event", inotify_add_watch(in, "file", 0));
    say("no such file", inotify_add_watch(in, "none", IN_OPEN));
    say("bad address", inotify_add_watch(in, (void *)8, IN_OPEN));
    say("no inotify", inotify_add_watch(0, "file", IN_OPEN));
    say("bad descriptor", inotify_add_watch(99, "file", IN_OPEN));
    say("rm_watch of no inotify", inotify_rm_watch(0, 1));
    say("rm_watch of none", inotify_rm_watch(in, 999));
    say("init1", inotify_init1(1));
    unlink("file");
}

static void reading(void) {
    char b[64];
    int n = -1;
    struct pollfd p = {.fd = in, .events = POLLIN | POLLOUT};
    mkdir("dir", 0755);
    inotify_add_watch(in, "dir", IN_CREATE | IN_DELETE_SELF);
    say("nothing", read(in, b, sizeof b));
    say("poll", poll(&p, 1, 0));
    file("dir/a-name-of-some-length", "");
    say("poll", poll(&p, 1, 0));
    printf("events -> %#x\n", p.revents);
    say("FIONREAD", ioctl(in, FIONREAD, &n));
    printf("it is -> %d\n", n);
    say("too small", read(in, b, 16));
    say("large enough", read(in, b, 48));
    say("nothing more", read(in, b, sizeof b));
    say("write", write(in, b, 1));
    say("lseek", lseek(in, 0, SEEK_SET));
    unlink("dir/a-name-of-some-length");
    rmdir("dir");
    events("end");
}

static void overflow(void) {
    char most[20] = "";
    int fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY);
    (void)!read(fd, most, sizeof most - 1);
    close(fd);
    int count = atoi(most), seen = 0, over = 0, last = 0;
    file("a", ""), file("b", "");
    int w = inotify_add_watch(in, "a", IN_OPEN);
    inotify_add_watch(in, "b", IN_OPEN);
    for (int i = 0; i < count + 10; i++)
        close(open(i & 1 ? "a" : "b", O_RDONLY));
    char buffer[16384] __attribute__((aligned(8)));
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < n; at += sizeof(struct inotify_event)) {
            struct inotify_event *e = (void *)(buffer + at);
            seen++;
            over += e->mask == IN_Q_OVERFLOW && e->wd == -1;
            last = e->mask == IN_Q_OVERFLOW;
        }
    printf("queue overflow -> %d more than the limit, %d overflows, last %d\n", seen - count, over, last);
    inotify_rm_watch(in, w);
    events("after it");
}

static void unmounting(void) {
    mkdir("mnt", 0755);
    if (mount("tmpfs", "mnt", "tmpfs", 0, ""))
        return;
    file("mnt/f", "");
    inotify_add_watch(in, "mnt/f", IN_ALL_EVENTS);
    say("umount", umount("mnt"));
    events("unmounted");
}

/* As many instances as a user may have, this program's first one included. */
static void instances(void) {
    int fds[256], count = 0;
    while (count < 256 && (fds[count] = inotify_init1(0)) >= 0)
        count++;
    printf("instances -> %d, then %s\n", count + 1, strerrorname_np(errno));
    while (count)
        close(fds[--count]);
}

int main(void) {
    setbuf(stdout, NULL);
    in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    say("init", in >= 0 ? 0 : -1);
    in_directory();
    on_file();
    special();
    reading();
    overflow();
    unmounting();
    instances();
    return 0;
}
