/* mem_oom.c - /proc/PID/oom_score_adj and oom_adj: what they take, from whom, and who else it concerns. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *get(const char *path) {
    static char text[2][64];
    static int which;
    char *to = text[which ^= 1];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, to, sizeof(text[0]) - 1);
    close(fd);
    to[n > 0 ? n - (to[n - 1] == '\n') : 0] = 0;
    return to;
}

static void put_at(int fd, const char *file, const char *value) {
    const char *error = write(fd, value, strlen(value)) < 0 ? strerrorname_np(errno) : "ok";
    printf("write \"%s\" to %s -> %s; oom_score_adj %s", value, file, error, get("/proc/self/oom_score_adj"));
    printf(" oom_adj %s\n", get("/proc/self/oom_adj"));
}

static void put(const char *file, const char *value) {
    char path[64];
    sprintf(path, "/proc/self/%s", file);
    int fd = open(path, O_WRONLY);
    put_at(fd, file, value);
    close(fd);
}

static void apart(void (*f)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        f();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void values(void) {
    static const char *const of_adj[] = {"0", "1", "-1",  "1000", "-1000", "1001", "-1001",
                                         "",  "x", "12x", " 5",   "+7",    "0x10", "010"};
    static const char *const of_old[] = {"0", "1", "-1", "15", "-16", "-17", "16", "-18", "10", "x"};
    for (unsigned i = 0; i < sizeof(of_adj) / sizeof(*of_adj); i++)
        put("oom_score_adj", of_adj[i]);
    for (unsigned i = 0; i < sizeof(of_old) / sizeof(*of_old); i++)
        put("oom_adj", of_old[i]);
    put("oom_score_adj", "-1000");
    printf("oom_score with -1000 -> %s\n", get("/proc/self/oom_score"));
}

static void child_shows(void) { printf("a child -> %s\n", get("/proc/self/oom_score_adj")); }

static void inherited(void) {
    put("oom_score_adj", "321");
    apart(child_shows);
}

/* Who is nobody may raise it, and lower it to where somebody last set it. */
static void unprivileged(void) {
    int adj = open("/proc/self/oom_score_adj", O_WRONLY), old = open("/proc/self/oom_adj", O_WRONLY);
    put_at(adj, "oom_score_adj", "100");
    if (setgid(65534) || setuid(65534))
        perror("setuid");
    for (unsigned i = 0; i < 4; i++)
        put_at(adj, "oom_score_adj", ((const char *[]){"200", "150", "100", "99"})[i]);
    put_at(old, "oom_adj", "15");
    put_at(old, "oom_adj", "1");
}

static char stack[65536];

static int sets(void *unused) {
    put("oom_score_adj", "55");
    return 0;
}

/* Processes with one address space are killed together. */
static void together(void) {
    fflush(stdout);
    waitpid(clone(sets, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL), NULL, 0);
    printf("after a clone with CLONE_VM set it -> %s\n", get("/proc/self/oom_score_adj"));
    fflush(stdout);
    put("oom_score_adj", "0");
    fflush(stdout);
    waitpid(clone(sets, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL), NULL, 0);
    printf("after one with CLONE_VFORK -> %s\n", get("/proc/self/oom_score_adj"));
}

int main(void) {
    setbuf(stdout, NULL);
    apart(values);
    apart(inherited);
    apart(unprivileged);
    apart(together);
    return 0;
}
