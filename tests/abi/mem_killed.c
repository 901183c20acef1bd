/* mem_killed.c - a program that is killed while it makes much memory present does not do so to the end first, and lets
 * others run meanwhile. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES (4ul << 20) /* all of them show the page of zeroes */

static char *range;
static void populates(void) { madvise(range, PAGES * PAGE, MADV_POPULATE_READ); }
static void locks(void) { mlock(range, PAGES * PAGE); }

static void killed(const char *what, void (*act)(void)) {
    struct rusage use;
    int status, begins[2];
    if (pipe(begins))
        exit(1);
    int pid = fork();
    if (!pid) {
        write(begins[1], "", 1);
        act();
        _exit(0);
    }
    char byte;
    read(begins[0], &byte, 1);
    kill(pid, SIGKILL);
    wait4(pid, &status, 0, &use);
    printf("%s -> signal %d, before the end %d\n", what, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
           use.ru_minflt < (long)PAGES / 2);
    fflush(stdout);
}

int main(void) {
    range = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    madvise(range, PAGES * PAGE, MADV_NOHUGEPAGE);
    killed("MADV_POPULATE_READ", populates);
    killed("mlock", locks);
    return 0;
}
