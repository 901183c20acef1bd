/* bug_18_truncate_unmap.c - CVE-2023-52935: page tables go (munmap, exit) while the reverse map walks them (truncate of
 * what they map, write-back): nothing is mapped past the end afterwards, and what is before it has its bytes. */
#include "bug.h"

#define PAGES 700 /* more than a table */
#define ROUNDS 60

static void *cut(void *argument) {
    int fd = *(int *)argument;
    pin(1);
    for (int i = 0; i < ROUNDS; i++) {
        must(!ftruncate(fd, 100 * PAGE));
        must(!ftruncate(fd, PAGES * PAGE));
    }
    return NULL;
}

static void churn(int fd) {
    for (int i = 0; i < ROUNDS; i++) {
        char *shared = map(NULL, PAGES * PAGE, RW, MAP_SHARED, fd),
             *private = map(NULL, PAGES * PAGE, RW, MAP_PRIVATE, fd);
        for (int p = i % 7; p < PAGES; p += 37) {
            (void)!faults(shared[p * PAGE] = 1);
            (void)!faults(private[p * PAGE] = 2);
        }
        pid_t pid = i % 8 ? -1 : fork();
        if (pid == 0)
            _exit(0);
        munmap(private, PAGES * PAGE);
        munmap(shared, PAGES * PAGE);
        if (pid > 0)
            wait_for(pid);
    }
}

int main(void) {
    int fd = memfd_create("cut", 0), bad = 0;
    must(!ftruncate(fd, PAGES * PAGE));
    faults_begin();
    char *kept = map(NULL, PAGES * PAGE, RW, MAP_PRIVATE, fd);
    for (int p = 0; p < PAGES; p++)
        kept[p * PAGE] = 3;
    pthread_t t = start(cut, &fd);
    pid_t pid = fork();
    churn(fd);
    if (pid == 0)
        _exit(0);
    pthread_join(t, NULL);
    wait_for(pid);
    for (int p = 0; p < 100; p++)
        bad += kept[p * PAGE] != 3;
    printf("private copies before the cut are kept -> %d\n", !bad);
    for (int p = 100; p < PAGES; p++)
        bad += kept[p * PAGE] == 3; /* the file's, which may have been written since */
    printf("those after it are gone -> %d\n", !bad);
    must(!ftruncate(fd, 5 * PAGE));
    printf("past the end -> %s\n", faults((void)*(volatile char *)(kept + 5 * PAGE)) ? "a signal" : "bytes");
    return 0;
}
