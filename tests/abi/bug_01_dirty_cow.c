/* bug_01_dirty_cow.c - CVE-2016-5195: one thread drops a private mapping of a file that may only be read, another
 * writes it by /proc/self/mem: the file's bytes must never change. */
#include "bug.h"

#define LOOPS 4000
static char *page;

static void *drop(void *unused) {
    pin(1);
    for (int i = 0; i < LOOPS; i++)
        madvise(page, PAGE, MADV_DONTNEED);
    return unused;
}

int main(void) {
    static char text[PAGE], now[PAGE];
    memset(text, 'o', sizeof(text));
    int fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0444), mem = open("/proc/self/mem", O_RDWR);
    must(write(fd, text, PAGE) == (ssize_t)PAGE);
    close(fd);
    fd = open("file", O_RDONLY);
    page = map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd);
    pthread_t other = start(drop, NULL);
    pin(0);
    for (int i = 0; i < LOOPS; i++) {
        if (pwrite(mem, "mmmm", 4, (off_t)page) < 0 && errno == EIO)
            continue; /* a kernel may refuse */
        must(page[0] == 'o' || page[0] == 'm');
    }
    pthread_join(other, NULL);
    must(pread(fd, now, PAGE, 0) == (ssize_t)PAGE);
    printf("the file is as it was -> %d\n", !memcmp(now, text, PAGE));
    munmap(page, PAGE);
    page = map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd);
    printf("and so is a new mapping -> %d\n", !memcmp(page, text, PAGE));
    unlink("file");
    return 0;
}
