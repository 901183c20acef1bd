/* bug_15_remap_beside.c - CVE-2026-23077: a mapping whose pages are there is moved next to ones whose are not, so that
 * they join: before, behind, and between two; then they are paged out, forked, and must read back. */
#include "bug.h"

static void one(const char *what, int before, int behind) {
    char *raw = map(NULL, 64 * PAGE, PROT_NONE, ANON, -1), *at = raw + 20 * PAGE;
    munmap(raw, 64 * PAGE);
    char *moved = map(NULL, 40 * PAGE, PROT_NONE, ANON, -1) + 10 * PAGE;
    map(moved, 4 * PAGE, RW, ANON, -1);
    for (int i = 0; i < 4; i++)
        moved[i * PAGE] = (char)(i + 1);
    if (before)
        map(at - 4 * PAGE, 4 * PAGE, RW, ANON, -1);
    if (behind)
        map(at + 4 * PAGE, 4 * PAGE, RW, ANON, -1);
    must(mremap(moved, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at);
    char *first = before ? at - 4 * PAGE : at;
    size_t pages = 4 + (before ? 4 : 0) + (behind ? 4 : 0);
    first[0] = before ? 9 : 1;
    madvise(first, pages * PAGE, MADV_PAGEOUT);
    pid_t pid = fork();
    int good = 1;
    for (int i = 0; i < 4; i++)
        good &= at[i * PAGE] == (char)(i + 1);
    if (pid == 0) {
        at[PAGE] = 77;
        _exit(!good);
    }
    good &= wait_for(pid) == 0 && at[PAGE] == 2;
    madvise(first, pages * PAGE, MADV_PAGEOUT);
    munmap(first, PAGE);
    for (int i = 1; i < 4; i++)
        good &= at[i * PAGE] == (char)(i + 1);
    printf("%s: bytes kept -> %d\n", what, good);
    munmap(raw, 64 * PAGE);
}

int main(void) {
    one("behind one", 1, 0);
    one("before one", 0, 1);
    one("between two", 1, 1);
    one("alone", 0, 0);
    return 0;
}
