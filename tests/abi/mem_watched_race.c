/* mem_watched_race.c - userfaultfd(2) with many at once: threads touch pages that are missing, guarded or discarded,
 * others answer them, a third protects, discards and forks. What a page holds is its number, or nothing in a child.
 * Given a number of pages: more than memory, with swap. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define TOUCHERS 4
#define ANSWERERS 2
#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%d: not true: %s (errno %d)\n", __LINE__, #condition, errno);                             \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static unsigned long pages = 512;
static unsigned char *memory;
static int watcher, stop[2]; /* a byte in the pipe ends the answerers */
static unsigned long answered, guarded;

static unsigned long *word(unsigned long page) { return (unsigned long *)(memory + page * PAGE); }

static void answer(const struct uffd_msg *m, unsigned long *scratch) {
    unsigned long at = m->arg.pagefault.address, page = (at - (unsigned long)memory) / PAGE;
    if (m->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
        struct uffdio_writeprotect p = {{at, PAGE}, 0};
        must(!ioctl(watcher, UFFDIO_WRITEPROTECT, &p));
        __atomic_add_fetch(&guarded, 1, __ATOMIC_RELAXED);
        return;
    }
    scratch[0] = page;
    scratch[PAGE / 8 - 1] = ~page;
    struct uffdio_copy c = {at, (unsigned long)scratch, PAGE, page & 1 ? UFFDIO_COPY_MODE_WP : 0, 0};
    if (ioctl(watcher, UFFDIO_COPY, &c)) { /* two touched it, and the other answerer was first */
        struct uffdio_range r = {at, PAGE};
        must(errno == EEXIST && !ioctl(watcher, UFFDIO_WAKE, &r));
    }
    __atomic_add_fetch(&answered, 1, __ATOMIC_RELAXED);
}

static void *answerer(void *unused) {
    unsigned long *scratch = aligned_alloc(PAGE, PAGE);
    struct pollfd p[2] = {{.fd = watcher, .events = POLLIN}, {.fd = stop[0], .events = POLLIN}};
    for (;;) {
        struct uffd_msg m;
        must(poll(p, 2, -1) > 0);
        while (read(watcher, &m, sizeof m) == sizeof m)
            answer(&m, scratch);
        if (p[1].revents)
            break;
    }
    free(scratch);
    return unused;
}

static unsigned long next(unsigned long *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

/* Every page once, in an order of its own, read or written with what it holds. */
static void *toucher(void *argument) {
    unsigned long seed = (unsigned long)argument * 0x9e3779b97f4a7c15ul, step = next(&seed) % pages | 1, page = 0;
    for (unsigned long i = 0; i < pages; i++, page = (page + step) % pages) {
        volatile unsigned long *p = word(page);
        if (next(&seed) & 1)
            p[0] = page;
        must(p[0] == page && p[PAGE / 8 - 1] == ~page);
    }
    return NULL;
}

static void child_reads(unsigned long seed) {
    pid_t pid = fork();
    must(pid >= 0);
    if (!pid) {
        for (unsigned i = 0; i < 64; i++) {
            unsigned long page = next(&seed) % pages, v = *word(page);
            if (v != page && v != 0 && v != 7)
                _exit(1);
            *word(page) = 7; /* nobody watches a child */
        }
        _exit(0);
    }
    int status;
    must(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv) {
    pthread_t touchers[TOUCHERS], answerers[ANSWERERS];
    unsigned long seed = 12345;
    if (argc > 1)
        pages = strtoul(argv[1], NULL, 0);
    memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    watcher = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register r = {
        {(unsigned long)memory, pages * PAGE}, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP, 0};
    must(memory != MAP_FAILED && !ioctl(watcher, UFFDIO_API, &api) && !ioctl(watcher, UFFDIO_REGISTER, &r));
    must(!pipe(stop));
    for (int i = 0; i < ANSWERERS; i++)
        must(!pthread_create(&answerers[i], NULL, answerer, NULL));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned long i = 0; i < TOUCHERS; i++)
            must(!pthread_create(&touchers[i], NULL, toucher, (void *)(round * TOUCHERS + i + 1)));
        for (unsigned i = 0; i < 40; i++) {
            unsigned long first = next(&seed) % pages, count = next(&seed) % 32 + 1;
            count = first + count > pages ? pages - first : count;
            struct uffdio_writeprotect p = {{(unsigned long)word(first), count * PAGE}, UFFDIO_WRITEPROTECT_MODE_WP};
            must(!ioctl(watcher, UFFDIO_WRITEPROTECT, &p));
            must(!madvise(word(next(&seed) % pages), PAGE, MADV_DONTNEED));
            if (i % 8 == 0)
                child_reads(next(&seed));
        }
        for (int i = 0; i < TOUCHERS; i++)
            must(!pthread_join(touchers[i], NULL));
    }
    must(write(stop[1], "x", 1) == 1);
    for (int i = 0; i < ANSWERERS; i++)
        must(!pthread_join(answerers[i], NULL));
    printf("every page was supplied, and held its number -> %d\n", answered >= pages);
    printf("writes to guarded pages were heard -> %d\n", guarded > 0);
    return 0;
}
