/* bug_27_stack_clash.c - CVE-2017-1000364: a stack does not grow into what lies below it: 256 pages stay between them;
 * mmap without an address keeps out of there; and only PROT_NONE, or another stack, may come nearer. */
#include "bug.h"

static void one(const char *what, size_t gap_pages, int prot, int flags) {
    char *base = (char *)0x100000000000;
    map(base, PAGE, prot, ANON | flags, -1);
    char *stack = map(base + (1 + gap_pages) * PAGE, PAGE, RW, ANON | MAP_GROWSDOWN, -1);
    int hit = faults(stack[-8] = 1);
    printf("%s, %zu pages below: the stack grows -> %d\n", what, gap_pages, !hit);
    munmap(base, 1024 * PAGE);
}

static int main_stack(void) { /* what lies under the main stack, once it is as large as it may be */
    char here, line[512];
    unsigned long start = 0, a, b, below = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), f)) {
        sscanf(line, "%lx-%lx", &a, &b);
        if (a <= (unsigned long)&here && (unsigned long)&here < b)
            start = a;
        else if (!start)
            below = b;
    }
    fclose(f);
    return start - below >= 256 * PAGE;
}

int main(void) {
    static const size_t gaps[] = {1, 2, 100, 255, 256, 257, 300};
    faults_begin();
    for (unsigned i = 0; i < sizeof(gaps) / sizeof(*gaps); i++) {
        one("a mapping", gaps[i], RW, 0);
        one("nothing allowed", gaps[i], PROT_NONE, 0);
        one("another stack", gaps[i], RW, MAP_GROWSDOWN);
    }
    int good = 1;
    for (int i = 0; i < 200; i++) {
        map(NULL, MIB, RW, ANON, -1);
        good &= main_stack();
    }
    printf("mmap keeps away from the main stack -> %d\n", good);
    return 0;
}
