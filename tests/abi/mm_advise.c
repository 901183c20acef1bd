/* mm_advise.c - madvise(2): every advice × every kind of mapping, its visible effect, holes; mincore(2). */
#include "abi.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static const struct {
    const char *name;
    int advice;
} advices[] = {{"NORMAL", MADV_NORMAL},
               {"RANDOM", MADV_RANDOM},
               {"SEQUENTIAL", MADV_SEQUENTIAL},
               {"WILLNEED", MADV_WILLNEED},
               {"DONTNEED", MADV_DONTNEED},
               {"advice 5", 5},
               {"advice 6", 6},
               {"advice 7", 7},
               {"FREE", MADV_FREE},
               {"REMOVE", MADV_REMOVE},
               {"DONTFORK", MADV_DONTFORK},
               {"DOFORK", MADV_DOFORK},
               {"MERGEABLE", MADV_MERGEABLE},
               {"UNMERGEABLE", MADV_UNMERGEABLE},
               {"HUGEPAGE", MADV_HUGEPAGE},
               {"NOHUGEPAGE", MADV_NOHUGEPAGE},
               {"DONTDUMP", MADV_DONTDUMP},
               {"DODUMP", MADV_DODUMP},
               {"WIPEONFORK", MADV_WIPEONFORK},
               {"KEEPONFORK", MADV_KEEPONFORK},
               {"COLD", MADV_COLD},
               {"PAGEOUT", MADV_PAGEOUT},
               {"POPULATE_READ", MADV_POPULATE_READ},
               {"POPULATE_WRITE", MADV_POPULATE_WRITE},
               {"DONTNEED_LOCKED", 24},
               {"COLLAPSE", MADV_COLLAPSE},
               {"GUARD_INSTALL", 102},
               {"GUARD_REMOVE", 103},
               {"SOFT_OFFLINE", 101},
               {"-1", -1},
               {"26", 26}};

enum {
    ANONYMOUS,
    ANONYMOUS_SHARED,
    FILE_SHARED,
    FILE_PRIVATE,
    READ_ONLY,
    NOTHING_ALLOWED,
    WRITTEN_READ_ONLY,
    LOCKED_ONE,
    READ_ONLY_FILE,
    UNTOUCHED,
    KINDS
};
static const char *const kinds[] = {
    "anonymous", "anonymous shared",        "file shared", "file private",        "read-only",
    "PROT_NONE", "read-only, once written", "locked",      "of an O_RDONLY file", "untouched"};

static int file;

static void make(int kind) {
    int fd = -1, flags = ANON;
    if (kind == FILE_SHARED || kind == FILE_PRIVATE || kind == READ_ONLY_FILE)
        fd = file = file_of(4 * PAGE);
    if (kind == READ_ONLY_FILE) {
        named_file("ro", 4 * PAGE);
        close(fd);
        fd = file = open("ro", O_RDONLY);
    }
    if (kind == ANONYMOUS_SHARED || kind == FILE_SHARED || kind == READ_ONLY_FILE)
        flags = fd < 0 ? SHARED : MAP_SHARED;
    if (kind == FILE_PRIVATE)
        flags = MAP_PRIVATE;
    if (kind == LOCKED_ONE)
        flags |= MAP_LOCKED;
    map(0, 4, kind == READ_ONLY || kind == READ_ONLY_FILE ? R : RW, flags, fd, 0);
    if (kind != READ_ONLY && kind != READ_ONLY_FILE && kind != UNTOUCHED)
        fill(0, 4, 1);
    if (kind == NOTHING_ALLOWED || kind == WRITTEN_READ_ONLY)
        mprotect(at(0), 4 * PAGE, kind == NOTHING_ALLOWED ? NONE : R);
}

static void core(unsigned long page, unsigned long pages) {
    unsigned char vec[64];
    char text[65] = "";
    if (mincore(at(page), pages * PAGE, vec)) {
        note("mincore %s", error_name(errno));
        return;
    }
    for (unsigned long i = 0; i < pages; i++)
        text[i] = vec[i] & 1 ? '1' : '0';
    note("core %s", text);
}

/* FREE, COLD and PAGEOUT leave it to the kernel when pages go: of those, only the answer. Pages 1 and 2 are advised. */
static void every(void) {
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t a = 0; a < countof(advices); a++) {
            int advice = advices[a].advice;
            clear();
            make(kind);
            ask("%s on %s", advices[a].name, kinds[kind]);
            result(madvise(at(1), 2 * PAGE, advice));
            if (advice == MADV_FREE || advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_COLLAPSE) {
                done();
                close(file);
                continue;
            }
            if (advice != MADV_WILLNEED)
                core(0, 4);
            layout();
            note("flags %s", smaps_text(1, "VmFlags"));
            if (kind == NOTHING_ALLOWED)
                mprotect(at(0), 4 * PAGE, R);
            content(0, 4);
            if (file > 0 && kind != READ_ONLY_FILE) {
                char c[2] = "??";
                struct stat s = {0};
                pread(file, c, 1, PAGE), pread(file, c + 1, 1, 3 * PAGE), fstat(file, &s);
                note("file %d %d, %ld blocks", c[0], c[1], (long)s.st_blocks);
            }
            done();
            if (file > 0)
                close(file);
            file = 0;
        }
}

/* 0-2 mapped, 2-3 not, 3-5 mapped, 5-6 locked, 6-8 shared file. */
static void holes(void) {
    int fd = file_of(8 * PAGE);
    static const unsigned long ranges[][2] = {{0, 2}, {1, 4}, {2, 3}, {2, 5}, {3, 7}, {4, 8}, {0, 9}, {6, 9}, {8, 9}};
    for (size_t a = 0; a < countof(advices); a++)
        for (size_t r = 0; r < countof(ranges); r++) {
            int advice = advices[a].advice;
            if (advice == MADV_FREE || advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_COLLAPSE ||
                advice == MADV_WILLNEED) {
                clear();
                map(0, 2, RW, ANON, -1, 0), map(3, 2, RW, ANON, -1, 0), map(5, 1, RW, ANON | MAP_LOCKED, -1, 0),
                    map(6, 2, RW, MAP_SHARED, fd, 0);
                ask("%s %lu-%lu over holes", advices[a].name, ranges[r][0], ranges[r][1]),
                    result(madvise(at(ranges[r][0]), (ranges[r][1] - ranges[r][0]) * PAGE, advice)), done();
                continue;
            }
            clear();
            map(0, 2, RW, ANON, -1, 0), map(3, 2, RW, ANON, -1, 0), map(5, 1, RW, ANON | MAP_LOCKED, -1, 0),
                map(6, 2, RW, MAP_SHARED, fd, 0);
            fill(0, 2, 1), fill(3, 5, 1);
            ask("%s %lu-%lu over holes", advices[a].name, ranges[r][0], ranges[r][1]);
            result(madvise(at(ranges[r][0]), (ranges[r][1] - ranges[r][0]) * PAGE, advice));
            note("%s|%s|%s|%s", smaps_text(1, "VmFlags"), smaps_text(3, "VmFlags"), "", "");
            note("%s", smaps_text(5, "VmFlags")), note("%s", smaps_text(6, "VmFlags"));
            content(0, 9), done();
        }
}

static void arguments(void) {
    static const unsigned long lengths[] = {0,     1,         PAGE + 1, 1ul << 46 /* all that is far above stays */,
                                            -PAGE, -PAGE + 1, ~0ul};
    for (size_t a = 0; a < countof(advices); a++) {
        if (advices[a].advice == 100 || advices[a].advice == 101)
            continue;
        for (size_t l = 0; l < countof(lengths); l++) {
            clear();
            map(0, 4, RW, ANON, -1, 0), fill(0, 4, 1);
            ask("%s, length %#lx", advices[a].name, lengths[l]), result(madvise(at(0), lengths[l], advices[a].advice)),
                done();
        }
        clear();
        ask("%s, odd", advices[a].name), result(madvise(at(0) + 1, PAGE, advices[a].advice)), done();
        ask("%s, nothing mapped", advices[a].name), result(madvise(at(0), PAGE, advices[a].advice)), done();
        ask("%s, nothing mapped, no length", advices[a].name), result(madvise(at(0), 0, advices[a].advice)), done();
        ask("%s, 2^47", advices[a].name), result(madvise((void *)(1ul << 47), PAGE, advices[a].advice)), done();
        ask("%s, -page", advices[a].name), result(madvise((void *)-PAGE, PAGE, advices[a].advice)), done();
    }
}

static void after_fork(const char *what, int advice, int kind) {
    clear();
    make(kind);
    ask("%s, %s, then fork", what, kinds[kind]);
    result(madvise(at(1), 2 * PAGE, advice));
    printf("%s", ""), fflush(stdout);
    if (fork() == 0) {
        layout(), content(0, 4), note("flags %s", smaps_text(1, "VmFlags")), done();
        _exit(0);
    }
    wait(NULL);
    ask("%s, %s, the parent after fork", what, kinds[kind]), content(0, 4), layout(), done();
}

static void forked(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == NOTHING_ALLOWED)
            continue;
        after_fork("DONTFORK", MADV_DONTFORK, kind), after_fork("WIPEONFORK", MADV_WIPEONFORK, kind),
            after_fork("LOCKED or not", MADV_NORMAL, kind);
    }
}

/* POPULATE over what cannot be; DONTNEED and REMOVE of parts; FREE and what a write does to it. */
static void effects(void) {
    int fd = file_of(2 * PAGE);
    map(0, 4, RW, MAP_SHARED, fd, 0);
    ask("POPULATE_READ past the end"), result(madvise(at(0), 4 * PAGE, MADV_POPULATE_READ)), core(0, 2), done();
    ask("POPULATE_WRITE past the end"), result(madvise(at(1), 2 * PAGE, MADV_POPULATE_WRITE)), done();
    map(4, 2, W, ANON, -1, 0), map(6, 1, RX, ANON, -1, 0), map(7, 1, PROT_EXEC, ANON, -1, 0);
    ask("POPULATE_READ of write-only"), result(madvise(at(4), PAGE, MADV_POPULATE_READ)), core(4, 2), done();
    ask("POPULATE_WRITE of exec"), result(madvise(at(6), PAGE, MADV_POPULATE_WRITE)), core(6, 1), done();
    ask("POPULATE_READ of exec-only"), result(madvise(at(7), PAGE, MADV_POPULATE_READ)), core(7, 1), done();
    clear();
    map(0, 4, RW, ANON, -1, 0);
    ask("POPULATE_WRITE fills"), result(madvise(at(1), 2 * PAGE, MADV_POPULATE_WRITE)), core(0, 4), smaps(0, "Rss"),
        smaps(0, "Private_Dirty"), done();
    ask("POPULATE_READ fills"), clear(), map(0, 4, RW, ANON, -1, 0),
        result(madvise(at(1), 2 * PAGE, MADV_POPULATE_READ)), core(0, 4), smaps(0, "Rss"), done();
    ask("FREE, then written, stays"), fill(0, 4, 1), result(madvise(at(0), 4 * PAGE, MADV_FREE)), fill(0, 4, 5),
        content(0, 4), smaps(0, "LazyFree"), done();
    ask("FREE is counted"), result(madvise(at(0), 2 * PAGE, MADV_FREE)), smaps(0, "LazyFree"), smaps(0, "Anonymous"),
        done();
    ask("PAGEOUT keeps contents"), fill(0, 4, 1), result(madvise(at(0), 4 * PAGE, MADV_PAGEOUT)), content(0, 4), done();
    ask("COLD keeps contents"), result(madvise(at(0), 4 * PAGE, MADV_COLD)), content(0, 4), done();
    clear();
    fd = file_of(4 * PAGE);
    map(0, 4, RW, MAP_PRIVATE, fd, 0), fill(0, 2, 1);
    map(8, 4, RW, MAP_SHARED, fd, 0);
    ask("DONTNEED of a private file shows the file"), result(madvise(at(0), 4 * PAGE, MADV_DONTNEED)), content(0, 4),
        done();
    fill(0, 2, 1);
    ask("REMOVE through a shared mapping; private copies stay"), result(madvise(at(8), 4 * PAGE, MADV_REMOVE)),
        content(0, 4), content(8, 4), done();
    ask("mincore of what was removed"), madvise(at(8), 4 * PAGE, MADV_REMOVE), core(8, 4), done();
    ask("PR_SET_VMA_ANON_NAME"), result(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at(0), PAGE, "name")), layout(), done();
    ask("KSM by prctl"), result(prctl(67 /* PR_SET_MEMORY_MERGE, 6.4 */, 1, 0, 0, 0)), done();
    ordinary();
    ask("HWPOISON by an ordinary user"), result(madvise(at(0), PAGE, MADV_HWPOISON)), done();
    ask("SOFT_OFFLINE by an ordinary user"), result(madvise(at(0), PAGE, 101)), done();
}

/* mincore: kinds, holes, the vector. */
static void in_core(void) {
    int fd = file_of(4 * PAGE);
    for (int kind = 0; kind < KINDS; kind++) {
        clear();
        make(kind);
        ask("mincore of %s", kinds[kind]), core(0, 4), done();
    }
    clear();
    map(0, 8, R, MAP_PRIVATE, fd, 0), map(9, 2, RW, ANON, -1, 0);
    ask("mincore past the end of a file"), core(0, 8), done();
    ask("mincore over a hole"), core(6, 4), done();
    ask("mincore of nothing"), core(20, 1), done();
    static unsigned char vec[64];
    memset(vec, 77, sizeof vec);
    ask("mincore writes up to a hole"), result(mincore(at(6), 4 * PAGE, vec)), note("%d %d %d", vec[1], vec[2], vec[3]),
        done();
    ask("mincore odd"), result(mincore(at(0) + 1, PAGE, vec)), done();
    ask("mincore no length"), result(mincore(at(0), 0, vec)), done();
    ask("mincore no length, nothing there"), result(mincore(at(20), 0, vec)), done();
    ask("mincore a byte"), memset(vec, 77, sizeof vec), result(mincore(at(0), 1, vec)), note("%d %d", vec[0], vec[1]),
        done();
    ask("mincore, bad vector"), result(mincore(at(0), PAGE, (void *)8)), done();
    ask("mincore, read-only vector"), result(mincore(at(0), PAGE, (void *)at(0))), done();
    ask("mincore of a hole, bad vector"), result(mincore(at(20), PAGE, (void *)8)), done();
    ask("mincore, vector in the kernel"), result(mincore(at(0), PAGE, (void *)-4096l)), done();
    ask("mincore of a hole, vector in the kernel"), result(mincore(at(20), PAGE, (void *)-4096l)), done();
    ask("mincore no length, vector in the kernel"), result(mincore(at(0), 0, (void *)-4096l)), done();
    ask("mincore wraps"), result(mincore(at(0), ~0ul, vec)), done();
    ask("mincore wraps, odd"), result(mincore(at(0) + 1, ~0ul, vec)), done();
    ask("mincore above"), result(mincore((void *)(1ul << 47), PAGE, vec)), done();
    ask("mincore of the last page and more"), result(mincore((void *)((1ul << 47) - 2 * PAGE), 4 * PAGE, vec)), done();
    static const unsigned long touched[] = {0, 3, 5};
    clear();
    map(0, 8, RW, ANON, -1, 0);
    for (size_t i = 0; i < 3; i++)
        *at(touched[i]) = 1;
    (void)*(volatile char *)at(7);
    ask("mincore of what was touched"), core(0, 8), done();
}

int main(void) {
    GROUP(every);
    GROUP(holes);
    GROUP(arguments);
    GROUP(forked);
    GROUP(effects);
    GROUP(in_core);
    return 0;
}
