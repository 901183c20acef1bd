/* every_call.c - which system calls are there: each number that has a name is called in a child, with arguments that no
 * call takes for good, and with none; a call that answers ENOSYS both times is absent. One that does not come back is
 * there: the child is ended by it, or by its alarm. docs/programs.md lists those that are absent here alone
 * (tests/programs/calls.py). */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME(call) [SYS_##call] = #call
static const char *const names[] = {
#include "../../kernel/sys/names.h"
};
#define COUNT ((long)(sizeof names / sizeof names[0]))
#define ABSENT 77 /* the child's status */

static int absent(long number) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(2);
        int here = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) != -1 || errno != ENOSYS ||
                   syscall(number, 0L, 0L, 0L, 0L, 0L, 0L) != -1 || errno != ENOSYS;
        _exit(here ? 0 : ABSENT);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    return WIFEXITED(status) && WEXITSTATUS(status) == ABSENT;
}

int main(void) {
    for (long number = 0; number < COUNT; number++) {
        if (names[number] && number != SYS_vfork) /* its child would use this one's stack */
            printf("%s -> %s\n", names[number], absent(number) ? "absent" : "there");
    }
    return 0;
}
