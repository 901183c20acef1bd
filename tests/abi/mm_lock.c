/* mm_lock.c - mlock, mlock2, mlockall, munlock, munlockall: limits, holes, VmLck, what is resident, fork and exec. */
#include "abi.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

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

static void say(void) {
    status("VmLck"), layout(), note("%s|%s", smaps_text(0, "VmFlags"), smaps_text(1, "VmFlags")), smaps(0, "Locked"),
        done();
}

static void kinds(void) {
    int fd = file_of(2 * PAGE);
    static const struct {
        const char *name;
        int prot, flags;
    } kind[] = {{"anonymous", RW, ANON},
                {"read-only", R, ANON},
                {"nothing allowed", NONE, ANON},
                {"write-only", W, ANON},
                {"exec-only", PROT_EXEC, ANON},
                {"shared", RW, SHARED},
                {"file private", RW, MAP_PRIVATE},
                {"file private read-only", R, MAP_PRIVATE},
                {"file shared", RW, MAP_SHARED},
                {"growing", RW, ANON | MAP_GROWSDOWN},
                {"noreserve", RW, ANON | MAP_NORESERVE}};
    for (size_t i = 0; i < countof(kind); i++)
        for (int onfault = 0; onfault < 3; onfault++) {
            clear();
            map(0, 2, kind[i].prot, kind[i].flags, kind[i].flags & MAP_ANONYMOUS ? -1 : fd, 0);
            ask("%s, %s", kind[i].name, onfault == 0 ? "mlock" : onfault == 1 ? "mlock2 0" : "ONFAULT");
            result(onfault == 0 ? mlock(at(0), 2 * PAGE) : syscall(SYS_mlock2, at(0), 2 * PAGE, onfault - 1));
            core(0, 2), smaps(0, "Rss"), smaps(0, "Private_Dirty"), say();
            ask("%s, %s, then munlock of the first", kind[i].name,
                onfault == 0   ? "mlock"
                : onfault == 1 ? "mlock2 0"
                               : "ONFAULT");
            result(munlock(at(0), PAGE)), core(0, 2), say();
            ask("%s, %s, then DONTNEED of both", kind[i].name,
                onfault == 0   ? "mlock"
                : onfault == 1 ? "mlock2 0"
                               : "ONFAULT");
            result(madvise(at(0), 2 * PAGE, MADV_DONTNEED)), done();
        }
}

static void past_the_end(void) {
    int fd = file_of(PAGE);
    map(0, 3, RW, MAP_SHARED, fd, 0);
    ask("past the end of a file"), result(mlock(at(0), 3 * PAGE)), say();
    ask("ONFAULT past the end of a file"), clear(), map(0, 3, RW, MAP_SHARED, fd, 0),
        result(syscall(SYS_mlock2, at(0), 3 * PAGE, 1)), say();
}

/* 0-2, 3-5 mapped. */
static void holes(void) {
    static const unsigned long ranges[][2] = {{0, 3}, {1, 4}, {2, 3}, {2, 5}, {3, 6}, {8, 9}};
    for (size_t r = 0; r < countof(ranges); r++)
        for (int un = 0; un < 2; un++) {
            clear();
            map(0, 2, RW, ANON, -1, 0), map(3, 2, RW, ANON, -1, 0);
            if (un)
                mlock(at(0), 2 * PAGE), mlock(at(3), 2 * PAGE);
            size_t bytes = (ranges[r][1] - ranges[r][0]) * PAGE;
            ask("%s %lu-%lu over holes", un ? "munlock" : "mlock", ranges[r][0], ranges[r][1]);
            result(un ? munlock(at(ranges[r][0]), bytes) : mlock(at(ranges[r][0]), bytes));
            note("%s", smaps_text(3, "VmFlags")), core(0, 2), core(3, 2), say();
        }
}

static void arguments(void) {
    static const unsigned long lengths[] = {0, 1, PAGE, PAGE + 1, 1ul << 47, -PAGE, ~0ul};
    for (size_t l = 0; l < countof(lengths); l++)
        for (int odd = 0; odd < 2; odd++) {
            clear();
            map(0, 3, RW, ANON, -1, 0);
            ask("mlock +%d length %#lx", odd, lengths[l]), result(mlock(at(0) + odd, lengths[l])), say();
            ask("munlock +%d length %#lx", odd, lengths[l]), result(munlock(at(0) + odd, lengths[l])), say();
        }
    for (int bit = 0; bit < 4; bit++)
        ask("mlock2 flag bit %d", bit), result(syscall(SYS_mlock2, at(0), PAGE, 1 << bit)), done();
    ask("nothing there"), result(mlock(at(40), PAGE)), done();
    ask("nothing there, no length"), result(mlock(at(40), 0)), done();
    ask("above"), result(mlock((void *)(1ul << 47), PAGE)), done();
    for (int flags = 0; flags < 16; flags++)
        ask("mlockall %d", flags), result(mlockall(flags)), munlockall(), done();
    ask("munlockall"), result(munlockall()), status("VmLck"), done();
}

static void limits(void) {
    ordinary();
    limit(RLIMIT_MEMLOCK, 4 * PAGE + 100);
    map(0, 8, RW, ANON, -1, 0);
    ask("4 of 4"), result(mlock(at(0), 4 * PAGE)), say();
    ask("again"), result(mlock(at(0), 4 * PAGE)), say();
    ask("a fifth"), result(mlock(at(4), PAGE)), say();
    ask("5 in one, 4 of them locked"), result(mlock(at(0), 5 * PAGE)), say();
    ask("fifth ONFAULT"), result(syscall(SYS_mlock2, at(4), PAGE, 1)), say();
    ask("unlock one, lock another"), munlock(at(0), PAGE), result(mlock(at(5), PAGE)), say();
    ask("5 nowhere"), result(mlock(at(20), 5 * PAGE)), done();
    ask("mmap LOCKED beyond"), placed(mmap(at(30), PAGE, RW, ANON | MAP_LOCKED, -1, 0)), done();
    ask("mlockall CURRENT"), result(mlockall(MCL_CURRENT)), status("VmLck"), done();
    ask("mlockall FUTURE"), result(mlockall(MCL_FUTURE)), status("VmLck"), done();
    ask("mmap after it"), placed(mmap(at(30), PAGE, RW, ANON, -1, 0)), done();
    ask("brk after it"), note("%d", sbrk(PAGE) == (void *)-1), done();
    ask("munlockall"), result(munlockall()), say();
    ask("unmapping unlocks"), mlock(at(0), 4 * PAGE), munmap(at(1), 2 * PAGE), status("VmLck"), done();
    ask("replacing unlocks"), map(0, 1, RW, ANON, -1, 0), status("VmLck"), done();
    ask("replacing with locked"), placed(map(0, 1, RW, ANON | MAP_LOCKED, -1, 0)), status("VmLck"), done();
    limit(RLIMIT_MEMLOCK, 0);
    ask("limit 0"), result(mlock(at(4), PAGE)), done();
    ask("limit 0, nothing"), result(mlock(at(4), 0)), done();
    ask("limit 0, mlock2 bad flag"), result(syscall(SYS_mlock2, at(4), PAGE, 2)), done();
    ask("limit 0, munlock"), result(munlock(at(3), PAGE)), status("VmLck"), done();
    ask("limit 0, mlockall"), result(mlockall(MCL_CURRENT)), done();
    ask("limit 0, mlockall bad"), result(mlockall(8)), done();
    limit(RLIMIT_MEMLOCK, PAGE - 1);
    ask("limit less than a page"), result(mlock(at(4), PAGE)), done();
}

/* mlockall FUTURE: what new mappings become. */
static void future(void) {
    static const int sets[] = {MCL_FUTURE, MCL_FUTURE | MCL_ONFAULT, MCL_CURRENT | MCL_ONFAULT, MCL_CURRENT};
    for (size_t i = 0; i < countof(sets); i++) {
        clear();
        map(0, 1, RW, ANON, -1, 0);
        ask("mlockall %d", sets[i]), result(mlockall(sets[i])), core(0, 1), note("%s", smaps_text(0, "VmFlags")),
            done();
        map(1, 2, RW, ANON, -1, 0), map(4, 2, NONE, ANON, -1, 0), map(8, 2, RW, SHARED, -1, 0);
        ask("mmap after mlockall %d", sets[i]), core(1, 2), core(4, 2), core(8, 2), layout();
        note("%s|%s", smaps_text(1, "VmFlags"), ""), note("%s", smaps_text(4, "VmFlags")),
            note("%s", smaps_text(8, "VmFlags")), done();
        mprotect(at(4), 2 * PAGE, RW);
        ask("made writable after mlockall %d", sets[i]), core(4, 2), done();
        munlockall();
        ask("munlockall after mlockall %d", sets[i]), note("%s", smaps_text(1, "VmFlags")), map(20, 1, RW, ANON, -1, 0),
            note("%s", smaps_text(20, "VmFlags")), status("VmLck"), done();
    }
    clear();
    map(0, 1, NONE, ANON, -1, 0), map(2, 1, RW, ANON, -1, 0), map(4, 2, R, MAP_SHARED, file_of(PAGE), 0);
    map(8, 2, RW, ANON, -1, 0);
    ask("mlockall goes on after what cannot be had"), result(mlockall(MCL_CURRENT)), core(2, 1), core(4, 1), core(8, 2),
        done();
    munlockall(), clear();
    map(0, 2, RW, ANON, -1, 0), mlock(at(0), 2 * PAGE);
    if (fork() == 0) {
        ask("a child has no locks"), status("VmLck"), note("%s", smaps_text(0, "VmFlags")), done();
        _exit(0);
    }
    wait(NULL);
    mlockall(MCL_FUTURE);
    if (fork() == 0) {
        map(4, 1, RW, ANON, -1, 0);
        ask("a child does not inherit mlockall"), core(4, 1), note("%s", smaps_text(4, "VmFlags")), done();
        _exit(0);
    }
    wait(NULL);
    munlockall();
    mlock(at(0), 2 * PAGE);
    mprotect(at(0), PAGE, R);
    ask("rights change, locks stay"), core(0, 2), say();
    mprotect(at(1), PAGE, NONE);
    ask("no rights, locks stay"), core(0, 2), say();
    clear();
    int fd = file_of(4 * PAGE);
    map(0, 2, RW, MAP_PRIVATE, fd, 0), mprotect(at(0), 2 * PAGE, R), mlock(at(0), 2 * PAGE),
        mprotect(at(0), 2 * PAGE, RW);
    ask("locked private file made writable has its copies"), smaps(0, "Anonymous"), smaps(0, "Locked"), done();
}

int main(void) {
    GROUP(kinds);
    GROUP(past_the_end);
    GROUP(holes);
    GROUP(arguments);
    GROUP(limits);
    GROUP(future);
    return 0;
}
