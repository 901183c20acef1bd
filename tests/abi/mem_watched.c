/* mem_watched.c - userfaultfd(2): what is told of accesses to watched memory, and what answers do. */
#include "abi.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#define ALL_MODES (UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR)
#define MISSING UFFDIO_REGISTER_MODE_MISSING
#define WP UFFDIO_REGISTER_MODE_WP
#define MINOR UFFDIO_REGISTER_MODE_MINOR

static int make_fd(int flags) { return (int)syscall(SYS_userfaultfd, flags); }

static int watcher(unsigned long features) {
    int fd = make_fd(O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
        abort();
    return fd;
}

static long watch(int fd, unsigned long page, unsigned long pages, unsigned long mode) {
    struct uffdio_register r = {{(unsigned long)at(page), pages * PAGE}, mode, 0};
    return ioctl(fd, UFFDIO_REGISTER, &r);
}

static long on_range(int fd, unsigned long command, unsigned long page, unsigned long pages) {
    struct uffdio_range r = {(unsigned long)at(page), pages * PAGE};
    return ioctl(fd, command, &r);
}
#define unwatch(fd, page, pages) on_range(fd, UFFDIO_UNREGISTER, page, pages)
#define wake(fd, page, pages) on_range(fd, UFFDIO_WAKE, page, pages)

static char supplied[8 * PAGE] __attribute__((aligned(4096)));

/* A call that says how far it came, in pages. */
static void came(long r, long far) {
    result(r);
    if (far < 0)
        note("%s", error_name((int)-far));
    else
        note("%ld pages", far / (long)PAGE);
}

static void copy(int fd, unsigned long page, unsigned long pages, unsigned long mode) {
    struct uffdio_copy c = {(unsigned long)at(page), (unsigned long)supplied, pages * PAGE, mode, 12345 * (long)PAGE};
    long r = ioctl(fd, UFFDIO_COPY, &c);
    came(r, c.copy);
}

static void zero(int fd, unsigned long page, unsigned long pages) {
    struct uffdio_zeropage z = {{(unsigned long)at(page), pages * PAGE}, 0, 12345 * (long)PAGE};
    long r = ioctl(fd, UFFDIO_ZEROPAGE, &z);
    came(r, z.zeropage);
}

static void go_on(int fd, unsigned long page, unsigned long pages) {
    struct uffdio_continue c = {{(unsigned long)at(page), pages * PAGE}, 0, 12345 * (long)PAGE};
    long r = ioctl(fd, UFFDIO_CONTINUE, &c);
    came(r, c.mapped);
}

static long protect(int fd, unsigned long page, unsigned long pages, unsigned long mode) {
    struct uffdio_writeprotect p = {{(unsigned long)at(page), pages * PAGE}, mode};
    return ioctl(fd, UFFDIO_WRITEPROTECT, &p);
}

static void polled(struct pollfd *p, int timeout) {
    int n = poll(p, 1, timeout);
    note("%d %#x", n, p->revents);
}

/* ---- a thread that answers ---- */

static char heard[4096]; /* what it was told */
static int handler_fd;
static unsigned long end_page = WINDOW; /* an access to it ends the thread; a new one each time */
static bool mute;                       /* it wakes and does not supply: for what is to be seen twice */
static pthread_t handler_thread;

static const char *flags_text(unsigned long flags) {
    static const char *texts[] = {"read", "write", "2", "write wp", "minor", "write minor", "6", "7"};
    return texts[flags & 7];
}

static void answer(const struct uffd_msg *m) {
    unsigned long page = (m->arg.pagefault.address - BASE) / PAGE;
    if (m->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
        protect(handler_fd, page, 1, 0);
    else if (m->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR) {
        struct uffdio_continue c = {{(unsigned long)at(page), PAGE}, 0, 0};
        ioctl(handler_fd, UFFDIO_CONTINUE, &c);
    } else {
        struct uffdio_copy c = {(unsigned long)at(page), (unsigned long)supplied, PAGE, 0, 0};
        ioctl(handler_fd, UFFDIO_COPY, &c);
    }
}

static void hear(const struct uffd_msg *m) {
    size_t n = strlen(heard);
    if (m->event == UFFD_EVENT_PAGEFAULT)
        snprintf(heard + n, sizeof heard - n, "%s%s %s", n ? ", " : "", flags_text(m->arg.pagefault.flags),
                 where((void *)m->arg.pagefault.address));
    else if (m->event == UFFD_EVENT_REMAP)
        snprintf(heard + n, sizeof heard - n, "%sremap %s+%llu to %s", n ? ", " : "", where((void *)m->arg.remap.from),
                 m->arg.remap.len / PAGE, where((void *)m->arg.remap.to));
    else if (m->event == UFFD_EVENT_FORK)
        snprintf(heard + n, sizeof heard - n, "%sfork", n ? ", " : "");
    else
        snprintf(heard + n, sizeof heard - n, "%s%s %s-%s", n ? ", " : "",
                 m->event == UFFD_EVENT_REMOVE  ? "remove"
                 : m->event == UFFD_EVENT_UNMAP ? "unmap"
                                                : "?",
                 where((void *)m->arg.remove.start), where((void *)m->arg.remove.end));
}

static volatile int child_fd = -1; /* what came with a fork */

static void *handle(void *argument) {
    struct pollfd p = {.fd = handler_fd, .events = POLLIN};
    (void)argument;
    for (;;) {
        struct uffd_msg m;
        if (poll(&p, 1, -1) < 0 || read(handler_fd, &m, sizeof m) != sizeof m)
            continue;
        if (m.event == UFFD_EVENT_PAGEFAULT && m.arg.pagefault.address == (unsigned long)at(end_page)) {
            struct uffdio_zeropage z = {{(unsigned long)at(end_page), PAGE}, 0, 0};
            ioctl(handler_fd, UFFDIO_ZEROPAGE, &z); /* the end */
            return NULL;
        }
        hear(&m);
        if (m.event == UFFD_EVENT_FORK)
            child_fd = (int)m.arg.fork.ufd;
        if (m.event == UFFD_EVENT_PAGEFAULT && !mute)
            answer(&m);
    }
}

static void begin_handler(int fd) {
    handler_fd = fd;
    heard[0] = 0;
    mute = false;
    if (map(--end_page, 1, RW, ANON, -1, 0) == MAP_FAILED || watch(fd, end_page, 1, MISSING))
        abort();
    if (pthread_create(&handler_thread, NULL, handle, NULL))
        abort();
}

/* Ends it by a fault of its own, so that all before was heard. */
static void end_handler(void) {
    *(volatile char *)at(end_page);
    pthread_join(handler_thread, NULL);
    note("heard: %s", heard);
}

static void access_all(const char *kinds, unsigned long page) {
    for (; *kinds; kinds++, page++)
        touch(*kinds, at(page));
}

/* ---- groups ---- */

static void making(void) {
    static const int flags[] = {0, O_CLOEXEC, O_NONBLOCK, UFFD_USER_MODE_ONLY, 2, 4, 0x40000000, -1};
    for (unsigned i = 0; i < countof(flags); i++) {
        ask("userfaultfd(%#x)", flags[i]);
        int fd = make_fd(flags[i]);
        result(fd < 0 ? -1 : 0);
        done();
        if (fd >= 0) {
            char name[64] = "", path[64];
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            ask("its name and flags (%#x)", flags[i]);
            note("%zd %s", readlink(path, name, sizeof name - 1), name);
            note("%#x", fcntl(fd, F_GETFL));
            note("%d", fcntl(fd, F_GETFD));
            done();
            close(fd);
        }
    }
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    ask("/dev/userfaultfd");
    result(device < 0 ? -1 : 0);
    done();
    for (unsigned i = 0; i < countof(flags); i++) {
        ask("USERFAULTFD_IOC_NEW(%#x)", flags[i]);
        result(ioctl(device, USERFAULTFD_IOC_NEW, (long)flags[i]) < 0 ? -1 : 0);
        done();
    }
    ask("another ioctl of the device");
    result(ioctl(device, UFFDIO_WAKE, 0));
    done();
}

static void making_as_a_user(void) {
    ordinary();
    ask("userfaultfd(0) of a user");
    result(make_fd(0) < 0 ? -1 : 0);
    done();
    ask("userfaultfd(odd) of a user");
    result(make_fd(2) < 0 ? -1 : 0);
    done();
    ask("userfaultfd(user mode only) of a user");
    int fd = make_fd(UFFD_USER_MODE_ONLY | O_NONBLOCK);
    result(fd < 0 ? -1 : 0);
    done();
    ask("UFFDIO_API with EVENT_FORK of a user");
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK};
    result(ioctl(fd, UFFDIO_API, &api));
    done();
    ask("/dev/userfaultfd of a user");
    result(open("/dev/userfaultfd", O_RDWR) < 0 ? -1 : 0);
    done();
}

static void agreeing(void) {
    static const struct {
        unsigned long api, features;
    } cases[] = {{UFFD_API, 0},
                 {UFFD_API, UFFD_API_FEATURES},
                 {UFFD_API, 1ul << 13},
                 {UFFD_API, 1ul << 63},
                 {0xab, 0},
                 {UFFD_API, UFFD_FEATURE_SIGBUS | UFFD_FEATURE_THREAD_ID}};
    for (unsigned i = 0; i < countof(cases); i++) {
        int fd = make_fd(O_NONBLOCK);
        struct uffdio_api api = {.api = cases[i].api, .features = cases[i].features, .ioctls = 77};
        ask("UFFDIO_API(%#lx, %#lx)", cases[i].api, cases[i].features);
        result(ioctl(fd, UFFDIO_API, &api));
        note("%#llx %#llx %#llx", api.api, api.features, api.ioctls);
        done();
        ask("... again (%u)", i);
        api = (struct uffdio_api){.api = UFFD_API};
        result(ioctl(fd, UFFDIO_API, &api));
        note("%#llx %#llx %#llx", api.api, api.features, api.ioctls);
        done();
        close(fd);
    }
    int fd = make_fd(O_NONBLOCK);
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    char buffer[64];
    ask("before UFFDIO_API: register, wake, read, poll");
    map(0, 4, RW, ANON, -1, 0);
    result(watch(fd, 0, 4, MISSING));
    result(wake(fd, 0, 4));
    result(read(fd, buffer, sizeof buffer));
    polled(&p, 0);
    done();
    ask("UFFDIO_API at no address");
    result(ioctl(fd, UFFDIO_API, 1));
    done();
    fd = watcher(0);
    p.fd = fd;
    ask("after it: read, short read, write, poll, seek, other ioctls");
    result(read(fd, buffer, sizeof buffer));
    result(read(fd, buffer, 31));
    result(write(fd, buffer, 32));
    polled(&p, 0);
    result(lseek(fd, 5, SEEK_SET));
    result(ioctl(fd, _IO(UFFDIO, 0x05), 0));
    result(ioctl(fd, UFFDIO_WAKE, 1));
    done();
    ask("poll of one that blocks");
    fcntl(fd, F_SETFL, 0);
    polled(&p, 0);
    done();
    ask("fdinfo");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    char *text = strstr(proc_text(path), "pending");
    for (char *c = text; c && *c; c++)
        *c = *c == '\n' || *c == '\t' ? ' ' : *c;
    note("%s", text ? text : "nothing");
    done();
}

static void registering(void) {
    static const unsigned long modes[] = {0, MISSING, WP, MINOR, MISSING | WP, MISSING | MINOR, ALL_MODES, 8};
    int fd = watcher(0), memory = file_of(4 * PAGE), named = named_file("watched-file", 4 * PAGE);
    for (unsigned i = 0; i < countof(modes); i++) {
        static const char *kinds[] = {"private", "shared", "memfd shared", "memfd private", "file", "hole"};
        for (unsigned kind = 0; kind < countof(kinds); kind++) {
            struct uffdio_register r = {{(unsigned long)at(0), 4 * PAGE}, modes[i], 77};
            clear();
            if (kind < 5)
                map(0, 4, RW,
                    kind == 0   ? ANON
                    : kind == 1 ? SHARED
                    : kind == 2 ? MAP_SHARED
                                : MAP_PRIVATE,
                    kind < 2    ? -1
                    : kind == 4 ? named
                                : memory,
                    0);
            ask("register %s, mode %lu", kinds[kind], modes[i]);
            result(ioctl(fd, UFFDIO_REGISTER, &r));
            note("%#llx", r.ioctls);
            done();
        }
    }
    static const struct {
        unsigned long start, bytes;
    } ranges[] = {{1, PAGE},
                  {0, PAGE + 1},
                  {0, 0},
                  {0, ~0ul},
                  {-1ul, PAGE},
                  {0, -PAGE},
                  {0x10000 - BASE, PAGE},
                  {0x7ffffffff000 - BASE, PAGE},
                  {0x7fffffffe000 - BASE, PAGE},
                  {0x800000000000 - BASE, PAGE}};
    clear();
    map(0, 4, RW, ANON, -1, 0);
    for (unsigned i = 0; i < countof(ranges); i++) {
        struct uffdio_register r = {{BASE + ranges[i].start, ranges[i].bytes}, MISSING, 77};
        if (i == 8)
            continue; /* the stack may be there */
        ask("register %#lx + %#lx", ranges[i].start, ranges[i].bytes);
        result(ioctl(fd, UFFDIO_REGISTER, &r));
        result(ioctl(fd, UFFDIO_UNREGISTER, &r.range));
        result(ioctl(fd, UFFDIO_WAKE, &r.range));
        done();
    }
    int other = watcher(0);
    clear();
    map(0, 2, RW, ANON, -1, 0);
    map(4, 4, RW, ANON, -1, 0);
    ask("register with holes, by two, partly");
    result(watch(fd, 0, 6, MISSING));
    result(watch(other, 5, 2, MISSING));
    result(watch(other, 6, 2, MISSING));
    result(watch(fd, 0, 1, WP));
    layout();
    smaps(0, "VmFlags");
    smaps(1, "VmFlags");
    smaps(6, "VmFlags");
    done();
    ask("unregister by another, twice, of nothing");
    result(unwatch(fd, 6, 2));
    result(unwatch(fd, 6, 2));
    result(unwatch(other, 0, 8));
    result(unwatch(other, 2, 2));
    smaps(0, "VmFlags");
    done();
    clear();
    map(0, 1, R, ANON, -1, 0);
    map(1, 1, NONE, ANON, -1, 0);
    map(2, 1, RW, ANON | MAP_NORESERVE, -1, 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    map(3, 1, R, MAP_SHARED, open(path, O_RDONLY), 0);
    ask("register what cannot be written now, or ever");
    for (unsigned long i = 0; i < 4; i++)
        result(watch(fd, i, 1, MISSING));
    done();
}

static void missing(void) {
    int fd = watcher(0), memory = file_of(2 * PAGE);
    memset(supplied, 'S', sizeof supplied);
    map(0, 4, RW, ANON, -1, 0);
    fill(3, 1, 50);
    watch(fd, 0, 4, MISSING);
    begin_handler(fd);
    ask("private: read, write, read, what is there");
    access_all("rwrr", 0);
    content(0, 4);
    end_handler();
    done();

    map(0, 4, RW, SHARED, -1, 0);
    fill(3, 1, 50);
    watch(fd, 0, 4, MISSING);
    begin_handler(fd);
    ask("shared: read, write, read, what is there");
    access_all("rwrr", 0);
    content(0, 4);
    end_handler();
    done();

    clear();
    map(0, 4, RW, MAP_PRIVATE, memory, 0);
    if (ftruncate(memory, 3 * PAGE))
        abort();
    watch(fd, 0, 4, MISSING);
    begin_handler(fd);
    ask("private of a memfd: its page, written, a hole, past its end");
    access_all("rwrr", 0);
    content(0, 3);
    end_handler();
    note("%d", (int)pread(memory, heard, 1, 2 * PAGE));
    done();

    clear();
    map(0, 4, RW, MAP_SHARED, memory, 0);
    map(8, 4, RW, MAP_SHARED, memory, 0);
    watch(fd, 0, 4, MISSING);
    begin_handler(fd);
    ask("shared of a memfd, seen at another place");
    access_all("rwr", 0);
    content(8, 3);
    end_handler();
    done();

    clear();
    map(0, 8, RW, ANON, -1, 0);
    watch(fd, 0, 8, MISSING);
    begin_handler(fd);
    ask("the kernel's accesses: read(2) to it, write(2) from it, getcwd");
    int ends[2];
    if (pipe(ends))
        abort();
    result(write(ends[1], at(0) + 100, 5));
    result(read(ends[0], at(1) + 7, 5));
    note("%s", getcwd(at(2) + PAGE - 2, 2 * PAGE) ? "path" : "none");
    end_handler();
    content(0, 3);
    done();

    clear();
    map(0, 8, RW, ANON, -1, 0);
    watch(fd, 0, 8, MISSING);
    begin_handler(fd);
    ask("advice, locks, discarded pages");
    result(madvise(at(0), 2 * PAGE, MADV_POPULATE_WRITE));
    result(mlock(at(2), PAGE));
    result(madvise(at(0), PAGE, MADV_DONTNEED));
    touch('r', at(0));
    result(mincore(at(0), 4 * PAGE, (unsigned char *)supplied + PAGE));
    note("%d%d%d%d", supplied[PAGE] & 1, supplied[PAGE + 1] & 1, supplied[PAGE + 2] & 1, supplied[PAGE + 3] & 1);
    end_handler();
    done();

    clear();
    map(0, 8, NONE, ANON, -1, 0);
    watch(fd, 0, 8, MISSING);
    begin_handler(fd);
    ask("what its protection forbids");
    access_all("rw", 0);
    mprotect(at(0), 2 * PAGE, R);
    access_all("wr", 0);
    end_handler();
    layout_of(0, 8);
    done();
}

static void answers(void) {
    int fd = watcher(0), memory = file_of(2 * PAGE);
    memset(supplied, 'S', sizeof supplied);
    map(0, 8, RW, ANON, -1, 0);
    watch(fd, 0, 6, MISSING);
    ask("copy 2 pages, again");
    copy(fd, 0, 2, 0);
    copy(fd, 0, 2, 0);
    content(0, 1);
    done();
    ask("copy up to what is there");
    copy(fd, 2, 1, 0);
    unwatch(fd, 0, 6);
    fill(4, 1, 9);
    watch(fd, 0, 6, MISSING);
    copy(fd, 3, 2, 0);
    copy(fd, 5, 1, 0);
    content(0, 6);
    done();
    ask("copy where nobody watches, across, nowhere");
    copy(fd, 6, 1, 0);
    copy(fd, 5, 2, 0);
    copy(fd, 20, 1, 0);
    done();
    ask("copy with odd modes, addresses, lengths");
    copy(fd, 0, 1, 4);
    copy(fd, 0, 1, UFFDIO_COPY_MODE_WP);
    copy(fd, 0, 0, 0);
    struct uffdio_copy c = {(unsigned long)at(5), 16, PAGE, 0, 77};
    result(ioctl(fd, UFFDIO_COPY, &c));
    note("%lld", c.copy);
    c = (struct uffdio_copy){(unsigned long)at(5) + 1, (unsigned long)supplied, PAGE, 0, 77};
    result(ioctl(fd, UFFDIO_COPY, &c));
    note("%lld", c.copy);
    c = (struct uffdio_copy){(unsigned long)at(5), -PAGE, PAGE, 0, 77};
    result(ioctl(fd, UFFDIO_COPY, &c));
    note("%lld", c.copy);
    c = (struct uffdio_copy){(unsigned long)at(5), (unsigned long)supplied + 1, PAGE, 0, 77};
    result(ioctl(fd, UFFDIO_COPY, &c));
    note("%lld", c.copy);
    done();
    clear();
    map(0, 8, RW, ANON, -1, 0);
    watch(fd, 0, 6, MISSING);
    ask("zero pages, again; then written");
    zero(fd, 0, 2);
    zero(fd, 1, 2);
    content(0, 1);
    touch('w', at(0));
    content(0, 1);
    zero(fd, 6, 1);
    go_on(fd, 2, 1);
    done();
    ask("write protection where it is not watched for");
    result(protect(fd, 0, 1, UFFDIO_WRITEPROTECT_MODE_WP));
    result(protect(fd, 0, 1, 0));
    result(protect(fd, 0, 1, 4));
    result(protect(fd, 0, 1, 3));
    done();
    clear();
    map(0, 4, RW, MAP_SHARED, memory, 0);
    map(8, 4, RW, MAP_SHARED, memory, 0);
    watch(fd, 0, 4, MISSING | MINOR);
    if (ftruncate(memory, 3 * PAGE))
        abort();
    ask("shared memfd: copy over its page, to a hole, past its end; zero; continue");
    copy(fd, 0, 1, 0);
    copy(fd, 2, 1, 0);
    copy(fd, 3, 1, 0);
    zero(fd, 2, 1);
    zero(fd, 3, 1);
    go_on(fd, 0, 1);
    go_on(fd, 0, 1);
    go_on(fd, 3, 1);
    content(8, 3);
    done();
    ask("a hole zeroed, then continued; what is continued is the file's");
    if (ftruncate(memory, 4 * PAGE))
        abort();
    go_on(fd, 3, 1);
    zero(fd, 3, 1);
    go_on(fd, 3, 1);
    touch('w', at(3));
    content(8, 4);
    done();
    clear();
    map(0, 4, RW, MAP_PRIVATE, memory, 0);
    watch(fd, 0, 4, MISSING | MINOR);
    ask("private memfd: copy over its page, zero, continue; the file is as it was");
    copy(fd, 0, 1, 0);
    zero(fd, 1, 1);
    go_on(fd, 2, 1);
    content(0, 3);
    char file[4] = "";
    for (int i = 0; i < 3; i++)
        if (pread(memory, file + i, 1, i * (long)PAGE) != 1)
            abort();
    note("%s", file);
    done();
    clear();
    map(0, 2, R, ANON, -1, 0);
    map(2, 2, NONE, ANON, -1, 0);
    watch(fd, 0, 4, MISSING);
    ask("copy to what may only be read, to what may not");
    copy(fd, 0, 1, 0);
    copy(fd, 2, 1, 0);
    access_all("rwr", 0);
    touch('w', at(0));
    mprotect(at(0), 4 * PAGE, RW);
    content(0, 1);
    content(2, 1);
    touch('w', at(0));
    touch('w', at(2));
    done();
}

static unsigned long pagemap(unsigned long page) {
    unsigned long word = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    if (pread(fd, &word, 8, (off_t)(((unsigned long)at(page)) / PAGE * 8)) != 8)
        abort();
    close(fd);
    return word;
}

/* Of each page: is it said to be write-protected? */
static void guards(unsigned long page, unsigned long pages) {
    char text[64];
    for (unsigned long i = 0; i < pages; i++)
        text[i] = pagemap(page + i) >> 57 & 1 ? 'p' : '.';
    text[pages] = 0;
    note("%s", text);
}

static void protecting(void) {
    int fd = watcher(0), memory = file_of(4 * PAGE);
    memset(supplied, 'S', sizeof supplied);
    map(0, 8, RW, ANON, -1, 0);
    fill(0, 4, 1);
    watch(fd, 0, 8, WP);
    begin_handler(fd);
    ask("private: protected pages, what is not there; read, written");
    result(protect(fd, 0, 8, UFFDIO_WRITEPROTECT_MODE_WP));
    guards(0, 8);
    access_all("rwrwrw", 0);
    guards(0, 8);
    content(0, 6);
    end_handler();
    done();

    clear();
    map(0, 8, RW, SHARED, -1, 0);
    fill(0, 4, 1);
    watch(fd, 0, 8, WP);
    begin_handler(fd);
    ask("shared: protected pages, what is not there; read, written");
    result(protect(fd, 0, 8, UFFDIO_WRITEPROTECT_MODE_WP));
    guards(0, 8);
    access_all("rwrwrw", 0);
    guards(0, 8);
    content(0, 6);
    end_handler();
    done();

    clear();
    map(0, 4, RW, MAP_PRIVATE, memory, 0);
    touch('w', at(0));
    touch('r', at(1));
    watch(fd, 0, 4, WP);
    begin_handler(fd);
    ask("private memfd: a copy, what was read, what was not");
    result(protect(fd, 0, 4, UFFDIO_WRITEPROTECT_MODE_WP));
    guards(0, 4);
    access_all("wwwr", 0);
    guards(0, 4);
    end_handler();
    done();

    clear();
    map(0, 4, RW, ANON, -1, 0);
    fill(0, 4, 1);
    watch(fd, 0, 4, WP);
    ask("protected, then let go: nobody hears");
    result(protect(fd, 0, 4, UFFDIO_WRITEPROTECT_MODE_WP));
    result(protect(fd, 0, 2, 0));
    guards(0, 4);
    access_all("ww", 0);
    result(unwatch(fd, 2, 1));
    guards(0, 4);
    touch('w', at(2));
    result(watch(fd, 2, 1, WP));
    guards(0, 4);
    done();

    ask("protected pages: mprotect, discard, advice, moved");
    result(protect(fd, 0, 4, UFFDIO_WRITEPROTECT_MODE_WP));
    result(mprotect(at(0), 4 * PAGE, R));
    result(mprotect(at(0), 4 * PAGE, RW));
    guards(0, 4);
    result(mprotect(at(0), 4 * PAGE, NONE));
    result(mprotect(at(0), 4 * PAGE, RW));
    guards(0, 4);
    result(madvise(at(0), PAGE, MADV_DONTNEED));
    guards(0, 4);
    placed(mremap(at(3), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(9)));
    smaps(9, "VmFlags");
    touch('w', at(9));
    content(9, 1);
    done();

    clear();
    map(0, 8, RW, ANON, -1, 0);
    watch(fd, 0, 8, MISSING | WP);
    begin_handler(fd);
    ask("copied protected");
    copy(fd, 0, 2, UFFDIO_COPY_MODE_WP);
    copy(fd, 2, 1, 0);
    guards(0, 4);
    access_all("rwww", 0);
    guards(0, 4);
    content(0, 4);
    end_handler();
    done();

    clear();
    map(0, 4, RW, ANON, -1, 0);
    fill(0, 4, 1);
    watch(fd, 0, 4, WP);
    protect(fd, 0, 4, UFFDIO_WRITEPROTECT_MODE_WP);
    ask("protected pages and fork");
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        guards(0, 4);
        smaps(0, "VmFlags");
        access_all("ww", 0);
        content(0, 4);
        done();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    ask("... and the parent's");
    guards(0, 4);
    content(0, 4);
    done();

    ask("protect across two mappings, unmapped, odd");
    mprotect(at(2), 2 * PAGE, R);
    result(protect(fd, 0, 4, UFFDIO_WRITEPROTECT_MODE_WP));
    result(protect(fd, 0, 2, UFFDIO_WRITEPROTECT_MODE_WP));
    result(protect(fd, 20, 2, UFFDIO_WRITEPROTECT_MODE_WP));
    result(protect(fd, 0, 0, UFFDIO_WRITEPROTECT_MODE_WP));
    done();
}

static void minor(void) {
    int fd = watcher(0), memory = file_of(4 * PAGE);
    if (ftruncate(memory, 6 * PAGE))
        abort();
    map(0, 8, RW, MAP_SHARED, memory, 0);
    watch(fd, 0, 8, MINOR);
    begin_handler(fd);
    ask("minor: read, written, neighbours, a hole, past the end");
    access_all("rwrrwrr", 0);
    end_handler();
    content(0, 6);
    done();
    ask("minor again after a discard");
    begin_handler(fd);
    result(madvise(at(0), 2 * PAGE, MADV_DONTNEED));
    touch('r', at(0));
    touch('r', at(2));
    end_handler();
    done();
}

static void details(void) {
    int fd = watcher(UFFD_FEATURE_EXACT_ADDRESS | UFFD_FEATURE_THREAD_ID);
    struct uffd_msg m;
    map(0, 4, RW, ANON, -1, 0);
    watch(fd, 0, 4, MISSING);
    begin_handler(fd);
    ask("exact addresses");
    touch('r', at(0) + 5);
    touch('w', at(1) + 4095);
    end_handler();
    done();
    fd = watcher(UFFD_FEATURE_SIGBUS);
    watch(fd, 2, 2, MISSING);
    clear();
    map(0, 4, RW, ANON, -1, 0);
    watch(fd, 0, 4, MISSING);
    ask("with SIGBUS");
    access_all("rw", 0);
    result(read(fd, &m, sizeof m));
    int ends[2];
    if (pipe(ends))
        abort();
    result(write(ends[1], at(0), 1));
    copy(fd, 0, 1, 0);
    touch('r', at(0));
    done();
    fd = make_fd(O_NONBLOCK | UFFD_USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API};
    ioctl(fd, UFFDIO_API, &api);
    clear();
    map(0, 4, RW, ANON, -1, 0);
    watch(fd, 0, 4, MISSING);
    begin_handler(fd);
    ask("of the user's mode only");
    result(write(ends[1], at(0), 1));
    touch('r', at(0));
    end_handler();
    done();
    ask("closed: what was watched is plain memory");
    close(fd);
    touch('r', at(2));
    smaps(0, "VmFlags");
    done();
    ask("a debugger's eye: /proc/self/mem, process_vm_readv");
    fd = watcher(0);
    clear();
    map(0, 4, RW, ANON, -1, 0);
    watch(fd, 0, 4, MISSING);
    int mem = open("/proc/self/mem", O_RDWR);
    char byte = 0;
    result(pread(mem, &byte, 1, (off_t)BASE));
    result(pwrite(mem, "x", 1, (off_t)BASE));
    begin_handler(fd);
    struct iovec local = {&byte, 1}, remote = {at(1), 1};
    result(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
    note("%d", byte);
    end_handler();
    done();
    ask("through exec's end of memory: its ioctls");
    int pipe_ends[2];
    if (pipe(pipe_ends))
        abort();
    fflush(stdout);
    fd = make_fd(0);
    ioctl(fd, UFFDIO_API, &api);
    pid_t pid = fork();
    if (!pid) {
        result(watch(fd, 0, 4, MISSING)); /* of the parent's memory */
        result(wake(fd, 0, 4));
        done();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void *toucher(void *argument) {
    *(volatile char *)argument;
    return NULL;
}

static void interrupted(int number) { (void)number; }

static void waking(void) {
    int fd = watcher(0);
    struct uffd_msg m[4];
    pthread_t threads[3];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    memset(supplied, 'S', sizeof supplied);
    map(0, 4, RW, ANON, -1, 0);
    watch(fd, 0, 4, MISSING);
    ask("one waits: poll, read, supplied without waking, woken");
    pthread_create(&threads[0], NULL, toucher, at(0));
    polled(&p, -1);
    result(read(fd, m, sizeof m));
    note("%s %s", flags_text(m[0].arg.pagefault.flags), where((void *)m[0].arg.pagefault.address));
    note("%d", poll(&p, 1, 0));
    copy(fd, 0, 1, UFFDIO_COPY_MODE_DONTWAKE);
    result(wake(fd, 1, 1));
    result(wake(fd, 0, 1));
    pthread_join(threads[0], NULL);
    done();
    ask("woken without an answer: it asks again");
    pthread_create(&threads[0], NULL, toucher, at(1));
    poll(&p, 1, -1);
    result(read(fd, m, sizeof m));
    result(wake(fd, 1, 1));
    note("%d", poll(&p, 1, -1));
    result(read(fd, m, sizeof m));
    zero(fd, 1, 1);
    pthread_join(threads[0], NULL);
    done();
    ask("unregistered while one waits");
    pthread_create(&threads[0], NULL, toucher, at(2));
    poll(&p, 1, -1);
    result(unwatch(fd, 2, 1));
    pthread_join(threads[0], NULL);
    content(2, 1);
    done();
    ask("a signal ends a wait, and the access asks again");
    struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&threads[0], NULL, toucher, at(3));
    poll(&p, 1, -1);
    result(read(fd, m, sizeof m));
    pthread_kill(threads[0], SIGUSR1);
    note("%d", poll(&p, 1, -1));
    result(read(fd, m, sizeof m));
    zero(fd, 3, 1);
    pthread_join(threads[0], NULL);
    done();
    ask("closed while one waits");
    clear();
    map(0, 4, RW, ANON, -1, 0);
    watch(fd, 0, 4, MISSING);
    pthread_create(&threads[0], NULL, toucher, at(0));
    poll(&p, 1, -1);
    close(fd);
    pthread_join(threads[0], NULL);
    content(0, 1);
    done();
    ask("killed while it waits");
    fd = watcher(0);
    clear();
    map(0, 4, RW, SHARED, -1, 0);
    fflush(stdout);
    int told[2];
    if (pipe(told))
        abort();
    pid_t pid = fork();
    if (!pid) {
        int own = watcher(0);
        char c = 0;
        watch(own, 0, 4, MISSING);
        if (write(told[1], &c, 1) != 1)
            abort();
        *(volatile char *)at(0);
        _exit(1);
    }
    char c;
    int status;
    if (read(told[0], &c, 1) != 1)
        abort();
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    note("%d", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    done();
}

#define NEWS (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP)

static void news(void) {
    int fd = watcher(NEWS);
    memset(supplied, 'S', sizeof supplied);
    map(0, 16, RW, ANON, -1, 0);
    fill(0, 16, 1);
    watch(fd, 0, 16, MISSING | WP);
    begin_handler(fd);
    ask("discarded, freed, unmapped, mapped over");
    result(madvise(at(0), 2 * PAGE, MADV_DONTNEED));
    touch('r', at(0));
    result(madvise(at(2), PAGE, MADV_FREE));
    result(madvise(at(2), PAGE, MADV_COLD));
    result(munmap(at(3), PAGE));
    result(munmap(at(2), 3 * PAGE));
    placed(map(6, 1, RW, ANON, -1, 0));
    result(munmap(at(6), PAGE));
    result(munmap(at(40), PAGE));
    end_handler();
    done();
    begin_handler(fd);
    ask("moved: followed; shrunk; moved in part");
    result(protect(fd, 8, 2, UFFDIO_WRITEPROTECT_MODE_WP));
    placed(mremap(at(8), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(20)));
    smaps(20, "VmFlags");
    guards(20, 4);
    touch('r', at(21));
    touch('w', at(20));
    placed(mremap(at(20), 4 * PAGE, 2 * PAGE, 0));
    placed(mremap(at(20), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, at(30)));
    smaps(20, "VmFlags");
    smaps(30, "VmFlags");
    end_handler();
    done();
    begin_handler(fd);
    ask("fork: the child's memory comes with a descriptor");
    map(50, 2, RW, ANON, -1, 0);
    watch(fd, 50, 2, MISSING);
    int ends[2];
    if (pipe(ends))
        abort();
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        char c;
        if (read(ends[0], &c, 1) != 1)
            abort();
        touch('r', at(50)); /* the parent supplies it */
        smaps(50, "VmFlags");
        done();
        _exit(0);
    }
    while (child_fd < 0) /* the fork goes on as soon as its news are read */
        sched_yield();
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", child_fd);
    note("%zd %s", readlink(path, name, sizeof name - 1), name);
    if (write(ends[1], "x", 1) != 1)
        abort();
    struct pollfd p = {.fd = child_fd, .events = POLLIN};
    struct uffd_msg m;
    poll(&p, 1, -1);
    result(read(child_fd, &m, sizeof m));
    note("%s %s", flags_text(m.arg.pagefault.flags), where((void *)m.arg.pagefault.address));
    struct uffdio_copy c = {(unsigned long)at(50), (unsigned long)supplied, PAGE, 0, 0};
    result(ioctl(child_fd, UFFDIO_COPY, &c));
    waitpid(pid, NULL, 0);
    result(ioctl(child_fd, UFFDIO_COPY, &c));
    end_handler();
    done();
}

static void moved(void) {
    int fd = watcher(0);
    map(0, 8, RW, ANON, -1, 0);
    fill(0, 2, 1);
    watch(fd, 0, 8, MISSING);
    ask("moved without news: no longer watched; DONTUNMAP: the old place is");
    placed(mremap(at(0), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, at(20)));
    smaps(0, "VmFlags");
    smaps(20, "VmFlags");
    content(20, 2);
    begin_handler(fd);
    touch('r', at(0));
    end_handler();
    placed(mremap(at(4), 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(30)));
    smaps(30, "VmFlags");
    content(30, 3);
    layout();
    done();
}

int main(void) {
    GROUP(making);
    GROUP(making_as_a_user);
    GROUP(agreeing);
    GROUP(registering);
    GROUP(missing);
    GROUP(answers);
    GROUP(protecting);
    GROUP(minor);
    GROUP(details);
    GROUP(waking);
    GROUP(news);
    GROUP(moved);
    return 0;
}
