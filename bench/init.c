/* init.c - the first program of the Linux that is measured: gives the program that follows `--` on the kernel's command
 * line what it has on Quire too (/proc, a tmpfs at /dev/shm), runs it as its child, says how it ended, and ends the
 * machine. First it loads the modules in /modules, named so that their order is that of loading.
 *
 * Of the kernel's command line: lru_gen=y or n, zram=SIZE (compressed by LZ4). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "modules.h"

static void end(const char *what, int status) {
    printf("\n== %s %d\n", what, status);
    fflush(stdout);
    tcdrain(STDOUT_FILENO);
    reboot(RB_AUTOBOOT);
    _exit(1);
}

static void give(const char *type, const char *where) {
    mkdir(where, 0755);
    if (mount(type, where, type, 0, ""))
        end(where, 125);
}

static void set(const char *file, const char *value) {
    int fd = open(file, O_WRONLY);
    if (fd < 0 || dprintf(fd, "%s", value) < 0 || close(fd))
        end(file, 125);
}

int main([[maybe_unused]] int count, char **word) {
    int status;
    do /* before our words come those of the kernel's that nobody took (nokaslr) */
        word++;
    while (*word && **word != '/');
    give("proc", "/proc");
    give("devtmpfs", "/dev");
    give("tmpfs", "/dev/shm");
    give("sysfs", "/sys");
    const char *failed = load_modules();
    if (failed)
        end(failed, 125);
    if (getenv("lru_gen"))
        set("/sys/kernel/mm/lru_gen/enabled", getenv("lru_gen"));
    if (getenv("zram")) {
        set("/sys/block/zram0/comp_algorithm", "lz4");
        set("/sys/block/zram0/disksize", getenv("zram"));
    }
    printf("== begin\n");
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        execv(word[0], word);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        end("fork", 125);
    end("end", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}
