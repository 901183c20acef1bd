/* bug_28_no_leaks.c - no page that a program gets shows what another left in it: one fills memory with a pattern, lets
 * it go in every way there is, and another looks at every kind of new page. And what an advice must do (elfuse PR 3).
 */
#include "bug.h"

#define BYTES (24 * MIB)
static const char pattern[16] = "secret canary :)";

static void fill(char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += sizeof(pattern))
        memcpy(p + i, pattern, sizeof(pattern));
}
static int shows(const char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 8)
        if (*(const unsigned long *)(p + i))
            return 1;
    return 0;
}

static void leave_secrets(void) {
    pid_t pid = fork();
    if (pid == 0) { /* left by exit */
        fill(map(NULL, BYTES, RW, ANON, -1), BYTES);
        int fd = memfd_create("m", 0), file = open("left", O_RDWR | O_CREAT | O_TRUNC, 0600);
        char *m = map(NULL, 4 * MIB, RW, ANON, -1);
        fill(m, 4 * MIB);
        must(write(fd, m, 4 * MIB) == (ssize_t)(4 * MIB) && write(file, m, MIB) == (ssize_t)MIB);
        must(!ftruncate(fd, 0) && !ftruncate(file, 100));
        unlink("left");
        madvise(m, 2 * MIB, MADV_DONTNEED);
        munmap(m + 2 * MIB, 2 * MIB);
        _exit(0);
    }
    wait_for(pid);
}

static int tail_of_file(void) { /* what lies behind the end, in the last page */
    int fd = open("tail", O_RDWR | O_CREAT | O_TRUNC, 0600);
    must(write(fd, pattern, 10) == 10);
    char *p = map(NULL, PAGE, RW, MAP_SHARED, fd);
    int bad = shows(p + 16, PAGE - 16);
    fill(p + 16, PAGE - 16);
    must(!ftruncate(fd, 5) && !ftruncate(fd, PAGE));
    bad |= shows(p + 8, PAGE - 8);
    unlink("tail");
    return bad;
}

static int look(void) {
    int bad = shows(map(NULL, BYTES / 2, RW, ANON, -1), BYTES / 2) << 0;
    bad |= shows(map(NULL, 4 * MIB, RW, MAP_SHARED | MAP_ANONYMOUS, -1), 4 * MIB) << 1;
    int fd = memfd_create("m", 0);
    must(!ftruncate(fd, 2 * MIB) && pwrite(fd, "x", 1, MIB + 5) == 1);
    char *p = map(NULL, 2 * MIB, RW, MAP_SHARED, fd);
    must(p[MIB + 5] == 'x');
    p[MIB + 5] = 0;
    bad |= shows(p, 2 * MIB) << 2;
    fill(p, 2 * MIB);
    must(!fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 100, MIB));
    bad |= shows(p + 104, MIB - 8) << 3;
    p = sbrk(MIB);
    bad |= shows((char *)(((unsigned long)p + 4095) & -PAGE), MIB - PAGE) << 4;
    p = map(NULL, PAGE, RW, ANON, -1);
    p = mremap(p, PAGE, MIB, MREMAP_MAYMOVE);
    bad |= shows(p, MIB) << 5;
    bad |= tail_of_file() << 6;
    return bad;
}

static void advice(void) {
    char *p = map(NULL, 8 * PAGE, RW, ANON, -1);
    fill(p, 8 * PAGE);
    munmap(p + 3 * PAGE, PAGE);
    printf("MADV_DONTNEED over a hole -> %s", madvise(p, 8 * PAGE, MADV_DONTNEED) ? strerrorname_np(errno) : "ok");
    printf(", both sides empty %d %d\n", p[0] == 0, p[7 * PAGE] == 0);
    fill(p, PAGE);
    mprotect(p, PAGE, PROT_NONE);
    printf("MADV_DONTNEED of PROT_NONE -> %s", madvise(p, PAGE, MADV_DONTNEED) ? strerrorname_np(errno) : "ok");
    mprotect(p, PAGE, RW);
    printf(", dropped %d\n", p[0] == 0);
    int fd = open("advised", O_RDWR | O_CREAT, 0600);
    must(!ftruncate(fd, PAGE));
    char *shared = map(NULL, PAGE, RW, MAP_SHARED, fd), *private = map(NULL, PAGE, RW, MAP_PRIVATE, fd);
    printf("MADV_FREE of a file, shared -> %s\n", madvise(shared, PAGE, MADV_FREE) ? strerrorname_np(errno) : "ok");
    printf("MADV_FREE of a file, private -> %s\n", madvise(private, PAGE, MADV_FREE) ? strerrorname_np(errno) : "ok");
    unlink("advised");
}

int main(void) {
    int bad = 0;
    for (int i = 0; i < 4; i++) {
        leave_secrets();
        pid_t pid = fork();
        if (pid == 0)
            _exit(look());
        bad |= wait_for(pid) >> 8;
    }
    printf("kinds of pages that show what another left -> %#x\n", bad);
    advice();
    return 0;
}
