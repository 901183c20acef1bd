/* bug_02_zero_page.c - CVE-2017-1000405: a write that is attempted on the zero page (of 4 KiB, or a huge one) while the
 * mapping is dropped must not reach it: everybody else still reads zeros. */
#include "bug.h"

#define LOOPS 1500
#define BYTES (4 * MIB)
static char *area;

static void *drop(void *unused) {
    pin(1);
    for (int i = 0; i < LOOPS; i++)
        madvise(area, BYTES, MADV_DONTNEED);
    return unused;
}

static int all_zero(const char *p) {
    for (size_t i = 0; i < BYTES; i += 512)
        if (p[i])
            return 0;
    return 1;
}

int main(void) {
    int mem = open("/proc/self/mem", O_RDWR);
    char *raw = map(NULL, BYTES + 2 * MIB, RW, ANON, -1);
    area = (char *)(((unsigned long)raw + 2 * MIB - 1) & -(2 * MIB));
    madvise(area, BYTES, MADV_HUGEPAGE);
    must(all_zero(area)); /* zero pages everywhere */
    must(!mprotect(area, BYTES, PROT_READ));
    pthread_t other = start(drop, NULL);
    pin(0);
    for (int i = 0; i < LOOPS; i++) {
        (void)!pwrite(mem, "mmmm", 4, (off_t)area + i % 512 * 4096);
        (void)*(volatile char *)area;
    }
    pthread_join(other, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char *mine = map(NULL, BYTES, PROT_READ, ANON, -1);
        madvise(mine, BYTES, MADV_HUGEPAGE);
        _exit(!all_zero(mine));
    }
    printf("another process reads zeros -> %d\n", wait_for(pid) == 0);
    char *fresh = map(NULL, BYTES, PROT_READ, ANON, -1);
    printf("and so does a new mapping -> %d\n", all_zero(fresh));
    return 0;
}
