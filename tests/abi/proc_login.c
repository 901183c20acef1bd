/* proc_login.c - /proc/self/loginuid and sessionid: said once by everybody of himself, then by who may. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *file) {
    char text[64] = "";
    int fd = open(file, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    if (strstr(file, "session") && strcmp(text, "4294967295"))
        strcpy(text, strtoul(text, NULL, 10) ? "a number" : "none"), n = (ssize_t)strlen(text);
    printf("%s: \"%.*s\"\n", strrchr(file, '/') + 1, (int)(n > 0 ? n : 0), text);
    close(fd);
}
static void both(const char *what) {
    printf("%s: ", what);
    show("/proc/self/loginuid");
    printf("%s: ", what);
    show("/proc/self/sessionid");
}
static void say_to(int fd, const char *text) {
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    printf("\"%s\" -> %s\n", text, n < 0 ? strerrorname_np(errno) : "ok");
    close(fd);
}
static void say(const char *file, const char *text) { say_to(open(file, O_RDWR | O_NOFOLLOW), text); }

/* With the right to what was opened before, for a process that changed its ids is nobody's to open. */
static int own(void) { return open("/proc/self/loginuid", O_RDWR | O_NOFOLLOW); }

static void ordinary(void) {
    char parents[40];
    snprintf(parents, sizeof parents, "/proc/%d/loginuid", getppid());
    both("a child");
    say("/proc/self/loginuid", "77");
    both("it said so");
    say(parents, "5");
    int fd = own();
    if (setuid(1000))
        return;
    say_to(fd, "1000");
    both("a user");
    fflush(stdout);
    if (!fork()) {
        both("a user's child");
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

static void fresh(void) {
    int fd = own(), second = own();
    if (setuid(1000))
        return;
    say_to(fd, "1000");
    say_to(second, "1001");
    show("/proc/self/loginuid");
}

int main(void) {
    both("at first");
    say("/proc/self/loginuid", "x");
    say("/proc/self/loginuid", "-1");
    say("/proc/self/loginuid", "4294967296");
    say("/proc/self/loginuid", "");
    fflush(stdout);
    if (!fork()) {
        fresh();
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    fflush(stdout);
    if (!fork()) {
        ordinary();
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    both("at last");
    say("/proc/self/loginuid", "0\n");
    both("root");
    say("/proc/self/loginuid", "4294967295");
    both("nobody");
    return 0;
}
