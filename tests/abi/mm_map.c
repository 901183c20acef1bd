/* mm_map.c - mmap(2): every flag, every error, where a mapping goes, what it then is; munmap(2). */
#include "abi.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* Linux 6.11 */
#endif
#ifndef MAP_UNINITIALIZED
#define MAP_UNINITIALIZED 0x4000000
#endif

struct flag {
    const char *name;
    int bits;
};
static const struct flag types[] = {
    {"0", 0},      {"SHARED", MAP_SHARED},       {"PRIVATE", MAP_PRIVATE}, {"VALIDATE", MAP_SHARED_VALIDATE},
    {"type 4", 4}, {"DROPPABLE", MAP_DROPPABLE}, {"type 15", 15}};
static const struct flag extras[] = {{"nothing", 0},
                                     {"FIXED", MAP_FIXED},
                                     {"FIXED_NOREPLACE", MAP_FIXED_NOREPLACE},
                                     {"FIXED+NOREPLACE", MAP_FIXED | MAP_FIXED_NOREPLACE},
                                     {"32BIT", MAP_32BIT},
                                     {"GROWSDOWN", MAP_GROWSDOWN},
                                     {"DENYWRITE", MAP_DENYWRITE},
                                     {"EXECUTABLE", MAP_EXECUTABLE},
                                     {"LOCKED", MAP_LOCKED},
                                     {"NORESERVE", MAP_NORESERVE},
                                     {"POPULATE", MAP_POPULATE},
                                     {"NONBLOCK", MAP_NONBLOCK},
                                     {"POPULATE+NONBLOCK", MAP_POPULATE | MAP_NONBLOCK},
                                     {"LOCKED+NONBLOCK", MAP_LOCKED | MAP_NONBLOCK},
                                     {"STACK", MAP_STACK},
                                     {"HUGETLB", MAP_HUGETLB},
                                     {"HUGETLB 2M", MAP_HUGETLB | 21 << MAP_HUGE_SHIFT},
                                     {"HUGETLB 1G", MAP_HUGETLB | 30 << MAP_HUGE_SHIFT},
                                     {"HUGETLB 1M", MAP_HUGETLB | 20 << MAP_HUGE_SHIFT},
                                     {"SYNC", MAP_SYNC},
                                     {"UNINITIALIZED", MAP_UNINITIALIZED},
                                     {"bit 0x80", 0x80},
                                     {"bit 0x200", 0x200},
                                     {"bit 0x200000", 0x200000},
                                     {"bit 31", (int)0x80000000}};

static int resident(unsigned long page) {
    unsigned char c = 9;
    return mincore(at(page), PAGE, &c) ? -1 : c & 1;
}

/* Every type × every flag × (anonymous, file, a file that can only be read). Hint: page 4. */
static void flags_of(const char *what, int fd, int anonymous) {
    for (size_t t = 0; t < countof(types); t++)
        for (size_t e = 0; e < countof(extras); e++) {
            clear();
            ask("mmap %s %s %s", what, types[t].name, extras[e].name);
            char *p = mmap(at(4), 2 * PAGE, R, types[t].bits | extras[e].bits | anonymous, fd, 0);
            if (extras[e].bits & MAP_32BIT && p != MAP_FAILED) {
                note("%s 2 GiB", p < (char *)(1ul << 31) ? "below" : "above");
                munmap(p, 2 * PAGE);
                done();
                continue;
            }
            placed(p);
            if (p != MAP_FAILED) {
                layout();
                note("flags %s", smaps_text(4, "VmFlags"));
                note("resident %d%d", resident(4), resident(5));
                touch('r', p);
                touch('w', p);
            }
            done();
        }
}

static void flags_anonymous(void) { flags_of("anonymous", -1, MAP_ANONYMOUS); }
static void flags_file(void) { flags_of("file", file_of(2 * PAGE), 0); }
static void flags_named(void) { flags_of("named", named_file("named", 2 * PAGE), 0); }

static void flags_read_only(void) {
    named_file("readonly", 2 * PAGE);
    flags_of("O_RDONLY", open("readonly", O_RDONLY), 0);
}

static void ordinary_flags(void) {
    ordinary();
    limit(RLIMIT_MEMLOCK, 4 * PAGE);
    static const struct flag some[] = {
        {"LOCKED", MAP_LOCKED}, {"HUGETLB", MAP_HUGETLB}, {"LOCKED+POPULATE", MAP_LOCKED | MAP_POPULATE}};
    for (size_t i = 0; i < countof(some); i++)
        for (unsigned long pages = 1; pages <= 16; pages *= 2) {
            clear();
            ask("ordinary user, 4 pages may be locked: %s %lu", some[i].name, pages);
            placed(mmap(at(0), pages * PAGE, RW, ANON | some[i].bits, -1, 0));
            status("VmLck");
            done();
        }
    limit(RLIMIT_MEMLOCK, 0);
    ask("ordinary user, nothing may be locked: LOCKED");
    placed(mmap(at(0), PAGE, RW, ANON | MAP_LOCKED, -1, 0));
    done();
}

/* Rights of the descriptor × type × protection. */
static void descriptors(void) {
    static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_PATH, O_RDWR | O_APPEND, O_WRONLY | O_APPEND};
    static const char *const names[] = {"RDONLY", "WRONLY", "RDWR", "PATH", "RDWR APPEND", "WRONLY APPEND"};
    static const int kinds[] = {MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE};
    static const char *const kind_names[] = {"SHARED", "PRIVATE", "VALIDATE"};
    named_file("rights", 2 * PAGE);
    for (size_t m = 0; m < countof(modes); m++) {
        int fd = open("rights", modes[m]);
        for (size_t k = 0; k < countof(kinds); k++)
            for (int prot = 0; prot < 8; prot++) {
                ask("fd %s, %s, prot %d", names[m], kind_names[k], prot);
                char *p = mmap(at(0), PAGE, prot, kinds[k] | MAP_FIXED, fd, 0);
                placed(p);
                if (p != MAP_FAILED)
                    for (int then = 0; then < 8; then++)
                        if (mprotect(p, PAGE, then))
                            note("then %d %s", then, error_name(errno));
                done();
            }
        close(fd);
    }
}

static void try_fd(const char *what, int fd, int prot, int flags) {
    ask("descriptor %s, prot %d, flags %#x", what, prot, (unsigned)flags);
    placed(mmap(at(0), PAGE, prot, flags, fd, 0));
    done();
    clear();
}

static void kinds_of_descriptor(void) {
    int ends[2], dev[] = {open("/dev/null", O_RDWR), open("/dev/zero", O_RDWR), open("/dev/full", O_RDWR),
                          open("/dev/urandom", O_RDWR)};
    static const char *const names[] = {"null", "zero", "full", "urandom"};
    if (pipe(ends))
        abort();
    for (int shared = 0; shared < 2; shared++) {
        int type = shared ? MAP_SHARED : MAP_PRIVATE;
        for (size_t i = 0; i < countof(dev); i++)
            try_fd(names[i], dev[i], RW, type);
        try_fd("closed", 99, R, type);
        try_fd("-1", -1, R, type);
        try_fd("AT_FDCWD", AT_FDCWD, R, type);
        try_fd("pipe", ends[0], R, type);
        try_fd("directory", open(".", O_RDONLY), R, type);
        try_fd("/proc/self/maps", open("/proc/self/maps", O_RDONLY), R, type);
        try_fd("/proc/self/mem", open("/proc/self/mem", O_RDWR), R, type);
        try_fd("closed, but anonymous", 99, R, type | MAP_ANONYMOUS);
        try_fd("-1, but no anonymous flag and huge", -1, R, type | MAP_HUGETLB);
        try_fd("file, huge", file_of(PAGE), R, type | MAP_HUGETLB);
    }
}

static void zero_device(void) {
    int fd = open("/dev/zero", O_RDWR);
    ask("/dev/zero private, offset 3");
    placed(map(0, 2, RW, MAP_PRIVATE, fd, 3));
    touch('r', at(0)), touch('w', at(0)), touch('r', at(0)), touch('r', at(1));
    layout();
    done();
    ask("/dev/zero shared, offset 3");
    placed(map(4, 2, RW, MAP_SHARED, fd, 3));
    touch('r', at(4)), touch('w', at(4)), touch('r', at(4)), touch('r', at(5));
    layout_of(4, 6);
    done();
    ask("/dev/zero shared again is other memory");
    placed(map(8, 2, RW, MAP_SHARED, fd, 3));
    touch('r', at(8));
    done();
}

/* Lengths and offsets at the corners. */
static void corners(void) {
    static const unsigned long lengths[] = {
        0,         1,         PAGE - 1,  PAGE,  PAGE + 1,  1ul << 46, (1ul << 47) - 2 * PAGE, (1ul << 47) - PAGE,
        1ul << 47, 1ul << 63, -2 * PAGE, -PAGE, -PAGE + 1, ~0ul};
    static const long offsets[] = {0,
                                   1,
                                   PAGE - 1,
                                   PAGE,
                                   3 * PAGE,
                                   1l << 46,
                                   (long)(1ul << 63),
                                   -(long)PAGE,
                                   -2 * (long)PAGE,
                                   LONG_MAX & -(long)PAGE,
                                   (LONG_MAX & -(long)PAGE) - (long)PAGE};
    int fd = file_of(2 * PAGE);
    for (size_t l = 0; l < countof(lengths); l++) {
        ask("anonymous length %#lx", lengths[l]);
        char *p = mmap(NULL, lengths[l], NONE, ANON | MAP_NORESERVE, -1, 0);
        note("%s", p == MAP_FAILED ? error_name(errno) : "ok");
        if (p != MAP_FAILED)
            munmap(p, lengths[l]);
        done();
        for (size_t o = 0; o < countof(offsets); o++) {
            if (lengths[l] > PAGE + 1 && lengths[l] < 1ul << 63)
                continue;
            ask("file length %#lx offset %#lx", lengths[l], (unsigned long)offsets[o]);
            p = (char *)syscall(SYS_mmap, at(0), lengths[l], R, MAP_SHARED | MAP_FIXED, fd, offsets[o]);
            placed(p);
            if (p != MAP_FAILED)
                layout(), touch('r', p);
            done();
            clear();
        }
    }
    ask("anonymous, offset 1"), placed(mmap(at(0), PAGE, R, ANON, -1, 1)), done();
    ask("anonymous, offset 5 pages"), placed(mmap(at(0), PAGE, R, ANON, -1, 5 * PAGE)), layout(), done();
    for (int bit = 3; bit < 32; bit++) {
        clear();
        ask("prot bit %d", bit);
        placed((char *)syscall(SYS_mmap, at(0), PAGE, R | 1ul << bit, ANON, -1, 0));
        layout(), done();
    }
    ask("prot bit 40"), placed((char *)syscall(SYS_mmap, at(0), PAGE, R | 1ul << 40, ANON, -1, 0)), done();
    ask("flag bit 40"), placed((char *)syscall(SYS_mmap, at(4), PAGE, R, ANON | 1ul << 40, -1, 0)), done();
}

/* Hints: free, taken, odd, too low, too high; FIXED at the ends of the address space. */
static void hints(void) {
    static const unsigned long addresses[] = {1,
                                              0xfff,
                                              0x1000,
                                              0xf000,
                                              0xffff,
                                              0x10000,
                                              0x10001,
                                              (1ul << 47) - 3 * PAGE,
                                              (1ul << 47) - 2 * PAGE,
                                              (1ul << 47) - PAGE,
                                              1ul << 47,
                                              1ul << 48,
                                              1ul << 56,
                                              1ul << 63,
                                              -2 * PAGE,
                                              -PAGE,
                                              ~0ul};
    static const struct flag how[] = {{"hint", 0}, {"FIXED", MAP_FIXED}, {"NOREPLACE", MAP_FIXED_NOREPLACE}};
    for (int user = 0; user < 2; user++) {
        if (user)
            ordinary();
        for (size_t h = 0; h < countof(how); h++)
            for (size_t a = 0; a < countof(addresses); a++) {
                ask("%s %s %#lx", user ? "ordinary" : "root", how[h].name, addresses[a]);
                char *p = mmap((void *)addresses[a], PAGE, R, ANON | how[h].bits, -1, 0);
                note("%s", p == MAP_FAILED                ? error_name(errno)
                           : p == (char *)addresses[a]    ? "there"
                           : (unsigned long)p < 1ul << 20 ? where(p)
                                                          : "elsewhere");
                if (p != MAP_FAILED)
                    munmap(p, PAGE);
                done();
            }
    }
    map(8, 4, R, ANON, -1, 0);
    static const unsigned long pages[] = {4, 7, 8, 11, 12};
    for (size_t h = 0; h < countof(how); h++)
        for (size_t i = 0; i < countof(pages); i++)
            for (unsigned long n = 1; n < 8; n += 3) {
                clear();
                map(8, 4, R, ANON, -1, 0);
                ask("8-12 taken, %s %lu, %lu pages", how[h].name, pages[i], n);
                placed(mmap(at(pages[i]), n * PAGE, RW, ANON | how[h].bits, -1, 0));
                layout(), done();
            }
    clear();
    ask("hint 3+5"), placed(mmap(at(3) + 5, PAGE, R, ANON, -1, 0)), done();
    ask("FIXED 5+5"), placed(mmap(at(5) + 5, PAGE, R, ANON | MAP_FIXED, -1, 0)), done();
    ask("hint 7+4095, 2 pages taken"), map(7, 1, R, SHARED, -1, 0), placed(mmap(at(7) + 4095, PAGE, R, ANON, -1, 0)),
        done();
    ask("32BIT with a hint above 4 GiB"),
        note("%d", (unsigned long)mmap(at(20), PAGE, R, ANON | MAP_32BIT, -1, 0) < 1ul << 31), done();
    ask("32BIT with FIXED above 4 GiB"), placed(mmap(at(20), PAGE, R, ANON | MAP_32BIT | MAP_FIXED, -1, 0)), done();
    ask("32BIT, 2 GiB"),
        note("%s", mmap(NULL, 1ul << 31, NONE, ANON | MAP_32BIT | MAP_NORESERVE, -1, 0) == MAP_FAILED
                       ? error_name(errno)
                       : "ok"),
        done();
}

/* What stands beside what: joined or not. */
static void joined(void) {
    static const struct {
        const char *what;
        int prot[2], flags[2], offset[2];
    } pairs[] = {{"equal private", {RW, RW}, {MAP_PRIVATE, MAP_PRIVATE}, {0, 1}},
                 {"equal shared", {RW, RW}, {MAP_SHARED, MAP_SHARED}, {0, 1}},
                 {"offset goes back", {RW, RW}, {MAP_SHARED, MAP_SHARED}, {1, 0}},
                 {"other rights", {RW, R}, {MAP_SHARED, MAP_SHARED}, {0, 1}},
                 {"private beside shared", {RW, RW}, {MAP_PRIVATE, MAP_SHARED}, {0, 1}},
                 {"same page twice", {RW, RW}, {MAP_SHARED, MAP_SHARED}, {0, 0}}};
    int fd = file_of(4 * PAGE);
    for (size_t i = 0; i < countof(pairs); i++) {
        clear();
        map(0, 1, pairs[i].prot[0], pairs[i].flags[0], fd, (unsigned long)pairs[i].offset[0]);
        map(1, 1, pairs[i].prot[1], pairs[i].flags[1], fd, (unsigned long)pairs[i].offset[1]);
        ask("neighbours: %s", pairs[i].what), layout(), content(0, 2), done();
    }
    clear();
    ask("neighbours: anonymous, three at once"), map(0, 1, RW, ANON, -1, 0), map(2, 1, RW, ANON, -1, 0),
        map(1, 1, RW, ANON, -1, 0), layout(), done();
    ask("neighbours: another flag in the middle"), map(1, 1, RW, ANON | MAP_NORESERVE, -1, 0), layout(), done();
    ask("neighbours: two shared anonymous"), clear(), map(0, 1, RW, SHARED, -1, 0), map(1, 1, RW, SHARED, -1, 0),
        layout(), done();
}

static void cut(const char *what, unsigned long from, size_t bytes) {
    clear();
    map(2, 2, RW, ANON, -1, 0), map(5, 2, R, ANON, -1, 0), fill(2, 2, 0);
    ask("munmap %s", what);
    result(munmap(at(0) + from, bytes));
    layout(), done();
}

static void unmapping(void) {
    cut("nothing there", 8 * PAGE, PAGE), cut("one page", 2 * PAGE, PAGE), cut("a byte", 2 * PAGE, 1),
        cut("a byte over", 2 * PAGE, PAGE + 1);
    cut("a hole and what is around", 3 * PAGE, 3 * PAGE), cut("the middle", 3 * PAGE, PAGE), cut("all", 0, 10 * PAGE),
        cut("no length", 2 * PAGE, 0);
    cut("odd", 2 * PAGE + 1, PAGE), cut("odd and none", 2 * PAGE + 1, 0), cut("wraps", 2 * PAGE, -PAGE),
        cut("wraps to 0", 2 * PAGE, ~0ul), cut("too long", 2 * PAGE, 1ul << 47);
    ask("munmap above"), result(munmap((void *)(1ul << 47), PAGE)), done();
    ask("munmap the last page of user space and what follows"), result(munmap((void *)((1ul << 47) - PAGE), PAGE)),
        done();
    ask("munmap up to the end"), result(munmap((void *)((1ul << 47) - 2 * PAGE), PAGE)), done();
    ask("munmap 0"), result(munmap(NULL, PAGE)), done();
    ask("munmap 0, 0"), result(munmap(NULL, 0)), done();
}

int main(void) {
    GROUP(flags_anonymous);
    GROUP(flags_file);
    GROUP(flags_named);
    GROUP(flags_read_only);
    GROUP(ordinary_flags);
    GROUP(descriptors);
    GROUP(kinds_of_descriptor);
    GROUP(zero_device);
    GROUP(corners);
    GROUP(hints);
    GROUP(joined);
    GROUP(unmapping);
    return 0;
}
