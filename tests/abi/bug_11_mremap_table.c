/* bug_11_mremap_table.c - CVE-2010-0291 (do_mremap) and 12, CVE-2011-2496 (sizes that wrap): every triple of corner
 * values for old address, old size and new size, with and without a fixed place: the errno of each. */
#include "bug.h"

#define PAGES 8
static char *area;

/* As before each try: 8 pages, the last two of another protection. */
static void make(void) {
    map(area, PAGES * PAGE, RW, ANON, -1);
    mprotect(area + 6 * PAGE, 2 * PAGE, PROT_READ);
}

static const struct {
    const char *name;
    unsigned long value;
    int based;
} olds[] = {{"0", 0, 0},
            {"area", 0, 1},
            {"area+1", 1, 1},
            {"area+5p", 5 * PAGE, 1},
            {"hole", 8 * PAGE, 1},
            {"2^47-p", (1ul << 47) - PAGE, 0},
            {"2^47", 1ul << 47, 0},
            {"-p", -PAGE, 0}},
  sizes[] = {{"0", 0, 0},
             {"1", 1, 0},
             {"p-1", PAGE - 1, 0},
             {"p", PAGE, 0},
             {"2p", 2 * PAGE, 0},
             {"8p", 8 * PAGE, 0},
             {"2^47-p", (1ul << 47) - PAGE, 0},
             {"-p", -PAGE, 0},
             {"-1", -1ul, 0}},
  targets[] = {{"none", 0, 0},       {"apart", 64 * PAGE, 1},   {"apart+1", 64 * PAGE + 1, 1},
               {"area+1p", PAGE, 1}, {"area-3p", -3 * PAGE, 1}, {"2^47-p", (1ul << 47) - PAGE, 0},
               {"-p", -PAGE, 0}};
#define COUNT(table) (sizeof(table) / sizeof(*(table)))

int main(void) {
    area = map(NULL, 256 * PAGE, PROT_NONE, ANON, -1);
    munmap(area, 256 * PAGE);
    area += 32 * PAGE;
    for (unsigned o = 0; o < COUNT(olds); o++)
        for (unsigned s = 0; s < COUNT(sizes); s++)
            for (unsigned n = 0; n < COUNT(sizes); n++) {
                printf("mremap %s %s %s ->", olds[o].name, sizes[s].name, sizes[n].name);
                for (unsigned t = 0; t < COUNT(targets); t++) {
                    make();
                    unsigned long old = olds[o].value + (olds[o].based ? (unsigned long)area : 0);
                    unsigned long to = targets[t].value + (targets[t].based ? (unsigned long)area : 0);
                    char *p = mremap((void *)old, sizes[s].value, sizes[n].value,
                                     MREMAP_MAYMOVE | (t ? MREMAP_FIXED : 0), to);
                    printf(" %s", p == MAP_FAILED ? strerrorname_np(errno) : "ok");
                    if (p != MAP_FAILED && sizes[n].value < 1ul << 30)
                        munmap(p, sizes[n].value);
                    munmap(area - 8 * PAGE, 100 * PAGE);
                }
                printf("\n");
            }
    return 0;
}
