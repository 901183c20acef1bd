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

static void member(void) { show("member reads", try_open("bygroup", O_RDONLY)); }

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
    umask(077);
    close(open("masked", O_CREAT | O_WRONLY, 0666));
    mode("masked");
    mkdir("maskedd", 0777);
    mode("maskedd");
}

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
    root();
    return 0;
}
