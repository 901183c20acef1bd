/* files_init.c - the first program of Debian's Linux in bench/files: loads the modules that a root by 9p needs, mounts
 * it read-only with the cache that the comparison is about, and runs the script there.
 *
 * argv[1]: the script, a file of the host's. The modules lie in /modules, named so that their order is the order of
 * loading. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS "trans=virtio,version=9p2000.L,cache=loose,msize=495616"

static void fail(const char *what) {
    perror(what);
    reboot(RB_AUTOBOOT);
}

static void load_modules(void) {
    struct dirent **names;
    int count = scandir("/modules", &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[300];
        snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
        int fd = open(path, O_RDONLY);
        if (names[i]->d_name[0] != '.' && syscall(SYS_finit_module, fd, "", 0))
            fail(path);
        close(fd);
    }
}

int main(int argc, char **argv) {
    int status = 1;
    load_modules();
    mkdir("/root", 0755);
    if (mount("root", "/root", "9p", MS_RDONLY, OPTIONS) || mount("proc", "/root/proc", "proc", 0, NULL) ||
        mount("devtmpfs", "/root/dev", "devtmpfs", 0, NULL) || mount("tmpfs", "/root/run", "tmpfs", 0, NULL))
        fail("mount");
    if (chroot("/root") || chdir("/") || argc < 2)
        fail("chroot");
    if (!fork()) {
        char *environment[] = {"PATH=/usr/bin:/bin", "HOME=/", "TMPDIR=/run", NULL};
        execle("/bin/sh", "sh", argv[1], NULL, environment);
        _exit(127);
    }
    wait(&status);
    printf("== end %d\n", status);
    fflush(stdout);
    return reboot(RB_AUTOBOOT);
}
