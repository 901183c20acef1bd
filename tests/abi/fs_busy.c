/* fs_busy.c - a program that runs cannot be written or cut, by any way (ETXTBSY); and what is no mount cannot be
 * unmounted, also when it has no place in the tree. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, long result) {
    printf("%s -> %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

int main(int argc, char **argv) {
    if (argc > 1) { /* the copy */
        show("open to write", open("copy", O_WRONLY));
        show("open to read and write", open("copy", O_RDWR));
        show("open to read, cutting", open("copy", O_RDONLY | O_TRUNC));
        show("open to read, making", open("copy", O_RDONLY | O_CREAT, 0700));
        show("truncate", truncate("copy", 10));
        show("rename", rename("copy", "other"));
        show("unlink", unlink("other"));
        return 0;
    }
    static char buffer[65536];
    int from = open("/proc/self/exe", O_RDONLY), to = open("copy", O_WRONLY | O_CREAT, 0700);
    for (ssize_t n; (n = read(from, buffer, sizeof(buffer))) > 0;)
        if (write(to, buffer, (size_t)n) != n)
            return 1;
    int ends[2];
    char name[40];
    if (pipe(ends))
        return 1;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
    show("umount of a pipe", umount2(name, 0));
    show("umount of a directory", umount2("/proc/self", 0));
    show("execute what is open to write", execl("copy", "copy", "x", NULL));
    close(to);
    fflush(stdout);
    execl("copy", "copy", "x", NULL);
    return 1;
}
