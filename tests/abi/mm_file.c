/* mm_file.c - files under mappings: truncate, hole punching, growth, writes by other ways; memfd_create(2) and its
 * seals; msync(2). */
#include "abi.h"
#include <linux/falloc.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC 16u
#endif

enum {
    SHARED_CLEAN,
    SHARED_WRITTEN,
    PRIVATE_CLEAN,
    PRIVATE_WRITTEN,
    LOCKED_PRIVATE,
    LOCKED_SHARED,
    READ_ONLY_PRIVATE,
    FORKED,
    KINDS
};
static const char *const kinds[] = {"shared",
                                    "shared written",
                                    "private",
                                    "private written",
                                    "private locked",
                                    "shared locked",
                                    "private copies read-only",
                                    "private copies, shared with a child"};
static pid_t child;
static int let_go[2];

static int make(int kind, int named) {
    int fd = named ? named_file("f", 8 * PAGE) : file_of(8 * PAGE);
    bool private = kind != SHARED_CLEAN && kind != SHARED_WRITTEN && kind != LOCKED_SHARED;
    clear();
    child = 0;
    map(0, 8, RW,
        (private ? MAP_PRIVATE : MAP_SHARED) | (kind == LOCKED_PRIVATE || kind == LOCKED_SHARED ? MAP_LOCKED : 0), fd,
        0);
    if (kind == SHARED_WRITTEN || kind == PRIVATE_WRITTEN || kind == READ_ONLY_PRIVATE || kind == FORKED)
        for (unsigned long i = 0; i < 8; i += 2)
            *at(i) = (char)(i + 1), *(at(i) + 2000) = 5;
    if (kind == READ_ONLY_PRIVATE)
        mprotect(at(0), 8 * PAGE, R);
    if (kind == FORKED) {
        if (pipe(let_go))
            abort();
        fflush(stdout);
        child = fork();
        if (child == 0) {
            char c;
            close(let_go[1]);
            (void)!read(let_go[0], &c, 1);
            content(0, 8), done();
            _exit(0);
        }
        close(let_go[0]);
    }
    return fd;
}

/* One change to the file: what the mapping shows then, what the file, and what the child. */
static void change(const char *what, int kind, int named, int (*how)(int fd)) {
    int fd = make(kind, named);
    char bytes[9 * 4] = "";
    size_t n = 0;
    if (child) {
        int status;
        ask("%s, %s%s", what, kinds[kind], named ? ", named" : "");
        result(how(fd));
        ask("%s, %s%s: the child", what, kinds[kind], named ? ", named" : "");
        /* the child prints with its own copy of the line, made before the change */
        close(let_go[1]);
        waitpid(child, &status, 0);
    }
    ask("%s, %s%s", what, kinds[kind], named ? ", named" : "");
    if (child)
        note("changed");
    else
        result(how(fd));
    content(0, 8);
    for (unsigned long i = 0; i < 8; i++) {
        char c = 0;
        ssize_t got = pread(fd, &c, 1, (off_t)(i * PAGE));
        n += (size_t)snprintf(bytes + n, sizeof bytes - n, got == 1 ? "%d " : "- ", c);
    }
    note("file %s", bytes);
    struct stat s;
    fstat(fd, &s);
    note("size %ld", (long)s.st_size);
    if (!named)
        note("blocks %ld", (long)s.st_blocks);
    touch('r', at(1) + 1999), touch('r', at(2) + 2000), touch('w', at(3)), touch('w', at(7)), layout(),
        smaps(0, "Anonymous"), done();
    close(fd);
}

static int to_nothing(int fd) { return ftruncate(fd, 0); }
static int to_three(int fd) { return ftruncate(fd, 3 * (off_t)PAGE); }
static int to_middle(int fd) { return ftruncate(fd, 2 * (off_t)PAGE + 1000); }
static int down_and_up(int fd) {
    return ftruncate(fd, 2 * (off_t)PAGE + 1000) || ftruncate(fd, 8 * (off_t)PAGE) ? -1 : 0;
}
static int up(int fd) { return ftruncate(fd, 20 * (off_t)PAGE); }
static int punch(int fd) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * (off_t)PAGE, 3 * (off_t)PAGE);
}
static int punch_part(int fd) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)PAGE + 500, 2 * (off_t)PAGE);
}
static int punch_beyond(int fd) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6 * (off_t)PAGE, 100 * (off_t)PAGE);
}
static int write_one(int fd) {
    return pwrite(fd, "zzz", 3, 2 * (off_t)PAGE) == 3 && pwrite(fd, "z", 1, 3 * (off_t)PAGE) == 1 ? 0 : -1;
}
static int allocate(int fd) { return fallocate(fd, 0, 6 * (off_t)PAGE, 8 * (off_t)PAGE); }
static int remove_name(int fd) { return (void)fd, unlink("f"); }

static void changes(void) {
    static const struct {
        const char *name;
        int (*how)(int fd);
    } list[] = {{"truncate to 0", to_nothing},
                {"truncate to 3 pages", to_three},
                {"truncate into page 2", to_middle},
                {"truncate into page 2 and back", down_and_up},
                {"truncate to 20 pages", up},
                {"punch 2-5", punch},
                {"punch 1.1-3.1", punch_part},
                {"punch 6-106", punch_beyond},
                {"write to 2 and 3", write_one},
                {"allocate 6-14", allocate},
                {"unlink", remove_name}};
    for (size_t i = 0; i < countof(list); i++)
        for (int kind = 0; kind < KINDS; kind++)
            for (int named = list[i].how == remove_name; named < 2; named++) {
                if (named && (list[i].how == punch || list[i].how == punch_part || list[i].how == punch_beyond ||
                              list[i].how == allocate))
                    continue; /* the file system decides */
                change(list[i].name, kind, named, list[i].how);
            }
}

static void read_bytes(int fd, off_t offset) {
    char c[4] = "";
    ssize_t n = pread(fd, c, 3, offset);
    note("read %zd [%d %d %d]", n, c[0], c[1], c[2]);
}

/* The rest of the last page: zero when mapped anew, and never written to the file. */
static void the_rest(void) {
    int fd = file_of(PAGE + 100);
    map(0, 2, RW, MAP_SHARED, fd, 0);
    ask("bytes past the end of the file are zero"), touch('r', at(1) + 100), touch('r', at(2) - 1), done();
    *(at(1) + 100) = 9;
    ask("written past the end"), touch('r', at(1) + 100), read_bytes(fd, PAGE + 99), done();
    ftruncate(fd, 2 * (off_t)PAGE);
    ask("then grown: the file has"), read_bytes(fd, PAGE + 99), touch('r', at(1) + 100), done();
    ftruncate(fd, (off_t)PAGE + 50), ftruncate(fd, 2 * (off_t)PAGE);
    ask("shrunk and grown"), read_bytes(fd, PAGE + 49), touch('r', at(1) + 100), done();
    map(4, 2, RW, MAP_PRIVATE, fd, 0), *(at(5) + 60) = 7;
    ftruncate(fd, (off_t)PAGE + 50);
    ask("the private copy of the last page is not zeroed"), touch('r', at(5) + 60), done();
}

static void memfd(void) {
    static const unsigned flags[] = {
        0,        MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_HUGETLB | 21u << 26, MFD_NOEXEC_SEAL,
        MFD_EXEC, 0x40,        1u << 26,          0x80000000};
    for (size_t i = 0; i < countof(flags); i++) {
        int fd = memfd_create("x", flags[i]);
        ask("memfd_create %#x", flags[i]);
        if (fd < 0)
            result(fd);
        else {
            struct stat s;
            fstat(fd, &s);
            note("fd, cloexec %d, seals %d, mode %o, size %ld, links %ld", fcntl(fd, F_GETFD), fcntl(fd, F_GET_SEALS),
                 s.st_mode, (long)s.st_size, (long)s.st_nlink);
            char path[64], name[128] = "";
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            (void)!readlink(path, name, sizeof name - 1);
            note("%s", name), note("access mode %d", fcntl(fd, F_GETFL) & O_ACCMODE), close(fd);
        }
        done();
    }
    static char name[300];
    for (size_t n = 248; n < 252; n++) {
        memset(name, 'n', n), name[n] = 0;
        int fd = memfd_create(name, 0);
        ask("memfd_create, a name of %zu", n), note("%s", fd < 0 ? error_name(errno) : "ok"), done();
        close(fd);
    }
    int fd = memfd_create("", 0);
    ask("memfd without a name"), map(0, 1, RW, MAP_SHARED, fd, 0), layout(), done();
}

/* Every seal × every operation that it may forbid. */
static const struct {
    const char *name;
    int seal;
} seals[] = {{"nothing", 0},
             {"SEAL", F_SEAL_SEAL},
             {"SHRINK", F_SEAL_SHRINK},
             {"GROW", F_SEAL_GROW},
             {"WRITE", F_SEAL_WRITE},
             {"FUTURE_WRITE", F_SEAL_FUTURE_WRITE},
             {"SHRINK GROW WRITE", F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE},
             {"bit 5", 0x20},
             {"bit 6", 0x40}};

static void sealed(void) {
    for (size_t i = 0; i < countof(seals); i++)
        for (int mapped = 0; mapped < 4; mapped++) {
            clear();
            int fd = file_of(3 * PAGE);
            if (mapped)
                map(0, 2, mapped == 3 ? R : RW, mapped == 2 ? MAP_PRIVATE : MAP_SHARED, fd, 0);
            ask("seal %s%s", seals[i].name,
                mapped == 0   ? ""
                : mapped == 1 ? ", mapped writable and shared"
                : mapped == 2 ? ", mapped private"
                              : ", mapped read-only and shared");
            result(fcntl(fd, F_ADD_SEALS, seals[i].seal)), note("seals %d", fcntl(fd, F_GET_SEALS));
            note("write:"), result(pwrite(fd, "xyz", 3, 0));
            note("write over the end:"), result(pwrite(fd, "xyz", 3, 3 * (off_t)PAGE - 1));
            note("write beyond:"), result(pwrite(fd, "xyz", 3, 4 * (off_t)PAGE));
            note("shrink:"), result(ftruncate(fd, 2 * (off_t)PAGE));
            note("grow:"), result(ftruncate(fd, 5 * (off_t)PAGE));
            note("same:"), result(ftruncate(fd, 5 * (off_t)PAGE));
            note("allocate:"), result(fallocate(fd, 0, 0, 9 * (off_t)PAGE));
            note("punch:"), result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)PAGE));
            note("map shared rw:"), placed(map(10, 1, RW, MAP_SHARED, fd, 0));
            note("map shared r:"), placed(map(12, 1, R, MAP_SHARED, fd, 0));
            note("then rw:"), result(mprotect(at(12), PAGE, RW));
            note("map private rw:"), placed(map(14, 1, RW, MAP_PRIVATE, fd, 0));
            if (mapped) {
                touch('w', at(0));
                note("mprotect:"), result(mprotect(at(0), PAGE, RW));
                note("REMOVE:"), result(madvise(at(0), PAGE, MADV_REMOVE));
            }
            note("flags %s", smaps_text(12, "VmFlags"));
            note("seal more:"), result(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)), note("seals %d", fcntl(fd, F_GET_SEALS)),
                done();
            close(fd);
        }
    int fd = memfd_create("x", 0);
    ask("seals of one without"), note("%d", fcntl(fd, F_GET_SEALS)), result(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)),
        done();
    fd = memfd_create("x", MFD_ALLOW_SEALING);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int ro = open(path, O_RDONLY);
    ask("seals through a read-only descriptor"), result(fcntl(ro, F_ADD_SEALS, F_SEAL_WRITE)),
        note("%d", fcntl(ro, F_GET_SEALS)), done();
    clear();
    map(0, 1, RW, MAP_SHARED, fd, 0);
    ask("F_SEAL_WRITE after unmapping"), result(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), clear(),
        result(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), done();
    fd = memfd_create("x", MFD_ALLOW_SEALING), ftruncate(fd, PAGE);
    map(0, 1, RW, MAP_SHARED, fd, 0), mprotect(at(0), PAGE, R);
    ask("F_SEAL_WRITE with a mapping made read-only"), result(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), done();
    map(0, 1, R, MAP_SHARED, fd, 0);
    ask("F_SEAL_WRITE with a mapping made so"), result(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), done();
}

static void sync_of(void) {
    int fd = named_file("s", 4 * PAGE);
    for (int flags = 0; flags < 9; flags++) {
        clear();
        map(0, 2, RW, MAP_SHARED, fd, 0), map(3, 1, RW, ANON, -1, 0), map(4, 1, RW, MAP_PRIVATE, fd, 0),
            map(5, 1, RW, MAP_SHARED | MAP_LOCKED, fd, 2);
        *at(0) = 'S';
        static const unsigned long ranges[][2] = {{0, 2}, {0, 3}, {1, 4}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {9, 10}};
        for (size_t r = 0; r < countof(ranges); r++)
            ask("msync %d of %lu-%lu", flags, ranges[r][0], ranges[r][1]),
                result(msync(at(ranges[r][0]), (ranges[r][1] - ranges[r][0]) * PAGE, flags)), done();
        ask("msync %d, odd", flags), result(msync(at(0) + 1, PAGE, flags)), done();
        ask("msync %d, no length", flags), result(msync(at(0), 0, flags)), done();
        ask("msync %d, nothing there, no length", flags), result(msync(at(20), 0, flags)), done();
        ask("msync %d, a byte", flags), result(msync(at(0), 1, flags)), done();
        ask("msync %d, wraps", flags), result(msync(at(0), -2 * PAGE, flags)), done();
        ask("msync %d, wraps to 0", flags), result(msync(at(0), ~0ul, flags)), done();
        ask("msync %d, above", flags), result(msync((void *)(1ul << 47), PAGE, flags)), done();
    }
}

/* Coherence: write(2), read(2), shared and private mappings of one file. */
static void coherent(void) {
    int fd = named_file("c", 4 * PAGE);
    map(0, 4, RW, MAP_SHARED, fd, 0), map(4, 4, RW, MAP_PRIVATE, fd, 0), map(8, 4, R, MAP_SHARED, fd, 0);
    *at(0) = 1, *at(5) = 2;
    pwrite(fd, "\3", 1, 2 * (off_t)PAGE);
    ask("three mappings"), content(0, 4), content(4, 4), content(8, 4), done();
    char c[4];
    for (int i = 0; i < 4; i++)
        (void)!pread(fd, c + i, 1, i * (off_t)PAGE);
    ask("read"), note("%d %d %d %d", c[0], c[1], c[2], c[3]), done();
    pwrite(fd, "\4", 1, (off_t)PAGE);
    ask("write behind a private copy"), content(0, 4), content(4, 4), done();
    close(fd);
    unlink("c");
    ask("closed and unlinked"), content(0, 4), layout(), done();
}

int main(void) {
    GROUP(changes);
    GROUP(the_rest);
    GROUP(memfd);
    GROUP(sealed);
    GROUP(sync_of);
    GROUP(coherent);
    return 0;
}
