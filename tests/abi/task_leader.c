/* task_leader.c - a leading thread that ended before the others, and a zombie: what /proc and signals say of them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t leader;
static void stat_of(const char *what, const char *path) {
    char text[400] = "";
    int fd = open(path, O_RDONLY);
    long n = read(fd, text, sizeof text - 1);
    close(fd);
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (n > 0 && name && end)
        printf("%s -> %.*s %c\n", what, (int)(end + 1 - name), name, end[2]);
    else
        printf("%s -> %s\n", what, strerrorname_np(errno));
}
static void field(const char *what, const char *path, const char *name) {
    char line[200];
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)))
            printf("%s -> %s", what, line);
    if (f)
        fclose(f);
}
static void seen(void) {
    char path[64];
    int entries = 0, has = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", leader);
    stat_of("the process", path);
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", leader, leader);
    stat_of("the leading thread", path);
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", leader, leader);
    field("its name", path, "");
    snprintf(path, sizeof path, "/proc/%d/status", leader);
    field("status", path, "Name");
    field("status", path, "State");
    field("status", path, "Threads");
    snprintf(path, sizeof path, "/proc/%d/task", leader);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            entries++, has |= atoi(e->d_name) == leader;
    closedir(d);
    printf("entries %d, with the leader's %d\n", entries, has);
    struct stat s; /* as browsers ask whether they have one thread */
    printf("links of the directory -> %d\n", stat(path, &s) ? -1 : (int)s.st_nlink);
    static const struct {
        const char *name;
        int signal;
    } tries[] = {{"0", 0}, {"SIGUSR1", SIGUSR1}, {"no such signal", 99}};
    for (int i = 0; i < 3; i++) {
        long r = syscall(SYS_tgkill, leader, leader, tries[i].signal);
        printf("tgkill %s -> %s\n", tries[i].name, r ? strerrorname_np(errno) : "ok");
        r = syscall(SYS_tkill, leader, tries[i].signal);
        printf("tkill %s -> %s\n", tries[i].name, r ? strerrorname_np(errno) : "ok");
    }
    printf("tgkill of another group -> %s\n",
           syscall(SYS_tgkill, getppid(), leader, 0) ? strerrorname_np(errno) : "ok");
}

static void *other(void *argument) {
    char path[64], text[400];
    do { /* until the leading thread has ended */
        snprintf(path, sizeof path, "/proc/%d/stat", leader);
        int fd = open(path, O_RDONLY);
        text[read(fd, text, sizeof text - 1)] = 0;
        close(fd);
    } while (strrchr(text, ')')[2] != 'Z');
    seen();
    fflush(stdout);
    _exit(7);
    return argument;
}

int main(void) {
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        leader = getpid();
        prctl(PR_SET_NAME, "the leader");
        pthread_create(&t, NULL, other, NULL);
        pthread_exit(NULL);
    }
    waitpid(pid, &status, 0);
    printf("ends with %d\n", WEXITSTATUS(status));
    fflush(stdout);
    leader = fork();
    if (leader == 0) {
        prctl(PR_SET_NAME, "a zombie");
        _exit(3);
    }
    siginfo_t info;
    waitid(P_PID, (id_t)leader, &info, WEXITED | WNOWAIT);
    printf("a zombie\n");
    seen();
    waitpid(leader, &status, 0);
    printf("gone: tgkill -> %s\n", syscall(SYS_tgkill, leader, leader, 0) ? strerrorname_np(errno) : "ok");
    return 0;
}
