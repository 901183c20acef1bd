/* bug_10_dontneed_sees.c - after MADV_DONTNEED returned on one CPU the other must read zeros; and 24, missing
 * shootdowns: after munmap an access faults there, after mprotect a write does, and of a page that somebody else got
 * nothing shows. */
#include "bug.h"

#define ROUNDS 450
#define PAGES 40 /* more than a CPU forgets one by one */
static char *area;
static int turn, bad;

static int stale(int what) {
    switch (what) {
    case 0: /* dropped */
        for (int i = 0; i < PAGES; i += 13)
            if (area[i * PAGE])
                return 1;
        return 0;
    case 1: /* unmapped */
        return !faults((void)*(volatile char *)(area + PAGE)) || !faults((void)*(volatile char *)(area + 39 * PAGE));
    default: /* read-only */
        return !faults(*(volatile char *)(area + PAGE) = 2) || !faults(*(volatile char *)(area + 39 * PAGE) = 2);
    }
}

static void *looker(void *unused) {
    pin(1);
    for (int i = 0; i < ROUNDS; i++) {
        await(&turn, 4 * i + 1);
        for (int k = 0; k < PAGES; k++)
            area[k * PAGE] = 1; /* cached here, writable */
        store(turn, 4 * i + 2);
        await(&turn, 4 * i + 3);
        if (stale(i % 3))
            store(bad, 1 + i % 3);
        store(turn, 4 * i + 4);
    }
    return unused;
}

int main(void) {
    faults_begin();
    area = map(NULL, PAGES * PAGE, RW, ANON, -1);
    pthread_t t = start(looker, NULL);
    pin(0);
    for (int i = 0; i < ROUNDS; i++) {
        store(turn, 4 * i + 1);
        await(&turn, 4 * i + 2);
        if (i % 3 == 0)
            madvise(area, PAGES * PAGE, MADV_DONTNEED);
        else if (i % 3 == 1)
            munmap(area, PAGES * PAGE);
        else
            mprotect(area, PAGES * PAGE, PROT_READ);
        store(turn, 4 * i + 3);
        await(&turn, 4 * i + 4);
        if (i % 3)
            map(area, PAGES * PAGE, RW, ANON, -1);
    }
    pthread_join(t, NULL);
    printf("the other CPU sees it at once -> %d\n", !bad);
    return 0;
}
