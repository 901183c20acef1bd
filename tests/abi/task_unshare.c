/* task_unshare.c - descriptors shared by CLONE_FILES, and what undoes that: execve and unshare. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static void show(const char *what, long result) { printf("%s -> %s\n", what, error_of(result)); }

static pid_t sharing(void) {
    fflush(stdout);
    return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, NULL, NULL, 0);
}

int main(void) {
    int fd = dup(0) >= 0 ? fcntl(1, F_DUPFD, 20) : -1;
    pid_t pid = sharing();
    if (pid == 0) {
        close(fd);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    printf("closed by one that shares: %s\n", fcntl(fd, F_GETFD) < 0 ? "closed" : "open");
    fd = fcntl(1, F_DUPFD, 20);
    pid = sharing();
    if (pid == 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    printf("closed by its execve: %s\n", fcntl(fd, F_GETFD) < 0 ? "closed" : "open");
    pid = sharing();
    if (pid == 0) {
        show("unshare files", unshare(CLONE_FILES));
        fflush(stdout);
        close(fd);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    printf("closed by one that shares no more: %s\n", fcntl(fd, F_GETFD) < 0 ? "closed" : "open");
    show("unshare nothing", unshare(0));
    show("unshare threads", unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM));
    show("unshare semaphores", unshare(CLONE_SYSVSEM));
    show("unshare what is not", unshare(CLONE_PARENT));
    show("setns, no descriptor", setns(99, 0));
    show("setns, another file", setns(1, 0));
    return 0;
}
