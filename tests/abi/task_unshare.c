/* task_unshare.c - descriptors and directories shared by CLONE_FILES and CLONE_FS, between processes and between
 * threads, and what undoes that: execve and unshare. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static void show(const char *what, long result) { printf("%s -> %s\n", what, error_of(result)); }

static pid_t sharing(void) {
    fflush(stdout);
    return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, NULL, NULL, 0);
}

static const char *where(void) {
    static __thread char text[100];
    return getcwd(text, sizeof text) ? strrchr(text, '/') : "?";
}

static int held;

static void *of_its_own(void *unused) {
    (void)unused;
    show("a thread's CLONE_FS", unshare(CLONE_FS));
    show("chdir", chdir("/proc"));
    umask(077);
    printf("the thread is in -> %s\n", where());
    show("a thread's CLONE_FILES", unshare(CLONE_FILES));
    close(held);
    printf("closed by it -> %s\n", fcntl(held, F_GETFD) < 0 ? "closed" : "open");
    show("threads may not", unshare(CLONE_VM));
    return NULL;
}

static int raw_thread(void *unused) {
    (void)unused;
    close(held);
    syscall(SYS_chdir, "/sys");
    return 0;
}

/* A thread that has neither descriptors nor directories in common. */
static void cloned_apart(void) {
    static int ended = 1;
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID;
    show("a thread apart", clone(raw_thread, stack + 65536, flags, NULL, NULL, NULL, &ended) < 0 ? -1 : 0);
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &ended, FUTEX_WAIT, 1, NULL, NULL, 0);
}

static void *sleeps(void *unused) {
    (void)unused;
    pause();
    return NULL;
}

/* execve of one of several threads: its locks stay, whatever the others still held when they died. */
static void locks_stay(void) {
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10}, seen = l;
    int fd = open("locked", O_RDWR | O_CREAT, 0600), ready[2], go[2], c = 0;
    char text[10];
    if (fd < 0 || pipe(ready) || pipe(go))
        abort();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        fcntl(fd, F_SETLK, &l);
        for (int i = 0; i < 4; i++)
            pthread_create(&thread, NULL, sleeps, NULL);
        dup2(ready[1], 1);
        snprintf(text, sizeof text, "%d", go[0]);
        execl("/bin/sh", "sh", "-c", "echo; read x <&$0", text, NULL);
        _exit(1);
    }
    if (read(ready[0], &c, 1) != 1)
        abort();
    fcntl(fd, F_GETLK, &seen);
    printf("locked across execve of several threads -> %s\n", seen.l_type == F_UNLCK ? "no"
                                                              : seen.l_pid == pid    ? "yes"
                                                                                     : "?");
    if (write(go[1], "\n", 1) != 1)
        abort();
    waitpid(pid, NULL, 0);
    unlink("locked");
}

static void threads(void) {
    pthread_t thread;
    held = fcntl(1, F_DUPFD, 30);
    show("chdir", chdir("/dev"));
    umask(022);
    pthread_create(&thread, NULL, of_its_own, NULL);
    pthread_join(thread, NULL);
    printf("the others are in -> %s, umask %o, descriptor %s\n", where(), umask(022),
           fcntl(held, F_GETFD) < 0 ? "closed" : "open");
    cloned_apart();
    printf("and then -> %s, descriptor %s\n", where(), fcntl(held, F_GETFD) < 0 ? "closed" : "open");
}

int main(void) {
    locks_stay();
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
    threads();
    return 0;
}
