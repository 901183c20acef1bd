/* fork.c - what a child sees, and what each side's writes do to the other: private, shared, of files, by generations,
 * and by advice. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 1200 /* more than two tables' worth */

static char *area(int flags, int fd) {
    char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == MAP_FAILED)
        perror("mmap"), exit(1);
    return p;
}

static void fill(char *p, int step, int value) {
    for (unsigned i = 0; i < PAGES; i += (unsigned)step)
        p[i * PAGE + i % PAGE] = (char)(value + (int)i);
}

static unsigned sum(const char *p) {
    unsigned s = 0;
    for (unsigned i = 0; i < PAGES; i++)
        s = s * 31 + (unsigned char)p[i * PAGE + i % PAGE];
    return s;
}

/* The child's part runs whole before the parent goes on. */
#define CHILD(body)                                                                                                    \
    do {                                                                                                               \
        fflush(stdout);                                                                                                \
        pid_t pid = fork();                                                                                            \
        if (pid == 0) {                                                                                                \
            body;                                                                                                      \
            fflush(stdout);                                                                                            \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        int status;                                                                                                    \
        waitpid(pid, &status, 0);                                                                                      \
        if (status)                                                                                                    \
            printf("child ended with %#x\n", status);                                                                  \
    } while (0)

static void generations(char *p, int depth) {
    if (depth == 0)
        return;
    CHILD({
        p[depth * 100 * PAGE] = (char)depth;
        generations(p, depth - 1);
        printf("generation %d: %u\n", depth, sum(p));
    });
    printf("after %d: %u\n", depth, sum(p));
}

static void pingpong(char *p) {
    int down[2], up[2];
    char c = 0;
    if (pipe(down) || pipe(up))
        exit(1);
    fflush(stdout);
    if (fork() == 0) {
        for (int i = 0; i < 50; i++) {
            if (read(down[0], &c, 1) != 1)
                _exit(1);
            p[i * 20 * PAGE] = (char)(i + 1);
            if (write(up[1], &p[i * 20 * PAGE], 1) != 1)
                _exit(1);
        }
        _exit(sum(p) & 0x7f);
    }
    unsigned all = 0;
    for (int i = 0; i < 50; i++) {
        p[(i * 20 + 1) * PAGE] = (char)i;
        if (write(down[1], &c, 1) != 1 || read(up[0], &c, 1) != 1)
            exit(1);
        all += (unsigned)c + (unsigned char)p[i * 20 * PAGE];
    }
    int status;
    wait(&status);
    printf("ping pong: %u, parent %u, child %d\n", all, sum(p), WEXITSTATUS(status));
}

int main(void) {
    char *private = area(MAP_PRIVATE | MAP_ANONYMOUS, -1), *shared = area(MAP_SHARED | MAP_ANONYMOUS, -1);
    fill(private, 1, 3);
    fill(shared, 7, 5);
    CHILD({
        printf("child sees %u %u\n", sum(private), sum(shared));
        fill(private, 3, 9);
        fill(shared, 3, 11);
        printf("child has %u %u\n", sum(private), sum(shared));
    });
    printf("parent has %u %u\n", sum(private), sum(shared));
    generations(private, 6);
    pingpong(private);

    FILE *file = tmpfile();
    int fd = fileno(file);
    if (ftruncate(fd, PAGES * PAGE))
        return 1;
    char *of_file = area(MAP_SHARED, fd), *copy = area(MAP_PRIVATE, fd);
    CHILD(fill(of_file, 5, 1));
    printf("file through the other mapping: %u\n", sum(copy));
    fill(copy, 2, 77);
    CHILD({
        fill(copy, 3, 1);
        printf("child's copy %u\n", sum(copy));
    });
    printf("parent's copy %u, file %u\n", sum(copy), sum(of_file));

    printf("DONTFORK %d WIPEONFORK %d\n", madvise(private, PAGE * 8, MADV_DONTFORK),
           madvise(private + 600 * PAGE, PAGE * 8, MADV_WIPEONFORK));
    CHILD({
        unsigned char vec[8];
        printf("child: mincore %s, wiped %d, beside %d\n", mincore(private, PAGE, vec) ? strerrorname_np(errno) : "ok",
               private[601 * PAGE + 601], private[609 * PAGE + 609]);
    });
    printf("parent: %d %d\n", private[PAGE + 1], private[601 * PAGE + 601]);
    CHILD({
        munmap(private, 700 * PAGE);
        private[900 * PAGE] = 1;
        CHILD(printf("grandchild %d\n", private[900 * PAGE]));
        printf("%p\n", mremap(private + 700 * PAGE, 100 * PAGE, 200 * PAGE, 0)); /* the way is taken: (nil) - 1 */
    });
    printf("in the end %u %u\n", sum(private), sum(shared));
    return 0;
}
