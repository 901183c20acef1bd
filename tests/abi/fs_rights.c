/* fs_rights.c - who may: permission bits, owners, sticky directories, set-id bits, access with real ids. Needs to be
 * root; an ordinary user sees one line on both sides. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : "");
    fflush(stdout);
}

static int try_open(const char *name, int flags) {
    int fd = open(name, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static void mode(const char *name) {
    struct stat st;
    stat(name, &st);
    printf("%s: %o %d:%d\n", name, st.st_mode, st.st_uid, st.st_gid);
    fflush(stdout);
}

static void as(int uid, int gid, void (*run)(void)) {
    if (!fork()) {
        setgroups(0, NULL);
        if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
            _exit(1);
        run();
        _exit(0);
    }
    wait(NULL);
}

static void stranger(void) {
    show("read 0600", try_open("private", O_RDONLY));
    show("read 0644", try_open("public", O_RDONLY));
    show("write 0644", try_open("public", O_WRONLY));
    show("truncate 0644", truncate("public", 0));
    show("make", try_open("new", O_CREAT | O_WRONLY));
    show("unlink", unlink("public"));
    show("into 0700", access("closed/f", F_OK));
    show("into 0711", access("passage/f", F_OK));
    show("list 0711", try_open("passage", O_RDONLY));
    show("chmod", chmod("public", 0777));
    show("chown", chown("public", 1234, -1));
    show("times now", utimensat(AT_FDCWD, "public", NULL, 0));
    show("times then", utimensat(AT_FDCWD, "public", (struct timespec[2]){{1, 0}, {1, 0}}, 0));
    show("in the sticky one, another's", unlink("sticky/theirs"));
    show("in the sticky one, renamed", rename("sticky/theirs", "sticky/mine"));
    show("in the sticky one, own", unlink("sticky/own"));
    show("mknod", mknod("sticky/dev", S_IFCHR | 0600, 0x103));
    show("fifo", mkfifo("sticky/fifo", 0600));
    show("chroot", chroot("."));
    show("by group", try_open("bygroup", O_RDONLY));
    show("owner has less than others", try_open("backwards", O_RDONLY));
    show("access", access("bygroup", R_OK));
    show("access to run", access("public", X_OK));
    show("O_NOATIME", try_open("public", O_RDONLY | O_NOATIME));
    int fd = open("sticky/setid", O_CREAT | O_WRONLY, 0600);
    fchmod(fd, 06711);
    mode("sticky/setid");
    write(fd, "x", 1);
    mode("sticky/setid");
    fchmod(fd, 06711);
    show("chgrp to a stranger's group", fchown(fd, -1, 7777));
    mode("sticky/setid");
    show("chgrp to the own group", fchown(fd, -1, 1000));
    mode("sticky/setid");
}

static void same_file(void) {
    show("to the own name", rename("public", "public"));
    show("to another name of it", rename("public", "public2"));
    show("of a missing one", rename("missing", "public2"));
    show("to a free one", rename("public", "free"));
}

static void member(void) { show("member reads", try_open("bygroup", O_RDONLY)); }

static void links(void) {
    show("link to 0644 of another", link("public", "sticky/l1"));
    show("link to 0666 of another", link("sticky/theirs", "sticky/l2"));
    show("link to 0600 of another", link("private", "sticky/l3"));
    show("link to a FIFO of another", link("sticky/pipe", "sticky/l4"));
    show("link to 04666 of another", link("sticky/setuid", "sticky/l5"));
    show("link to 02676 of another", link("sticky/setgid", "sticky/l6"));
    show("link to the own, 0", link("sticky/none", "sticky/l7"));
    for (int i = 1; i < 8; i++) {
        char name[] = "sticky/l0";
        name[8] += i;
        unlink(name);
    }
}

static void follows(void) {
    char target[20];
    show("another's link where anybody makes names", try_open("sticky/tofile", O_RDONLY));
    show("and makes what it names", try_open("sticky/tonothing", O_CREAT | O_WRONLY));
    show("its target", readlink("sticky/tofile", target, sizeof target));
    show("in the middle", access("sticky/todirectory/f", F_OK));
    show("at the end, with a slash", access("sticky/todirectory/", F_OK));
    show("root's link there", access("sticky/roots", F_OK));
    show("to another's link there", access("tosticky", F_OK));
    show("another's link elsewhere", access("team/tofile", F_OK));
    unlink("made");
}

static void makes_links(void) {
    symlink("../public", "sticky/tofile");
    symlink("../made", "sticky/tonothing");
    symlink("../passage", "sticky/todirectory");
    symlink("../public", "team/tofile");
}

static void makes_to_run_as_group(void) {
    static const int modes[] = {02755, 02745, 06711, 0755};
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        char name[] = "team/a";
        name[5] += i;
        close(open(name, O_CREAT | O_WRONLY, modes[i]));
        mode(name);
        unlink(name);
    }
    mkdir("team/d", 0755);
    mode("team/d");
    rmdir("team/d");
    mknod("team/p", S_IFIFO | 02711, 0);
    mode("team/p");
    unlink("team/p");
    struct stat st = {0};
    fstat(open("team", O_TMPFILE | O_WRONLY, 02755), &st);
    printf("nameless: %o %d:%d\n", st.st_mode, st.st_uid, st.st_gid);
    fflush(stdout);
}

/* access(2) goes its whole way by the real ids, without what the effective ones may. */
static void real_ids(void) {
    if (!fork()) {
        setgroups(0, NULL);
        setresuid(1000, 0, 0);
        show("real: into 0700", access("closed/f", R_OK));
        show("real: whether it is there", access("closed/f", F_OK));
        show("effective: into 0700", faccessat(AT_FDCWD, "closed/f", R_OK, AT_EACCESS));
        show("real: into 0711", access("passage/f", R_OK));
        show("open", try_open("closed/f", O_RDONLY));
        _exit(0);
    }
    wait(NULL);
    if (!fork()) {
        setresuid(0, 1000, 0);
        show("root's real id: into 0700", access("closed/f", R_OK));
        show("open", try_open("closed/f", O_RDONLY));
        _exit(0);
    }
    wait(NULL);
}

/* A directory that changes its parent has its ".." written, by whichever end of an exchange. */
static void exchanges(void) {
    mkdir("team/x", 0755);
    mkdir("team/x/d", 0555);
    mknod("team/f", S_IFREG | 0600, 0);
    show("exchange for one that cannot be written",
         renameat2(AT_FDCWD, "team/f", AT_FDCWD, "team/x/d", RENAME_EXCHANGE));
    show("that for another", renameat2(AT_FDCWD, "team/x/d", AT_FDCWD, "team/f", RENAME_EXCHANGE));
    chmod("team/x/d", 0755);
    show("for one that can", renameat2(AT_FDCWD, "team/f", AT_FDCWD, "team/x/d", RENAME_EXCHANGE));
}

static void root(void) {
    show("root runs what nobody may", access("private", X_OK));
    show("root reads 0000", try_open("nothing", O_RDWR));
    chmod("private", 06755);
    chown("private", 5, 6);
    mode("private");
    mkdir("grouped", 0755);
    chown("grouped", 0, 42);
    chmod("grouped", 02755);
    mkdir("grouped/d", 0755);
    close(open("grouped/f", O_CREAT | O_WRONLY, 0666));
    mode("grouped/d");
    mode("grouped/f");
    struct timespec neither[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}}, bad[2] = {{0, UTIME_OMIT}, {0, -1}};
    show("times of no name", syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0));
    show("times of no name, old", syscall(SYS_utime, NULL, NULL));
    show("times of no name, older", syscall(SYS_futimesat, AT_FDCWD, NULL, NULL));
    show("times of no descriptor", syscall(SYS_utimensat, 99, NULL, NULL, 0));
    show("no times of what is not there", utimensat(AT_FDCWD, "missing", neither, 0));
    show("no times, flags", utimensat(AT_FDCWD, "missing", neither, 1));
    show("bad times", utimensat(AT_FDCWD, "public", bad, 0));
    umask(077);
    close(open("masked", O_CREAT | O_WRONLY, 0666));
    mode("masked");
    mkdir("maskedd", 0777);
    mode("maskedd");
}

/* Of a process that was root: what /proc has of it is root's, but its own descriptors it may still look at. */
static void own_descriptors(void) {
    int fd = open(".", O_RDONLY | O_DIRECTORY), path = open(".", O_PATH);
    char name[64], target[64];
    struct stat s;
    for (int n = 0; n < 2; n++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", n ? path : fd);
        show(n ? "by O_PATH's name" : "by a descriptor's name", try_open(name, O_RDONLY));
        show("read the link", readlink(name, target, sizeof target) > 0 ? 0 : -1);
        snprintf(name, sizeof name, "/proc/self/task/%d/fd/%d", getpid(), fd);
        show("by the thread's name", try_open(name, O_RDONLY));
    }
    show("list", try_open("/proc/self/fd", O_RDONLY));
    show("may it enter", access("/proc/self/fd", X_OK));
    show("list fdinfo", try_open("/proc/self/fdinfo", O_RDONLY));
    snprintf(name, sizeof name, "/proc/%d/fd", getppid());
    if (geteuid()) {
        show("list the parent's", try_open(name, O_RDONLY));
        strcat(name, "/0");
        show("by the parent's name", try_open(name, O_RDONLY));
    }
    static const char *const files[] = {"/proc/self/", "/proc/self/fd", "/proc/self/task", "/proc/self/status"};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        show("whose", stat(files[i], &s) ? -1 : (long)s.st_uid);
}

/* /dev is a file system like others. */
static void in_dev(void) {
    show("a pipe in /dev", mkfifo("/dev/abi", 0600));
    show("it is renamed", rename("/dev/abi", "/dev/ABI"));
    show("a link in /dev", symlink("ABI", "/dev/abi"));
    show("the link goes", unlink("/dev/abi"));
    show("the pipe goes", unlink("/dev/ABI"));
    show("a directory", mkdir("/dev/abi", 0700));
    show("it goes", rmdir("/dev/abi"));
    show("a mount point does not", rmdir("/dev/pts"));
    show("who may use null", chmod("/dev/null", 0666));
}
static void not_in_dev(void) { show("a pipe in /dev", mkfifo("/dev/abi", 0600)); }

int main(void) {
    if (geteuid()) {
        puts("not root");
        return 0;
    }
    umask(0);
    chmod(".", 0755);
    const struct {
        const char *name;
        int mode;
    } files[] = {{"private", 0600}, {"public", 0644}, {"bygroup", 0640}, {"backwards", 0077}, {"nothing", 0}};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        close(open(files[i].name, O_CREAT | O_WRONLY, files[i].mode));
    chown("bygroup", 0, 55);
    chown("backwards", 1000, 0);
    mkdir("closed", 0700);
    mkdir("passage", 0711);
    mkdir("sticky", 01777);
    close(open("closed/f", O_CREAT | O_WRONLY, 0644));
    close(open("passage/f", O_CREAT | O_WRONLY, 0644));
    close(open("sticky/theirs", O_CREAT | O_WRONLY, 0666));
    close(open("sticky/own", O_CREAT | O_WRONLY, 0666));
    chown("sticky/own", 1000, 1000);
    as(1000, 1000, stranger);
    as(1001, 55, member);
    mkfifo("sticky/pipe", 0666);
    mknod("sticky/setuid", S_IFREG | 0600, 0), chmod("sticky/setuid", 04666);
    mknod("sticky/setgid", S_IFREG | 0600, 0), chmod("sticky/setgid", 02676);
    mknod("sticky/none", S_IFREG, 0), chown("sticky/none", 1000, 1000);
    as(1000, 1000, links);
    links();
    mkdir("team", 0755);
    chown("team", 0, 42);
    chmod("team", 02777);
    symlink("../public", "sticky/roots");
    symlink("sticky/tofile", "tosticky");
    as(1000, 1000, makes_links);
    as(1001, 1001, follows);
    as(1000, 1000, follows);
    follows();
    as(1000, 1000, makes_to_run_as_group);
    as(1000, 42, makes_to_run_as_group);
    makes_to_run_as_group();
    real_ids();
    as(1000, 1000, exchanges);
    link("public", "public2");
    as(1000, 1000, same_file);
    root();
    as(1000, 1000, own_descriptors);
    own_descriptors();
    in_dev();
    as(1000, 1000, not_in_dev);
    return 0;
}
