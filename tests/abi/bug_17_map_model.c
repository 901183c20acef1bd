/* bug_17_map_model.c - CVE-2024-50200: random map, unmap, protect and move over spans, by a flat array that says for
 * each page what must be there; compared with /proc/self/maps and with an access to each page. */
#include "bug.h"

#define PAGES 96
#define STEPS 2500
static char *base;
static signed char prot[PAGES]; /* -1: not mapped; else PROT_ */
static unsigned char contents[PAGES];

static int maps_agree(void) {
    static signed char seen[PAGES];
    char line[512];
    memset(seen, -1, sizeof(seen));
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), f)) {
        unsigned long a, b;
        char r, w;
        sscanf(line, "%lx-%lx %c%c", &a, &b, &r, &w);
        for (unsigned long p = a; p < b; p += PAGE)
            if (p >= (unsigned long)base && p < (unsigned long)base + PAGES * PAGE)
                seen[(p - (unsigned long)base) / PAGE] = (r == 'r' ? PROT_READ : 0) | (w == 'w' ? PROT_WRITE : 0);
    }
    fclose(f);
    return !memcmp(seen, prot, sizeof(seen));
}

static int pages_agree(void) {
    for (int i = 0; i < PAGES; i++) {
        volatile unsigned char *p = (unsigned char *)base + i * PAGE + i;
        if (faults((void)*p) != (prot[i] <= 0) || (prot[i] > 0 && *p != contents[i]))
            return 0;
    }
    return 1;
}

static unsigned long seed = 88172645463325252ul;

static void move(int first, int pages, int to) {
    if (to < first + pages && first < to + pages)
        return;
    for (int i = first; i < first + pages; i++)
        if (prot[i] < 0 || prot[i] != prot[first])
            return; /* one mapping only: else it is EFAULT, or a part */
    if (mremap(base + first * PAGE, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, base + to * PAGE) ==
        MAP_FAILED) { /* joined in /proc/self/maps, but not one: refused, perhaps with the target unmapped already */
        munmap(base + to * PAGE, pages * PAGE);
        memset(prot + to, -1, pages);
        return;
    }
    for (int i = 0; i < pages; i++) {
        prot[to + i] = prot[first + i];
        prot[first + i] = -1;
    }
    for (int i = 0; i < pages; i++) { /* a page's byte lies at its own offset: write it where it is now */
        int p = prot[to + i];
        mprotect(base + (to + i) * PAGE, PAGE, RW);
        base[(to + i) * PAGE + to + i] = (char)(contents[to + i] = contents[first + i]);
        mprotect(base + (to + i) * PAGE, PAGE, p);
    }
}

static void step(void) {
    static const int prots[] = {PROT_NONE, PROT_READ, RW};
    int first = (int)(rnd(&seed) % PAGES), pages = 1 + (int)(rnd(&seed) % 12), p = prots[rnd(&seed) % 3];
    if (first + pages > PAGES)
        pages = PAGES - first;
    switch (rnd(&seed) % 6) {
    case 0:
        munmap(base + first * PAGE, pages * PAGE);
        memset(prot + first, -1, pages);
        break;
    case 1:
        map(base + first * PAGE, pages * PAGE, p, ANON, -1);
        memset(prot + first, p, pages);
        memset(contents + first, 0, pages);
        break;
    case 2:
        for (int i = first; i < first + pages; i++)
            if (prot[i] < 0)
                return;
        must(!mprotect(base + first * PAGE, pages * PAGE, p));
        memset(prot + first, p, pages);
        break;
    case 3:
        move(first, pages, (int)(rnd(&seed) % (PAGES - pages + 1)));
        break;
    default:
        for (int i = first; i < first + pages; i++)
            if (prot[i] == RW)
                base[i * PAGE + i] = (char)(contents[i] = (unsigned char)rnd(&seed));
    }
}

int main(void) {
    int good = 0;
    faults_begin();
    base = (char *)0x100000000000 + 500 * PAGE; /* across a border of tables */
    memset(prot, -1, sizeof(prot));
    for (int i = 0; i < STEPS; i++) {
        step();
        good += i % 16 || (maps_agree() && pages_agree());
    }
    printf("steps after which maps and pages are as the model says -> %d of %d\n", good, STEPS);
    return 0;
}
