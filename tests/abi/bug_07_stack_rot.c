/* bug_07_stack_rot.c - CVE-2023-3269: a thread grows a MAP_GROWSDOWN mapping until it abuts its neighbour, while others
 * fault and unmap beside it. What is judged is the kernel, by its checker at the end; and the bytes of the stack. */
#include "bug.h"

#define ROUNDS 60
#define SPAN (64 * MIB)
static char *base;
static int stop;

static void *beside(void *unused) {
    pin(1);
    for (unsigned i = 0; !load(stop); i++) {
        char *p = base + SPAN / 2 + i % 64 * (16 * PAGE);
        map(p, 8 * PAGE, RW, ANON, -1);
        p[i % 8 * PAGE] = 1;
        p[(i + 3) % 8 * PAGE] = 2;
        munmap(p, 8 * PAGE);
        (void)!faults(*(volatile char *)(base + i % 100 * PAGE));
    }
    return unused;
}

int main(void) {
    int kept = 0, ended = 0;
    faults_begin();
    for (int r = 0; r < ROUNDS; r++) {
        base = (char *)0x100000000000; /* nobody else maps there */
        map(base, PAGE, RW, ANON, -1); /* the neighbour below */
        char *top = map(base + 8 * MIB, 2 * PAGE, RW, ANON | MAP_GROWSDOWN, -1) + 2 * PAGE;
        store(stop, 0);
        pthread_t t = start(beside, NULL);
        char *p = top - 1;
        while (p > base + PAGE && !faults(*(volatile char *)p = (char)(long)(p - base)))
            p -= PAGE;
        ended += (unsigned long)(p + 1 - base) / PAGE == 257; /* a page, and the guard gap of 256 */
        int good = 1;
        for (char *q = p + PAGE; q < top; q += PAGE)
            good &= *q == (char)(long)(q - base);
        kept += good;
        store(stop, 1);
        pthread_join(t, NULL);
        munmap(base, SPAN);
    }
    printf("the stack kept its bytes -> %d of %d\n", kept, ROUNDS);
    printf("it ended at the guard gap -> %d of %d\n", ended, ROUNDS);
    return 0;
}
