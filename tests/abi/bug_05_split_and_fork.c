/* bug_05_split_and_fork.c - CVE-2020-29368: parent and child write to what they share after a fork while threads split
 * it (mprotect, MADV_DONTNEED and munmap of single pages): each process's bytes must be its own. */
#include "bug.h"

#define ROUNDS 12
#define BYTES (4 * MIB) /* two huge pages' worth; page 512k + 300 is the splitters' */
static char *area;
static int stop;

static void *split(void *unused) {
    pin(1);
    for (int i = 0; !load(stop); i++) {
        char *at = area + (i & 1) * 2 * MIB + 300 * PAGE;
        mprotect(at, PAGE, i & 2 ? PROT_READ : RW);
        madvise(at, PAGE, MADV_DONTNEED);
        if (i % 8 == 7)
            munmap(at, PAGE), map(at, PAGE, RW, ANON, -1);
    }
    return unused;
}

static int mine(int value) { /* each page but the splitters' is as it was written */
    for (size_t p = 0; p < BYTES / PAGE; p++)
        if (p % 512 != 300 &&
            (area[p * PAGE] != (char)(value + (int)p) || area[p * PAGE + 4000] != (char)(value ^ (int)p)))
            return 0;
    return 1;
}
static void write_all(int value) {
    for (size_t p = 0; p < BYTES / PAGE; p++)
        if (p % 512 != 300) {
            area[p * PAGE] = (char)(value + (int)p);
            area[p * PAGE + 4000] = (char)(value ^ (int)p);
        }
}

int main(void) {
    char *raw = map(NULL, BYTES + 2 * MIB, RW, ANON, -1);
    area = (char *)(((unsigned long)raw + 2 * MIB - 1) & -(2 * MIB));
    int bad = 0;
    for (int r = 0; r < ROUNDS; r++) {
        madvise(area, BYTES, MADV_HUGEPAGE);
        write_all(r);
        store(stop, 0);
        pthread_t t = start(split, NULL);
        pid_t pid = fork();
        if (pid == 0) {
            bad |= !mine(r);
            store(stop, 0);
            pthread_t own = start(split, NULL);
            write_all(100 + r);
            bad |= !mine(100 + r);
            store(stop, 1);
            pthread_join(own, NULL);
            _exit(bad);
        }
        write_all(50 + r);
        bad |= !mine(50 + r) || wait_for(pid);
        store(stop, 1);
        pthread_join(t, NULL);
        bad |= !mine(50 + r);
    }
    printf("each process has its own bytes -> %d\n", !bad);
    return 0;
}
