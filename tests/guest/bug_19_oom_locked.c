/* bug_19_oom_locked.c - CVE-2018-1000200: who has much locked memory is killed for want of memory, again and again:
 * his memory must be all there afterwards. Run with few hundred MiB at most. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ul << 20)

static unsigned long free_kb(void) {
    unsigned long total, kb = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    if (fscanf(f, "MemTotal: %lu kB MemFree: %lu kB", &total, &kb) != 2)
        exit(1);
    fclose(f);
    return kb;
}

int main(void) {
    unsigned long first = 0;
    for (int i = 0; i < 6; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            char *p = mmap(NULL, 24 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (mlock(p, 24 * MIB))
                perror("mlock"), exit(1);
            for (;;)
                memset(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, MIB);
        }
        int status;
        waitpid(pid, &status, 0);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            printf("status %#x\n", status), exit(1);
        if (i == 1)
            first = free_kb();
    }
    unsigned long last = free_kb();
    if (last + 512 < first) /* magazines and caches of each CPU */
        printf("%lu kB free after two, %lu after six\n", first, last), exit(1);
    printf("six were killed\n");
    return 0;
}
