/* bug_08_mremap_flush.c - CVE-2018-18281 and CVE-2022-41222 (9): A moves a mapping to and fro, B writes through the old
 * address, C takes and gives pages and looks for bytes that are not its own. With small moves, and with moves of whole
 * upper tables (2 MiB and 1 GiB, aligned). */
#include "bug.h"

static char *from, *to;
static size_t size;
static int stop, foreign;

static void *writer(void *unused) {
    pin(1);
    while (!load(stop)) {
        (void)!faults(*(volatile unsigned *)(from + 64) = 0xbadbad);
        (void)!faults(*(volatile unsigned *)(from + size - PAGE + 64) = 0xbadbad);
    }
    return unused;
}

static void *taker(void *unused) {
    while (!load(stop)) {
        char *p = map(NULL, 16 * PAGE, RW, ANON, -1);
        for (int i = 0; i < 16; i++)
            p[i * PAGE] = 1;
        for (int n = 0; n < 20; n++)
            for (int i = 0; i < 16; i++)
                if (*(volatile unsigned *)(p + i * PAGE + 64))
                    store(foreign, 1);
        munmap(p, 16 * PAGE);
    }
    return unused;
}

static void moves(const char *what, size_t bytes, size_t align, int rounds) {
    char *raw = map(NULL, 4 * align + bytes, PROT_NONE, ANON | MAP_NORESERVE, -1);
    from = (char *)(((unsigned long)raw + align - 1) & -align);
    to = from + 2 * align;
    size = bytes;
    map(from, bytes, RW, ANON | MAP_NORESERVE, -1);
    store(stop, 0);
    pthread_t b = start(writer, NULL), c = start(taker, NULL);
    pin(0);
    int good = 1;
    for (int i = 0; i < rounds; i++) {
        from[0] = from[bytes - PAGE] = (char)i;
        good &= mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
        good &= to[0] == (char)i && to[bytes - PAGE] == (char)i;
        madvise(to, PAGE, MADV_DONTNEED); /* its frame goes, and may come to C */
        madvise(to + bytes - PAGE, PAGE, MADV_DONTNEED);
        good &= mremap(to, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, from) == from;
        good &= to == map(to, bytes, PROT_NONE, ANON | MAP_NORESERVE, -1);
    }
    store(stop, 1);
    pthread_join(b, NULL);
    pthread_join(c, NULL);
    printf("%s: moved with its bytes -> %d, foreign bytes -> %d\n", what, good, foreign);
    munmap(raw, 4 * align + bytes);
}

int main(void) {
    faults_begin();
    moves("a page", PAGE, 16 * PAGE, 2000);
    moves("some pages", 20 * PAGE, 64 * PAGE, 1000);
    moves("2 MiB", 2 * MIB, 2 * MIB, 400);
    moves("1 GiB", GIB, GIB, 150);
    return 0;
}
