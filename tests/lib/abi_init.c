/* abi_init.c - the first program of the machine that records (tests/abi/record): it runs every program that it finds in
 * /abi, twice, each time in a new and empty /tmp/work, and writes what came of it to the second serial port:
 *
 *     NAME TURN STATUS OUT ERR\n      STATUS as a shell's; OUT and ERR: lengths in bytes
 *     OUT bytes of standard output, ERR bytes of standard error
 *
 * and, when all have run, "end 0 0 0 0\n". It does not judge. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MOST (1 << 20)   /* bytes of one stream: more is cut */
#define LATE (60 * 1000) /* ms: a program that says nothing for so long is ended */

static FILE *wire;

struct stream {
    int fd;
    size_t bytes;
    char text[MOST];
};
static struct stream out, err;

static void fail(const char *what) {
    perror(what);
    reboot(RB_POWER_OFF);
}

static void world(void) {
    mkdir("/proc", 0555), mkdir("/sys", 0555), mkdir("/dev", 0755), mkdir("/tmp", 01777);
    if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL) ||
        mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) || mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"))
        fail("mount");
    mkdir("/dev/shm", 01777);
    mkdir("/dev/pts", 0755);
    mkdir("/tmp/work", 0755);
    if (mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") ||
        mount("devpts", "/dev/pts", "devpts", 0, "gid=5,mode=0620") || !(wire = fopen("/dev/ttyS1", "w")))
        fail("/dev");
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &lo))
        fail("lo");
    struct termios raw;
    tcgetattr(fileno(wire), &raw);
    cfmakeraw(&raw);
    tcsetattr(fileno(wire), TCSANOW, &raw);
}

/* The child of run(): the program, alone in its session, in an empty directory. */
static void program(const char *path, int to, int errors) {
    char *argv[] = {(char *)path, NULL}, *env[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL};
    int in[2];
    setsid();
    umask(022);
    if (pipe(in) || dup2(in[0], 0) < 0 || dup2(to, 1) < 0 || dup2(errors, 2) < 0 || chdir("/tmp/work"))
        _exit(126);
    close_range(3, ~0u, 0);
    execve(path, argv, env);
    _exit(127);
}

/* Reads both streams to their end. A program that is late is killed, and what it left running with it. */
static void collect(pid_t pid) {
    struct pollfd p[2] = {{out.fd, POLLIN, 0}, {err.fd, POLLIN, 0}};
    struct stream *streams[2] = {&out, &err};
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        if (poll(p, 2, LATE) <= 0)
            kill(-pid, SIGKILL);
        for (int i = 0; i < 2; i++) {
            struct stream *s = streams[i];
            ssize_t n = p[i].revents ? read(s->fd, s->text + s->bytes, MOST - s->bytes) : -1;
            if (n > 0)
                s->bytes += (size_t)n;
            else if (n == 0)
                p[i].fd = -1;
        }
    }
}

static void run(const char *name, int turn) {
    char path[300];
    int o[2], e[2], status = 0;
    snprintf(path, sizeof path, "/abi/%s", name);
    if (mount("tmpfs", "/tmp/work", "tmpfs", 0, "mode=0755") || pipe2(o, O_CLOEXEC) || pipe2(e, O_CLOEXEC))
        fail("run");
    pid_t pid = fork();
    if (pid == 0)
        program(path, o[1], e[1]);
    close(o[1]), close(e[1]);
    out.fd = o[0], err.fd = e[0], out.bytes = err.bytes = 0;
    collect(pid);
    waitpid(pid, &status, 0);
    while (waitpid(-1, NULL, WNOHANG) > 0) /* orphans that came to us */
        ;
    close(o[0]), close(e[0]);
    umount2("/tmp/work", MNT_DETACH);
    status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    fprintf(wire, "%s %d %d %zu %zu\n", name, turn, status, out.bytes, err.bytes);
    fwrite(out.text, 1, out.bytes, wire);
    fwrite(err.text, 1, err.bytes, wire);
    fflush(wire);
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

int main(void) {
    struct dirent **list;
    world();
    int n = scandir("/abi", &list, visible, alphasort);
    for (int i = 0; i < n; i++) {
        printf("%s\n", list[i]->d_name);
        run(list[i]->d_name, 1);
        run(list[i]->d_name, 2);
    }
    fprintf(wire, "end 0 0 0 0\n");
    fflush(wire);
    tcdrain(fileno(wire));
    reboot(RB_POWER_OFF);
}
