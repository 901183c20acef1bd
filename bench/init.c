/* init.c - the first program of the Linux that is measured: gives the program that follows `--` on the kernel's command
 * line what it has on Quire too (/proc, a tmpfs at /dev/shm), runs it as its child, says how it ended, and ends the
 * machine. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

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

int main([[maybe_unused]] int count, char **word) {
    int status;
    do /* before our words come those of the kernel's that nobody took (nokaslr) */
        word++;
    while (*word && **word != '/');
    give("proc", "/proc");
    give("devtmpfs", "/dev");
    give("tmpfs", "/dev/shm");
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
