/* mm_limits.c - brk(2), RLIMIT_AS, DATA and STACK; MAP_GROWSDOWN, its guard gap, the main stack. */
#include "abi.h"

static unsigned long raw_brk(unsigned long to) { return (unsigned long)syscall(SYS_brk, to); }

static void say_brk(unsigned long start, unsigned long asked) {
    unsigned long now = raw_brk(0);
    note("%s, now +%ld", now == asked ? "as asked" : "refused", (long)(now - start));
}

static void heap_line(void) {
    struct entry e;
    for (char *p = proc_text("/proc/self/maps"); (p = entry_parse(p, &e));)
        if (!strcmp(e.name, "[heap]"))
            note("heap %s %lu", e.rights, (e.end - e.start) / PAGE);
}

static void breaks(void) {
    unsigned long start = (raw_brk(0) + PAGE - 1) & -PAGE;
    raw_brk(start);
    static const long steps[] = {1, PAGE, PAGE + 1, 16 * PAGE, 3 * PAGE, 3 * PAGE - 1, 0, 8 * PAGE};
    for (size_t i = 0; i < countof(steps); i++) {
        ask("brk start + %ld", steps[i]);
        raw_brk(start + (unsigned long)steps[i]), say_brk(start, start + (unsigned long)steps[i]), done();
    }
    heap_line();
    *(char *)start = 5, *(char *)(start + 7 * PAGE) = 6;
    ask("memory of the heap"), heap_line();
    raw_brk(start + 4 * PAGE), raw_brk(start + 8 * PAGE);
    note("kept %d, given back and had again %d", *(char *)start, *(char *)(start + 7 * PAGE)), done();
    ask("brk below its start"), raw_brk(PAGE), note("%d", raw_brk(0) == start + 8 * PAGE), done();
    ask("brk to 1"), note("%d", raw_brk(1) == start + 8 * PAGE), done();
    ask("brk too far"), note("%d", raw_brk(1ul << 46) == start + 8 * PAGE), done();
    ask("brk wraps"), note("%d", raw_brk(-PAGE) == start + 8 * PAGE), done();
    ask("brk wraps when it is rounded up"), note("%d", raw_brk(-1ul) == start + 8 * PAGE), done();
    mmap((void *)(start + 20 * PAGE), PAGE, R, ANON | MAP_FIXED, -1, 0);
    ask("brk up to a mapping"), raw_brk(start + 20 * PAGE), say_brk(start, start + 20 * PAGE), done();
    ask("brk up to a page before it"), raw_brk(start + 19 * PAGE), say_brk(start, start + 19 * PAGE), done();
    ask("brk over it"), raw_brk(start + 21 * PAGE), say_brk(start, start + 21 * PAGE), done();
    munmap((void *)(start + 2 * PAGE), PAGE);
    ask("a hole in the heap, shrink over it"), raw_brk(start), say_brk(start, start), done();
    ask("rights of the heap"), raw_brk(start + PAGE), mprotect((void *)start, PAGE, R), raw_brk(start + 2 * PAGE);
    for (char *p = proc_text("/proc/self/maps"); p && *p;) {
        struct entry e;
        p = entry_parse(p, &e);
        if (p && e.start >= (start & -PAGE) && e.end <= start + 2 * PAGE)
            note("%s", e.rights);
    }
    done();
    if (fork() == 0) {
        ask("brk in a child"), raw_brk(start + 6 * PAGE), say_brk(start, start + 6 * PAGE), done();
        _exit(0);
    }
    wait(NULL);
    ask("the parent's brk"), say_brk(start, start + 2 * PAGE), done();
}

static void data(void) {
    unsigned long start = (raw_brk(0) + PAGE - 1) & -PAGE;
    raw_brk(start);
    long used = status_of("VmData") * 1024;
    limit(RLIMIT_DATA, (unsigned long)used + 16 * PAGE);
    ask("RLIMIT_DATA, mmap of 16 pages"), placed(map(0, 16, RW, ANON, -1, 0)), done();
    ask("RLIMIT_DATA, one more"), placed(map(20, 1, RW, ANON, -1, 0)), done();
    ask("RLIMIT_DATA, read-only"), placed(map(21, 4, R, ANON, -1, 0)), done();
    ask("RLIMIT_DATA, made writable"), result(mprotect(at(21), PAGE, RW)), done();
    ask("RLIMIT_DATA, shared"), placed(map(30, 4, RW, SHARED, -1, 0)), done();
    ask("RLIMIT_DATA, stack"), placed(map(40, 4, RW, ANON | MAP_GROWSDOWN | MAP_STACK, -1, 0)), done();
    ask("RLIMIT_DATA, mremap grows"), placed(mremap(at(8), 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE)), done();
    ask("RLIMIT_DATA, replacing"), placed(map(0, 16, RW, ANON, -1, 0)), done();
    ask("RLIMIT_DATA, brk"), raw_brk(start + PAGE), say_brk(start, start + PAGE), done();
    munmap(at(0), 4 * PAGE);
    ask("RLIMIT_DATA, after unmapping"), placed(map(50, 4, RW, ANON, -1, 0)), placed(map(60, 1, RW, ANON, -1, 0)),
        done();
    ask("RLIMIT_DATA, private file"), placed(map(70, 2, RW, MAP_PRIVATE, file_of(PAGE), 0)),
        placed(map(80, 2, R, MAP_PRIVATE, file_of(PAGE), 0)), done();
}

static void address_space(void) {
    long used = status_of("VmSize") * 1024;
    limit(RLIMIT_AS, (unsigned long)used + 16 * PAGE);
    ask("RLIMIT_AS, 16 pages"), placed(map(0, 16, NONE, ANON, -1, 0)), done();
    ask("RLIMIT_AS, one more"), placed(map(20, 1, NONE, ANON | MAP_NORESERVE, -1, 0)), done();
    ask("RLIMIT_AS, over what is there"), placed(map(0, 16, RW, SHARED, -1, 0)), done();
    ask("RLIMIT_AS, half over what is there"), placed(map(8, 16, RW, ANON, -1, 0)), layout(), done();
    ask("RLIMIT_AS, mremap moves"), placed(mremap(at(0), 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(40))),
        done();
    ask("RLIMIT_AS, mremap grows"), placed(mremap(at(40), 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE)), done();
    munmap(at(8), 4 * PAGE);
    ask("RLIMIT_AS, after unmapping"), placed(map(60, 4, R, ANON, -1, 0)), placed(map(70, 1, R, ANON, -1, 0)), done();
    ask("RLIMIT_AS, fork"), fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    wait(NULL);
    note("%s", pid > 0 ? "ok" : error_name(errno)), done();
}

/* A growing mapping at 500-502. */
static void growing(void) {
    static const unsigned long steps[] = {499, 498, 450, 400, 300};
    map(500, 2, RW, ANON | MAP_GROWSDOWN, -1, 0);
    for (size_t i = 0; i < countof(steps); i++)
        ask("touch %lu", steps[i]), touch('w', at(steps[i])), layout(), done();
    ask("read below it"), touch('r', at(250)), layout(), done();
    ask("flags"), smaps(500, "VmFlags"), done();
    ask("munmap of its start"), result(munmap(at(200), 100 * PAGE)), layout(), touch('w', at(290)), layout(), done();
    ask("munmap of its middle"), result(munmap(at(400), 10 * PAGE)), layout(), touch('w', at(405)), layout(), done();
}

static void near_neighbour(const char *what, int prot, int flags, unsigned long neighbour) {
    clear();
    map(neighbour, 1, prot, flags, -1, 0), map(800, 2, RW, ANON | MAP_GROWSDOWN, -1, 0);
    ask("%s at distance %lu", what, 800 - neighbour - 1);
    for (unsigned long page = 799; page > neighbour; page = neighbour + (page - neighbour) / 2)
        touch('w', at(page));
    layout(), done();
}

static void gap(void) {
    static const unsigned long distances[] = {0, 1, 10, 255, 256, 257, 300, 600};
    for (size_t i = 0; i < countof(distances); i++) {
        near_neighbour("a mapping", RW, ANON, 799 - distances[i]);
        near_neighbour("a PROT_NONE mapping", NONE, ANON, 799 - distances[i]);
        near_neighbour("another that grows", RW, ANON | MAP_GROWSDOWN, 799 - distances[i]);
    }
    clear();
    map(800, 2, RW, ANON | MAP_GROWSDOWN, -1, 0);
    ask("a mapping may be made right below"), placed(map(799, 1, RW, SHARED, -1, 0)), layout(), done();
    ask("a hint into the gap"), munmap(at(799), PAGE),
        note("%s", (char *)mmap(at(700), PAGE, R, SHARED, -1, 0) == at(700) ? "taken" : "refused"), done();
    ask("a hint below the gap"),
        note("%s", (char *)mmap(at(500), PAGE, R, SHARED, -1, 0) == at(500) ? "taken" : "refused"), done();
    ask("NOREPLACE into the gap"), placed(mmap(at(600), PAGE, R, SHARED | MAP_FIXED_NOREPLACE, -1, 0)), done();
}

static void growing_limits(void) {
    map(800, 2, RW, ANON | MAP_GROWSDOWN, -1, 0);
    limit(RLIMIT_STACK, 64 * PAGE);
    ask("RLIMIT_STACK 64, grown to 64"), touch('w', at(802 - 64)), layout(), done();
    ask("RLIMIT_STACK 64, to 65"), touch('w', at(802 - 65)), layout(), done();
    limit(RLIMIT_STACK, RLIM_INFINITY);
    limit(RLIMIT_AS, (unsigned long)status_of("VmSize") * 1024 + 4 * PAGE);
    ask("RLIMIT_AS, 4 more"), touch('w', at(802 - 68)), touch('w', at(802 - 69)), layout(), done();
    limit(RLIMIT_AS, RLIM_INFINITY);
    ordinary();
    limit(RLIMIT_MEMLOCK, 4 * PAGE);
    clear();
    map(800, 2, RW, ANON | MAP_GROWSDOWN, -1, 0), mlock(at(800), 2 * PAGE);
    ask("locked, 4 may be: grown by 2"), touch('w', at(798)), status("VmLck"), layout(), done();
    ask("locked, 4 may be: a fifth"), touch('w', at(797)), status("VmLck"), done();
    clear();
    map(800, 2, R, ANON | MAP_GROWSDOWN, -1, 0);
    ask("read-only that grows: read"), touch('r', at(790)), layout(), done();
    ask("read-only that grows: write"), touch('w', at(700)), layout(), done();
    clear();
    map(800, 2, NONE, ANON | MAP_GROWSDOWN, -1, 0);
    ask("no rights"), touch('r', at(790)), layout(), done();
    clear();
    map(800, 2, RW, ANON | MAP_GROWSDOWN, -1, 0);
    char c = 5;
    int fd = file_of(PAGE);
    ask("the kernel's write makes it grow"), result(pread(fd, at(790), 1, 0)), layout(), (void)c, done();
    ask("process_vm_writev below it"),
        result(syscall(SYS_process_vm_writev, getpid(), (struct iovec[]){{&c, 1}}, 1, (struct iovec[]){{at(700), 1}}, 1,
                       0)),
        layout(), done();
    ask("mprotect of the part that is not there"), result(mprotect(at(600), PAGE, R)), done();
    ask("mlock of the part that is not there"), result(mlock(at(600), PAGE)), done();
}

static size_t recurse(size_t bytes) {
    volatile char frame[2048];
    frame[0] = (char)bytes;
    return bytes <= sizeof frame ? (size_t)frame[0] : recurse(bytes - sizeof frame) + (size_t)frame[0];
}

static char other_stack[65536];

static void main_stack(void) {
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    struct entry e;
    sigaltstack(&stack, NULL);
    recurse(1 << 20);
    ask("the stack grew by a MiB");
    for (char *p = proc_text("/proc/self/maps"); (p = entry_parse(p, &e));)
        if (!strcmp(e.name, "[stack]"))
            note("%s, at least: %d", e.rights, e.end - e.start >= 1 << 20);
    done();
    limit(RLIMIT_STACK, 2 << 20);
    int number = sigsetjmp(touch_back, 1);
    if (number == 0) {
        touching = 1;
        recurse(4 << 20);
    }
    touching = 0;
    ask("over RLIMIT_STACK"), note("%s", number ? fault_name(number, &touch_info) : "ok"), done();
}

int main(void) {
    GROUP(breaks);
    GROUP(data);
    GROUP(address_space);
    GROUP(growing);
    GROUP(gap);
    GROUP(growing_limits);
    GROUP(main_stack);
    return 0;
}
