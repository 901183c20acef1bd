/* bug_25_clone_errors.c - clone with pointers that cannot be written, or flags that do not go together: the answer, and
 * that nothing is left of the child (the run's leak count; with every allocation failing: tests/guest/fail_nth.c). */
#include "bug.h"

static void try(const char *what, unsigned long flags, void *parent_tid, void *child_tid, unsigned long tls) {
    long pid = syscall(SYS_clone, flags, 0ul, parent_tid, child_tid, tls);
    if (pid == 0)
        _exit(7);
    printf("%s -> %s", what, pid < 0 ? strerrorname_np(errno) : "a child");
    if (pid > 0) {
        int status = 0;
        must(waitpid((pid_t)pid, &status, __WALL) == pid);
        printf(", status %#x", status);
    }
    printf("\n");
    fflush(stdout);
}

int main(void) {
    char *read_only = map(NULL, PAGE, PROT_READ, ANON, -1), *none = map(NULL, PAGE, PROT_NONE, ANON, -1);
    void *kernel = (void *)0xffff888000000000ul;
    int tid;
    for (int again = 0; again < 50; again++) { /* a leak would add up */
        if (again == 1)
            fclose(stdout), stdout = fopen("/dev/null", "w");
        try("parent's tid read-only", CLONE_PARENT_SETTID | SIGCHLD, read_only, NULL, 0);
        try("parent's tid nowhere", CLONE_PARENT_SETTID | SIGCHLD, none, NULL, 0);
        try("parent's tid in the kernel", CLONE_PARENT_SETTID | SIGCHLD, kernel, NULL, 0);
        try("child's tid read-only", CLONE_CHILD_SETTID | SIGCHLD, NULL, read_only, 0);
        try("child's tid in the kernel", CLONE_CHILD_SETTID | SIGCHLD, NULL, kernel, 0);
        try("clearing a tid in the kernel", CLONE_CHILD_CLEARTID | SIGCHLD, NULL, kernel, 0);
        try("clearing a read-only tid", CLONE_CHILD_CLEARTID | SIGCHLD, NULL, read_only, 0);
        try("thread area in the kernel", CLONE_SETTLS | SIGCHLD, NULL, NULL, 1ul << 63);
        try("thread without signal handlers", CLONE_THREAD | SIGCHLD, NULL, NULL, 0);
        try("handlers without memory", CLONE_SIGHAND | SIGCHLD, NULL, NULL, 0);
        try("file system and its own", CLONE_FS | CLONE_NEWNS | SIGCHLD, NULL, NULL, 0);
        try("well", CLONE_PARENT_SETTID | SIGCHLD, &tid, NULL, 0);
    }
    return 0;
}
