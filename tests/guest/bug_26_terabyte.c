/* bug_26_terabyte.c - gVisor PR 13527: calls over a terabyte that is not there must not take kernel memory in
 * proportion to it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIB (1ul << 40)

static unsigned long free_kb(void) {
    unsigned long total, kb = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    if (fscanf(f, "MemTotal: %lu kB MemFree: %lu kB", &total, &kb) != 2)
        exit(1);
    fclose(f);
    return kb;
}

int main(void) {
    static unsigned char vec[16];
    int bad = 0;
    free_kb();
    unsigned long before = free_kb(), least = before;
#define try(what, call)                                                                                                \
    do {                                                                                                               \
        long r_ = (long)(call);                                                                                        \
        unsigned long now_ = free_kb();                                                                                \
        least = now_ < least ? now_ : least;                                                                           \
        if (now_ + 256 < before)                                                                                       \
            bad++, printf("%s (%ld): %lu kB were free, %lu are\n", what, r_, before, now_);                            \
    } while (0)
    char *p = mmap(NULL, TIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    try("mmap", p);
    try("mincore", mincore(p, TIB, vec - 4096 * 1024)); /* the vector cannot be written: at once */
    try("madvise", madvise(p, TIB, MADV_DONTNEED));
    try("madvise", madvise(p, TIB, MADV_DONTFORK));
    try("madvise", madvise(p, TIB, MADV_COLD));
    try("mprotect", mprotect(p, TIB, PROT_READ));
    try("mlock2", mlock2(p, TIB, MLOCK_ONFAULT));
    try("munlock", munlock(p, TIB));
    try("msync", msync(p, TIB, MS_SYNC));
    try("mremap", p = mremap(p, TIB, 2 * TIB, MREMAP_MAYMOVE));
    try("munmap", munmap(p, 2 * TIB));
    if (!bad)
        printf("within 256 kB\n");
    return bad != 0;
}
