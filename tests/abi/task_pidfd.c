/* task_pidfd.c - descriptors of processes: made by pidfd_open and clone, waited for, signalled, asked for files. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static void show(const char *what, long result) { printf("%s -> %s\n", what, error_of(result)); }

static pid_t sleeper(void) {
    fflush(stdout);
    pid_t pid = fork();
    while (pid == 0)
        pause();
    return pid;
}

static void wait_for(const char *what, int fd, int options) {
    siginfo_t i;
    memset(&i, 0, sizeof i);
    long result = waitid((idtype_t)P_PIDFD, (id_t)fd, &i, options);
    printf("%s -> %s code %d status %d\n", what, error_of(result), i.si_code, i.si_status);
}

static void signals(void) {
    pid_t pid = sleeper();
    int fd = (int)syscall(SYS_pidfd_open, pid, 0), null = open("/dev/null", O_RDWR);
    siginfo_t i;
    memset(&i, 0, sizeof i);
    i.si_signo = SIGUSR1;
    show("nothing", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    show("no such signal", syscall(SYS_pidfd_send_signal, fd, 99, NULL, 0));
    show("flags", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 1));
    show("not a pidfd", syscall(SYS_pidfd_send_signal, null, 0, NULL, 0));
    show("no descriptor", syscall(SYS_pidfd_send_signal, 99, 0, NULL, 0));
    for (const char **name = (const char *[]){"/proc", "/proc/self", "/proc/self/fd", "/proc/self/task", "/tmp", NULL};
         *name; name++)
        show(*name, syscall(SYS_pidfd_send_signal, open(*name, O_RDONLY | O_DIRECTORY), 0, NULL, 0));
    show("watching nothing", fcntl(null, F_NOTIFY, DN_MULTISHOT));
    show("another's number", syscall(SYS_pidfd_send_signal, fd, SIGUSR2, &i, 0));
    show("as the kernel", syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &i, 0));
    wait_for("not yet", fd, WEXITED | WNOHANG);
    show("SIGTERM", syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    wait_for("left", fd, WEXITED | WNOWAIT);
    show("a zombie", syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    wait_for("taken", fd, WEXITED);
    wait_for("again", fd, WEXITED);
    show("gone", syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    wait_for("not a pidfd", null, WEXITED);
    wait_for("no descriptor", 99, WEXITED);
    close(fd);
    pid = sleeper();
    fd = (int)syscall(SYS_pidfd_open, pid, O_NONBLOCK);
    wait_for("not blocking", fd, WEXITED);
    wait_for("not blocking, WNOHANG", fd, WEXITED | WNOHANG);
    kill(pid, SIGKILL);
    struct pollfd p = {fd, POLLIN | POLLRDNORM, 0};
    poll(&p, 1, -1);
    printf("poll -> %#x\n", (unsigned)p.revents);
    wait_for("ready", fd, WEXITED);
    close(fd);
    close(null);
}

static void files(void) {
    int ends[2], got;
    if (pipe(ends))
        return;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int other = open("/dev/null", O_RDONLY);
        dup2(other, 50);
        (void)!write(ends[1], "x", 1);
        while (1)
            pause();
    }
    char c;
    (void)!read(ends[0], &c, 1);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    show("flags", syscall(SYS_pidfd_getfd, fd, 50, 1));
    show("none there", syscall(SYS_pidfd_getfd, fd, 51, 0));
    show("not a pidfd", syscall(SYS_pidfd_getfd, ends[0], 50, 0));
    got = (int)syscall(SYS_pidfd_getfd, fd, 50, 0);
    show("its file", got);
    printf("reads %zd, close on exec %d\n", read(got, &c, 1), fcntl(got, F_GETFD));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    show("gone", syscall(SYS_pidfd_getfd, fd, 50, 0));
}

static void clones(void) {
    int fd = -1;
    fflush(stdout);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0);
    if (pid == 0)
        _exit(fcntl(fd, F_GETFD) == -1 ? 7 : 8);
    printf("clone: close on exec %d\n", fcntl(fd, F_GETFD));
    wait_for("clone", fd, WEXITED);
    close(fd);
    show("with a parent's tid", syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0));
    show("of a thread", syscall(SYS_clone, CLONE_PIDFD | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, &fd, 0, 0));
    show("to nowhere", syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, 8, 0, 0));
    show("nobody was made", waitpid(-1, NULL, 0));
    struct clone_args a = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&fd};
    pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0)
        _exit(9);
    wait_for("clone3", fd, WEXITED);
}

int main(void) {
    signals();
    files();
    clones();
    return 0;
}
