/* bug_21_killed_forker.c - a process is killed while it forks, breaks and maps, at every moment that a delay can hit:
 * the pages it shares with us stay ours, its children's are sound, and nothing is left (the run's leak count). */
#include "bug.h"

#define ROUNDS 250
#define PAGES 600
static char *area;

static void forker(void) {
    for (int i = 0;; i++) {
        area[i % PAGES * PAGE] = (char)i;
        pid_t pid = fork();
        if (pid == 0) {
            area[(i + 7) % PAGES * PAGE] = 1;
            munmap(area + 100 * PAGE, 50 * PAGE);
            _exit(0);
        }
        mprotect(area + i % 64 * PAGE, PAGE, i & 1 ? PROT_READ : RW);
        mprotect(area + i % 64 * PAGE, PAGE, RW);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

int main(void) {
    int bad = 0;
    area = map(NULL, PAGES * PAGE, RW, ANON, -1);
    must(!prctl(PR_SET_CHILD_SUBREAPER, 1));
    for (int i = 0; i < PAGES; i++)
        area[i * PAGE] = 5;
    for (int r = 0; r < ROUNDS; r++) {
        pid_t pid = fork();
        if (pid == 0)
            forker();
        for (volatile int delay = 0; delay < r * 40; delay++)
            ;
        if (r % 5 == 0)
            sched_yield();
        kill(pid, SIGKILL);
        while (waitpid(-1, NULL, 0) > 0)
            ; /* it, and the children that came to us */
        area[r % PAGES * PAGE] = 5;
        for (int i = 0; i < PAGES; i += 11)
            bad += area[i * PAGE] != 5;
    }
    printf("what was shared with who was killed is as it was -> %d\n", !bad);
    return 0;
}
