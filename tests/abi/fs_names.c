/* fs_names.c - names: what of the host's own files can be renamed, hidden and made again, and what walks answer. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void show(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : "");
}

static int make(const char *name, const char *text) {
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
    int n = fd < 0 ? -1 : (int)write(fd, text, strlen(text));
    close(fd);
    return n;
}

static void print(const char *name) {
    char text[64] = "";
    int fd = open(name, O_RDONLY);
    long n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    printf("%s has: %s\n", name, n < 0 ? strerrorname_np(errno) : text);
    if (fd >= 0)
        close(fd);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void list(const char *dir) {
    struct dirent **entries;
    int n = scandir(dir, &entries, NULL, by_name);
    printf("%s:", dir);
    for (int i = 0; i < n; i++)
        printf(" %s/%d", entries[i]->d_name, entries[i]->d_type);
    printf("\n");
}

static void moves(void) {
    mkdir("a", 0755);
    mkdir("a/b", 0755);
    mkdir("c", 0755);
    show("make", make("a/b/f", "one"));
    show("directory to another parent", rename("a/b", "c/b"));
    list("a");
    list("c");
    print("c/b/f");
    chdir("c/b");
    show("chdir up", chdir(".."));
    list(".");
    chdir("..");
    show("into its own child", rename("c", "c/b/x"));
    show("over a full directory", rename("a", "c"));
    show("over an empty one", mkdir("e", 0700) | rename("c", "e"));
    list(".");
    show("exchange", renameat2(AT_FDCWD, "a", AT_FDCWD, "e/b/f", RENAME_EXCHANGE));
    list("e/b");
    print("a");
    show("dot", rename("e/.", "x"));
    show("dotdot", rename("e/b/..", "x"));
    show("file with a slash", rename("a/", "x"));
    show("file to a name with a slash", rename("a", "x/"));
    show("directory to a name with a slash", rename("e", "x/"));
    show("noreplace", renameat2(AT_FDCWD, "x", AT_FDCWD, "a", RENAME_NOREPLACE));
    show("bad flags", renameat2(AT_FDCWD, "x", AT_FDCWD, "y", 1 << 20));
    list(".");
}

static void removals(void) {
    show("make", make("r", "first"));
    int fd = open("r", O_RDWR);
    show("unlink", unlink("r"));
    show("make again", make("r", "second"));
    char text[16] = "";
    show("old one still reads", pread(fd, text, 15, 0));
    puts(text);
    print("r");
    show("unlink with a slash", unlink("r/"));
    show("unlink dot", unlink("."));
    show("rmdir dot", rmdir("."));
    show("rmdir dotdot", rmdir("x/.."));
    show("rmdir full", rmdir("x/b"));
    mkdir("gone", 0755);
    int dir = open("gone", O_RDONLY | O_DIRECTORY);
    chdir("gone");
    show("rmdir the working directory", rmdir("../gone"));
    show("make in it", open("f", O_CREAT | O_WRONLY, 0600));
    show("mkdir in it", mkdirat(dir, "d", 0700));
    show("getcwd", getcwd(text, 16) ? 0 : -1);
    show("list", syscall(SYS_getdents64, dir, (char[1024]){0}, 1024));
    show("leave", chdir(".."));
    struct stat st;
    fstat(dir, &st);
    printf("links %ld\n", (long)st.st_nlink);
}

static void links(void) {
    char text[300], target[PATH_MAX];
    show("make", make("l1", "linked"));
    show("link", link("l1", "l2"));
    show("link over", link("l1", "l2"));
    struct stat a, b;
    stat("l1", &a);
    stat("l2", &b);
    printf("same %d links %ld\n", a.st_ino == b.st_ino, (long)a.st_nlink);
    show("rename to another name of it", rename("l1", "l2"));
    show("both stay", access("l1", F_OK) | access("l2", F_OK));
    show("symlink", symlink("l1", "s1"));
    show("symlink to a symlink", symlink("s1", "s2"));
    print("s2");
    show("dangling", symlink("not/there", "s3"));
    show("open dangling", open("s3", O_RDONLY));
    show("make through dangling", symlink("made", "s4") | (open("s4", O_CREAT | O_WRONLY, 0600) > 0));
    show("made", access("made", F_OK));
    show("exclusively through a link", open("s4", O_CREAT | O_EXCL | O_WRONLY, 0600));
    show("mkdir over a link", mkdir("s3", 0700));
    show("link to a link", link("s2", "s5"));
    show("readlink", readlink("s5", text, sizeof text));
    show("readlink short", readlink("s5", text, 1));
    show("readlink of a file", readlink("l1", text, sizeof text));
    show("readlink of no name", readlink("", text, sizeof text));
    show("readlink of a descriptor", readlinkat(open("s5", O_PATH | O_NOFOLLOW), "", text, sizeof text));
    show("readlink of a file's descriptor", readlinkat(open("l1", O_PATH), "", text, sizeof text));
    show("followed", linkat(AT_FDCWD, "s2", AT_FDCWD, "l3", AT_SYMLINK_FOLLOW));
    stat("l1", &a);
    printf("links %ld\n", (long)a.st_nlink);
    memset(target, 'x', sizeof target);
    target[PATH_MAX - 1] = 0;
    show("long target", symlink(target, "s6"));
    show("empty target", symlink("", "s7"));
    lstat("s1", &a);
    printf("link mode %o size %ld\n", a.st_mode, (long)a.st_size);
    show("through a directory link", symlink(".", "here") | access("here/here/here/l1", F_OK));
    show("link and slash", open("s1/", O_RDONLY));
    show("link to directory and slash", lstat("here/", &a));
    printf("directory %d\n", S_ISDIR(a.st_mode));
    show("open a link itself", open("s1", O_PATH | O_NOFOLLOW) > 0);
}

static long open2(const char *name, unsigned long flags, unsigned long resolve) {
    struct open_how how = {.flags = flags, .resolve = resolve};
    return syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how);
}

static long open2_at(int at, const char *name, unsigned long resolve) {
    struct open_how how = {.flags = O_PATH, .resolve = resolve};
    return syscall(SYS_openat2, at, name, &how, sizeof how);
}

static void walks(void) {
    char name[PATH_MAX + 8];
    show("slashes", access("//proc///self//", F_OK));
    show("above the root", access("/../../proc", F_OK));
    memset(name, 'a', 255);
    name[255] = 0;
    show("255 bytes", make(name, "x"));
    show("unlink it", unlink(name));
    name[255] = 'a';
    name[256] = 0;
    show("256 bytes", open(name, O_RDONLY));
    for (int i = 0; i < PATH_MAX; i += 2)
        memcpy(name + i, "./", 2);
    name[PATH_MAX - 1] = 0;
    show("4095 bytes", access(name, F_OK));
    name[PATH_MAX - 1] = '/';
    name[PATH_MAX] = 0;
    show("4096 bytes", access(name, F_OK));
    name[1000] = 0;
    show("a long link", symlink(name, "lg"));
    name[1000] = '.';
    memcpy(name, "lg/", 3);
    memset(name + 3, '/', PATH_MAX - 6);
    memcpy(name + PATH_MAX - 3, "lg", 3);
    show("4095 bytes that begin and end with it", access(name, F_OK));
    for (int i = 3; i < PATH_MAX - 3; i += 3)
        memcpy(name + i, "lg/", 3);
    name[3 * 41 - 1] = 0;
    show("41 of it", access(name, F_OK));
    name[3 * 40 - 1] = 0;
    show("40 of it", access(name, F_OK));
    unlink("lg");
    show("file as a directory", access("l1/.", F_OK));
    show("O_CREAT of a directory", open("x", O_CREAT | O_RDONLY, 0600));
    show("O_CREAT with a slash", open("new/", O_CREAT | O_WRONLY, 0600));
    show("O_DIRECTORY of a file", open("l1", O_DIRECTORY));
    show("O_DIRECTORY of a link itself", open("here", O_DIRECTORY | O_NOFOLLOW));
    show("O_CREAT of a directory that is not there", open("newdir", O_CREAT | O_DIRECTORY, 0700));
    show("what is there now", access("newdir", F_OK));
    show("make a name in proc", open("/proc/none", O_CREAT | O_WRONLY, 0600));
    show("of a process", open("/proc/self/none", O_CREAT | O_WRONLY, 0600));
    show("what is there", open("/proc/self/comm", O_CREAT | O_WRONLY, 0600) > 0);
    show("exclusively", open("/proc/self/comm", O_CREAT | O_EXCL | O_WRONLY, 0600));
    show("directory", mkdir("/proc/none", 0700));
    show("link", symlink("x", "/proc/sys/none"));
    show("move", rename("/proc/version", "/proc/none"));
    show("mkdir with a slash", mkdir("m/", 0700));
    show("mknod with a slash", mknod("n/", S_IFREG | 0600, 0));
    show("beneath", open2("x/b", O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH) > 0);
    show("not beneath", open2("x/../..", O_RDONLY, RESOLVE_BENEATH));
    show("no links", open2("s1", O_RDONLY, RESOLVE_NO_SYMLINKS));
    show("in root", open2("/x/b", O_RDONLY, RESOLVE_IN_ROOT) > 0);
    show("unknown flag", open2("x", 1UL << 40, 0));
    int proc = open("/proc", O_PATH), memory = open("/dev/shm", O_PATH);
    show("magic link beneath", open2_at(proc, "self/cwd", RESOLVE_BENEATH));
    show("magic link in root", open2_at(proc, "self/cwd", RESOLVE_IN_ROOT));
    show("no magic link", open2_at(proc, "self/cwd", RESOLVE_NO_MAGICLINKS));
    show("magic link to another file system", open2_at(proc, "self/cwd", RESOLVE_NO_XDEV));
    symlinkat("/", memory, "quire-up");
    show("link from the root, elsewhere", open2_at(memory, "quire-up", RESOLVE_NO_XDEV));
    unlinkat(memory, "quire-up", 0);
}

/* Flags that do not go together: refused by openat2, and by open only where they would do something else. */
static void disagreements(void) {
    static const struct {
        const char *name;
        unsigned long flags, resolve;
    } rows[] = {
        {"O_PATH alone", O_PATH, 0},
        {"O_PATH for a directory, not a link", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0},
        {"O_PATH to write", O_PATH | O_RDWR, 0},
        {"O_PATH to make", O_PATH | O_CREAT, 0},
        {"O_PATH exclusively", O_PATH | O_EXCL, 0},
        {"O_PATH | O_NOCTTY", O_PATH | O_NOCTTY, 0},
        {"O_PATH | O_DIRECT", O_PATH | O_DIRECT, 0},
        {"O_PATH | O_LARGEFILE", O_PATH | 0100000, 0},
        {"O_PATH without a name", O_PATH | O_TMPFILE | O_RDWR, 0},
        {"O_TMPFILE", O_TMPFILE | O_RDWR, 0},
        {"O_TMPFILE to write alone", O_TMPFILE | O_WRONLY, 0},
        {"O_TMPFILE to read", O_TMPFILE | O_RDONLY, 0},
        {"O_TMPFILE with a name", O_TMPFILE | O_RDWR | O_CREAT, 0},
        {"O_TMPFILE exclusively", O_TMPFILE | O_RDWR | O_EXCL, 0},
        {"O_TMPFILE without O_DIRECTORY", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0},
        {"unknown way", O_RDONLY, 0x1337},
        {"unknown way of O_PATH", O_PATH, 0x1000},
        {"beneath and in root", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        long fd = open2(".", rows[i].flags, rows[i].resolve);
        show(rows[i].name, fd < 0 ? fd : 0);
        if (fd >= 0)
            printf("%s shows %x\n", rows[i].name, fcntl((int)fd, F_GETFL));
        close((int)fd);
        if (rows[i].resolve)
            continue;
        fd = open(".", (int)rows[i].flags, 0600);
        printf("open: %s -> %s\n", rows[i].name, fd < 0 ? strerrorname_np(errno) : "opened");
        close((int)fd);
    }
}

int main(void) {
    umask(022);
    moves();
    removals();
    links();
    walks();
    disagreements();
    list(".");
    return 0;
}
