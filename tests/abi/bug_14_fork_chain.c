/* bug_14_fork_chain.c - CVE-2022-42703: a chain of 600 generations, of which every third exits in the middle, each with
 * pages that are shared, broken and its own; then everything is asked to be paged out, and everybody must still have
 * his bytes. */
#include "bug.h"

#pragma GCC diagnostic ignored "-Winfinite-recursion"
#define DEPTH 600
#define PAGES 20
static char *area;
static int *at; /* shared: 0: DEPTH are there; 1 + n: generation n found something wrong */

static int good(int depth) { /* page k was written last by the generation that is the last multiple of k + 1 */
    for (int k = 0; k < PAGES; k++)
        if (area[k * PAGE] != (char)(depth / (k + 1) * (k + 1)))
            return 0;
    return 1;
}

static void generation(int depth, int done) {
    for (int k = 0; k < PAGES; k++)
        if (depth % (k + 1) == 0)
            area[k * PAGE] = (char)depth;
    if (!good(depth))
        __atomic_add_fetch(&at[1], 1, __ATOMIC_SEQ_CST);
    if (depth == DEPTH) {
        store(at[0], 1);
        madvise(area, PAGES * PAGE, MADV_PAGEOUT);
    }
    pid_t pid = depth == DEPTH ? 1 : fork();
    must(pid >= 0);
    if (pid == 0) {
        generation(depth + 1, done); /* does not return; at most DEPTH deep */
    } else {
        if (depth % 3 == 2)
            _exit(0); /* its child lives on */
        char c;
        (void)!read(done, &c, 1); /* ends when main closes */
    }
    if (!good(depth))
        __atomic_add_fetch(&at[1], 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&at[2], 1, __ATOMIC_SEQ_CST);
    _exit(0);
}

int main(void) {
    int done[2];
    at = (int *)map(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
    area = map(NULL, PAGES * PAGE, RW, ANON, -1);
    must(!pipe(done) && !prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t pid = fork();
    if (pid == 0) {
        close(done[1]);
        generation(0, done[0]);
        _exit(0);
    }
    while (!load(at[0]))
        usleep(1000);
    madvise(area, PAGES * PAGE, MADV_PAGEOUT);
    close(done[0]);
    close(done[1]);
    while (wait(NULL) > 0)
        ;
    printf("generations that kept their bytes to the end -> %d, others -> %d\n", at[2], at[1]);
    return 0;
}
