/* watched.c - userfaultfd(2): what it costs to supply a page, and to have a thread answer what another touches. As
 * micro.c has it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "least.h"

#define WATCHED 256 /* pages */
static int watcher;
static char answer_page[PAGE] __attribute__((aligned(PAGE)));

static void supply(unsigned long at, size_t bytes) {
    for (size_t i = 0; i < bytes; i += PAGE) {
        struct uffdio_copy c = {.dst = at + i, .src = (unsigned long)answer_page, .len = PAGE};
        if (ioctl(watcher, UFFDIO_COPY, &c))
            die("UFFDIO_COPY");
    }
}

static void protect(unsigned long at, size_t bytes, unsigned long mode) {
    struct uffdio_writeprotect p = {{at, bytes}, mode};
    if (ioctl(watcher, UFFDIO_WRITEPROTECT, &p))
        die("UFFDIO_WRITEPROTECT");
}

static void *answer(void *unused) {
    struct uffd_msg m;
    while (read(watcher, &m, sizeof m) == sizeof m) {
        unsigned long at = m.arg.pagefault.address;
        if (m.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
            protect(at, PAGE, 0);
        else
            supply(at, PAGE);
    }
    return unused;
}

static char *watched(void) {
    char *p = anonymous(WATCHED * PAGE);
    struct uffdio_register r = {
        {(unsigned long)p, WATCHED * PAGE}, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP, 0};
    if (ioctl(watcher, UFFDIO_REGISTER, &r))
        die("UFFDIO_REGISTER");
    return p;
}

int main(void) {
    struct uffdio_api api = {.api = UFFD_API};
    const size_t size = WATCHED * PAGE;
    pthread_t thread;
    char *p;
    watcher = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (watcher < 0 || ioctl(watcher, UFFDIO_API, &api))
        return 0; /* a Linux that was built without it */
    LEAST("watched_copy", p = watched(), supply((unsigned long)p, size), WATCHED, munmap(p, size));
    if (pthread_create(&thread, NULL, answer, NULL)) /* it ends with the program */
        die("pthread_create");
    LEAST("watched_missing", p = watched(), look(p, size), WATCHED, munmap(p, size));
    LEAST("watched_guarded", p = watched(); supply((unsigned long)p, size);
          protect((unsigned long)p, size, UFFDIO_WRITEPROTECT_MODE_WP), touch(p, size), WATCHED, munmap(p, size));
    return 0;
}
