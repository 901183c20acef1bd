/* mm_remap.c - mremap(2): every set of flags, every kind of mapping, what moves and what stays, corners of arguments.
 */
#include "abi.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static char *remap(void *old, size_t old_bytes, size_t new_bytes, int flags, void *to) {
    return (char *)syscall(SYS_mremap, old, old_bytes, new_bytes, flags, to);
}

/* Where it went when the kernel chose: "moved" (and back into the window for layout), "@page" when in it. */
static void went(char *p, size_t bytes) {
    if (p == MAP_FAILED || ((unsigned long)p >= BASE && (unsigned long)p < BASE + WINDOW * PAGE)) {
        placed(p);
        return;
    }
    note("moved");
    munmap(at(600), bytes);
    if (bytes && remap(p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at(600)) == MAP_FAILED)
        note("cannot be brought back: %s", error_name(errno));
}

enum { ANONYMOUS, ANONYMOUS_SHARED, FILE_SHARED, FILE_PRIVATE, LOCKED_ONE, GROWING, KINDS };
static const char *const kinds[] = {"anonymous",    "anonymous shared", "file shared",
                                    "file private", "locked",           "growing"};

static void make(int kind, unsigned long page, unsigned long pages) {
    int fd = kind == FILE_SHARED || kind == FILE_PRIVATE ? file_of(16 * PAGE) : -1;
    int flags = kind == ANONYMOUS          ? ANON
                : kind == ANONYMOUS_SHARED ? SHARED
                : kind == FILE_SHARED      ? MAP_SHARED
                : kind == FILE_PRIVATE     ? MAP_PRIVATE
                : kind == LOCKED_ONE       ? ANON | MAP_LOCKED
                                           : ANON | MAP_GROWSDOWN;
    map(page, pages, RW, flags, fd, 0);
    fill(page, pages / 2, 0);
    close(fd);
}

static const int flag_sets[] = {0,
                                MREMAP_MAYMOVE,
                                MREMAP_FIXED,
                                MREMAP_DONTUNMAP,
                                MREMAP_MAYMOVE | MREMAP_FIXED,
                                MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
                                MREMAP_FIXED | MREMAP_DONTUNMAP,
                                7,
                                8};

/* 4 pages at 8; to 2, 4, 6, 0 pages; with free space behind it or not. */
static void flags(void) {
    static const unsigned long sizes[] = {0, 2, 4, 6};
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t f = 0; f < countof(flag_sets); f++)
            for (size_t s = 0; s < countof(sizes); s++)
                for (int room = 0; room < 2; room++) {
                    clear();
                    make(kind, 8, 4);
                    if (!room)
                        map(12, 1, NONE, SHARED, -1, 0);
                    ask("%s, flags %d, 4 to %lu pages, %s", kinds[kind], flag_sets[f], sizes[s],
                        room ? "room" : "no room");
                    went(remap(at(8), 4 * PAGE, sizes[s] * PAGE, flag_sets[f], at(40)), sizes[s] * PAGE);
                    layout(), content(8, 4), done();
                }
}

/* Old size 0: another mapping of the same shared memory. */
static void old_size_zero(void) {
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t f = 0; f < countof(flag_sets); f++) {
            clear();
            make(kind, 8, 4);
            ask("%s, old size 0, flags %d", kinds[kind], flag_sets[f]);
            went(remap(at(9), 0, 2 * PAGE, flag_sets[f], at(40)), 2 * PAGE);
            layout(), done();
        }
}

static void target(const char *what, unsigned long from, unsigned long pages, unsigned long to,
                   unsigned long new_pages) {
    clear();
    make(ANONYMOUS, 8, 4), make(FILE_SHARED, 20, 4);
    ask("FIXED %s", what);
    placed(remap(at(from), pages * PAGE, new_pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(to)));
    layout(), done();
}

static void targets(void) {
    target("over another", 8, 4, 20, 4), target("over half of another", 8, 4, 22, 4),
        target("into the middle of another", 8, 2, 21, 2);
    target("onto itself", 8, 4, 8, 4), target("overlapping up", 8, 4, 10, 4), target("overlapping down", 8, 4, 6, 4),
        target("touching above", 8, 4, 12, 4), target("touching below", 8, 4, 4, 4);
    target("smaller, over another", 8, 4, 20, 1), target("larger, over another", 8, 2, 20, 8),
        target("larger, over its own rest", 8, 2, 10, 3), target("of two mappings", 8, 16, 40, 16),
        target("of a hole", 14, 2, 40, 2);
    target("of a mapping and the hole behind it", 10, 4, 40, 4), target("of the middle", 9, 2, 40, 2),
        target("of the middle, grown", 9, 2, 40, 5), target("of the middle, shrunk", 9, 2, 40, 1),
        target("of a hole, shrunk", 14, 4, 40, 2);
    target("of two mappings, shrunk to the first", 8, 16, 40, 4),
        target("of more than there is, shrunk to what is", 8, 8, 40, 4);
    static const unsigned long tos[] = {
        0,         PAGE,  0x10000, BASE + 1, BASE + 40 * PAGE + 100, (1ul << 47) - PAGE, (1ul << 47) - 5 * PAGE,
        1ul << 47, -PAGE, ~0ul,    1ul << 63};
    for (int user = 0; user < 2; user++) {
        if (user)
            ordinary();
        for (size_t i = 0; i < countof(tos); i++) {
            clear();
            make(ANONYMOUS, 8, 4);
            ask("%s, FIXED to %#lx", user ? "ordinary" : "root", tos[i]);
            char *p = remap(at(8), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)tos[i]);
            note("%s", p == MAP_FAILED ? error_name(errno) : p == (char *)tos[i] ? "there" : "elsewhere");
            layout();
            if (p != MAP_FAILED)
                munmap(p, 4 * PAGE);
            done();
        }
    }
}

/* The corners: each of old address, old size, new size from the ends of its range. */
static void corners(void) {
    static const unsigned long values[] = {0,         1,     PAGE - 1, PAGE, 4 * PAGE, 5 * PAGE, (1ul << 47) - PAGE,
                                           1ul << 47, -PAGE, ~0ul};
    static const unsigned long olds[] = {
        0, BASE + 8 * PAGE, BASE + 8 * PAGE + 1, BASE + 30 * PAGE, (1ul << 47) - PAGE, 1ul << 47, -PAGE};
    static const int sets[] = {0, MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED};
    for (size_t o = 0; o < countof(olds); o++)
        for (size_t a = 0; a < countof(values); a++)
            for (size_t b = 0; b < countof(values); b++)
                for (size_t f = 0; f < countof(sets); f++) {
                    clear();
                    map(8, 4, RW, ANON, -1, 0);
                    ask("mremap(%s, %#lx, %#lx, %d)",
                        olds[o] >= BASE && olds[o] < BASE + WINDOW * PAGE ? where((void *)olds[o])
                        : olds[o] == 0                                    ? "0"
                        : olds[o] == -PAGE                                ? "-page"
                        : olds[o] == 1ul << 47                            ? "2^47"
                                                                          : "2^47-page",
                        values[a], values[b], sets[f]);
                    went(remap((void *)olds[o], values[a], values[b], sets[f], at(40)), (values[b] + PAGE - 1) & -PAGE);
                    layout(), done();
                }
}

/* In place: behind another part, up to a neighbour, joined with the next. */
static void in_place(void) {
    for (unsigned long n = 3; n < 9; n++) {
        clear();
        map(8, 3, RW, ANON, -1, 0), map(14, 2, RW, ANON, -1, 0), fill(8, 3, 0), fill(14, 2, 0);
        ask("grow 3 to %lu where 6 fit", n);
        went(remap(at(8), 3 * PAGE, n * PAGE, 0, NULL), n * PAGE), layout(), content(8, 8), done();
        clear();
        map(8, 8, RW, ANON, -1, 0), fill(8, 8, 0);
        ask("grow the middle 3 to %lu", n);
        went(remap(at(10), 3 * PAGE, n * PAGE, MREMAP_MAYMOVE, NULL), n * PAGE), layout(), content(600, n),
            content(8, 8), done();
        clear();
        int fd = file_of(4 * PAGE);
        map(8, 3, RW, MAP_SHARED, fd, 1);
        ask("grow a file's 3 from page 1 of 4 to %lu", n);
        went(remap(at(8), 3 * PAGE, n * PAGE, 0, NULL), n * PAGE), layout(), content(8, n), done();
        close(fd);
    }
    clear();
    map(8, 3, RW, ANON | MAP_GROWSDOWN, -1, 0), map(4, 1, RW, SHARED, -1, 0);
    ask("to the guard gap of a growing one"), placed(remap(at(4), PAGE, 3 * PAGE, 0, NULL)), layout(), done();
}

static void contents(void) {
    int fd = file_of(4 * PAGE);
    map(0, 4, RW, MAP_PRIVATE, fd, 0);
    *at(1) = 1, *at(3) = 3;
    remap(at(0), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(40));
    ask("private file moves with its copies"), content(40, 4), content(0, 1), layout(), done();
    if (fork() == 0) {
        *at(40) = 9;
        remap(at(40), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(60));
        ask("child moves shared pages"), content(60, 2), content(42, 2), layout(), done();
        _exit(0);
    }
    wait(NULL);
    ask("parent has them still"), content(40, 4), layout(), done();
    clear();
    map(0, 6, RW, ANON, -1, 0), fill(0, 6, 1);
    mprotect(at(2), 2 * PAGE, NONE);
    for (unsigned long i = 0; i < 6; i += 2)
        remap(at(i), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(100 + i));
    ask("rights move too"), layout(), probe(100, 6), mprotect(at(102), 2 * PAGE, R), content(100, 6), done();
    clear();
    map(0, 2, RW, ANON, -1, 0), fill(0, 2, 1), mlock(at(0), 2 * PAGE);
    ask("DONTUNMAP of locked pages"),
        placed(remap(at(0), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, at(8)));
    content(0, 2), content(8, 2), layout(), status("VmLck"), smaps(0, "VmFlags"), smaps(8, "VmFlags"), done();
}

static void limits(void) {
    ordinary();
    limit(RLIMIT_MEMLOCK, 4 * PAGE);
    map(8, 3, RW, ANON | MAP_LOCKED, -1, 0);
    ask("locked 3 of 4, grow to 4"), placed(remap(at(8), 3 * PAGE, 4 * PAGE, 0, NULL)), status("VmLck"), done();
    ask("to 5"), placed(remap(at(8), 4 * PAGE, 5 * PAGE, 0, NULL)), status("VmLck"), done();
    ask("to 5, may move"), placed(remap(at(8), 4 * PAGE, 5 * PAGE, 1, NULL)), status("VmLck"), done();
    ask("shrink to 2"), placed(remap(at(8), 4 * PAGE, 2 * PAGE, 0, NULL)), status("VmLck"), done();
    ask("move"), placed(remap(at(8), 2 * PAGE, 2 * PAGE, 3, at(20))), status("VmLck"), done();
    map(30, 2, RW, ANON, -1, 0);
    limit(RLIMIT_AS, 16 << 20);
    ask("over RLIMIT_AS"), placed(remap(at(30), 2 * PAGE, 17 << 20, 1, NULL)), layout(), done();
    ask("over RLIMIT_AS, DONTUNMAP"),
        placed(remap(at(30), 2 * PAGE, 2 * PAGE, 5, NULL) == MAP_FAILED ? MAP_FAILED : at(0)), done();
}

static void special(void) {
    int fd = file_of(2 * PAGE);
    map(0, 2, R, MAP_SHARED, fd, 0), map(8, 2, RW, ANON, -1, 0), map(10, 2, R, ANON, -1, 0);
    ask("over two mappings with other rights"), placed(remap(at(8), 4 * PAGE, 4 * PAGE, 3, at(40))), layout(), done();
    ask("over two, shrink"), placed(remap(at(8), 4 * PAGE, PAGE, 0, NULL)), layout(), done();
    ask("offset overflows"), map(20, 1, R, MAP_SHARED, fd, (1ul << 51) - 2),
        result((long)remap(at(20), PAGE, 4 * PAGE, 1, NULL)), done();
}

int main(void) {
    GROUP(flags);
    GROUP(old_size_zero);
    GROUP(targets);
    GROUP(corners);
    GROUP(in_place);
    GROUP(contents);
    GROUP(limits);
    GROUP(special);
    return 0;
}
