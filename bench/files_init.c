/* files_init.c - the first program of Debian's Linux in bench/files: loads the modules that a root by 9p needs, mounts
 * it read-only with the cache that the comparison is about, and runs the script there.
 *
 * argv[1]: the script, a file of the host's. The modules lie in /modules, named so that their order is the order of
 * loading. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "modules.h"

#define OPTIONS "trans=virtio,version=9p2000.L,cache=loose,msize=495616"

static void fail(const char *what) {
    perror(what);
    reboot(RB_AUTOBOOT);
}

int main(int argc, char **argv) {
    int status = 1;
    const char *failed = load_modules();
    if (failed)
        fail(failed);
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
