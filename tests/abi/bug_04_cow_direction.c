/* bug_04_cow_direction.c - CVE-2020-29374: a child gives a page that it shares with its parent to a pipe (vmsplice),
 * unmaps it, and the parent writes: the pipe must still hold the old bytes. For each kind of page. */
#include "bug.h"

static long give(int pipe_end, char *page) {
    struct iovec v = {page, PAGE};
    return syscall(SYS_vmsplice, pipe_end, &v, 1ul, 0u);
}

static void one(const char *kind, char *page) {
    int data[2], go[2], went[2];
    char c = 0, bytes[PAGE];
    must(!pipe(data) && !pipe(go) && !pipe(went));
    memcpy(bytes, page, PAGE);
    pid_t pid = fork();
    if (pid == 0) {
        must(give(data[1], page) == (long)PAGE);
        munmap(page, PAGE);
        must(write(went[1], &c, 1) == 1 && read(go[0], &c, 1) == 1);
        char had[PAGE];
        must(read(data[0], had, PAGE) == (ssize_t)PAGE);
        _exit(memcmp(had, bytes, PAGE) != 0);
    }
    must(read(went[0], &c, 1) == 1);
    memset(page, 'S', PAGE); /* a secret of the parent's */
    must(write(go[1], &c, 1) == 1);
    printf("%s: the child has the old bytes -> %d\n", kind, wait_for(pid) == 0);
    for (int i = 0; i < 2; i++)
        close(data[i]), close(go[i]), close(went[i]);
}

int main(void) {
    char *page = map(NULL, PAGE, RW, ANON, -1);
    memset(page, 'a', PAGE);
    one("anonymous", page);
    page = map(NULL, PAGE, RW, ANON, -1);
    must(*(volatile char *)page == 0);
    one("zero page", page);
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    must(write(fd, memset(map(NULL, PAGE, RW, ANON, -1), 'f', PAGE), PAGE) == (ssize_t)PAGE);
    page = map(NULL, PAGE, RW, MAP_PRIVATE, fd);
    must(*(volatile char *)page == 'f');
    one("private page of a file", page);
    page = map(NULL, PAGE, RW, MAP_PRIVATE, fd);
    page[0] = 'g';
    one("private copy of a file's", page);
    char *huge = map(NULL, 4 * MIB, RW, ANON, -1);
    madvise(huge, 4 * MIB, MADV_HUGEPAGE);
    memset(huge, 'h', 4 * MIB);
    one("within a huge page", huge + 2 * MIB + 5 * PAGE);
    unlink("file");
    return 0;
}
