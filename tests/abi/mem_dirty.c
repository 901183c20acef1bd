/* mem_dirty.c - which pages were written: clear_refs 4 and bit 55 of /proc/PID/pagemap ("soft-dirty"). A page is shown
 * as D (dirty), c (clean), or in lower case d, _ where nothing is present. */
#include "abi.h"

#include <sys/ptrace.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static void clear_refs(const char *what) {
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    if (write(fd, what, strlen(what)) != (ssize_t)strlen(what))
        note("clear_refs: %s", error_name(errno));
    close(fd);
}

static void shows(unsigned long page, unsigned long pages) {
    uint64_t words[64];
    char text[65] = {0};
    int fd = open("/proc/self/pagemap", O_RDONLY);
    pread(fd, words, pages * 8, (long)((unsigned long)at(page) / PAGE * 8));
    close(fd);
    for (unsigned long i = 0; i < pages; i++) {
        int there = words[i] >> 62 != 0, dirty = words[i] >> 55 & 1;
        text[i] = there ? (dirty ? 'D' : 'c') : dirty ? 'd' : '_';
    }
    note("%s", text);
}

static void sd(unsigned long page) {
    const char *flags = smaps_text(page, "VmFlags");
    note("%s", strstr(flags, "sd") ? "sd" : "no sd");
}

static volatile int sink;

static void anonymous(void) {
    map(0, 8, RW, ANON, -1, 0);
    ask("new"), shows(0, 8), sd(0), done();
    for (int i = 0; i < 4; i++)
        at(i)[0] = 1;
    ask("written"), shows(0, 8), done();
    ask("cleared"), clear_refs("4"), shows(0, 8), sd(0), done();
    ask("one written"), at(1)[0] = 2, shows(0, 8), sd(0), done();
    ask("one read"), sink = at(2)[0], sink = at(5)[0], shows(0, 8), done();
    ask("an untouched one written"), at(6)[0] = 2, shows(0, 8), done();
    ask("the zero page written"), at(5)[0] = 2, shows(0, 8), done();
    ask("cleared again"), clear_refs("4"), shows(0, 8), done();
    ask("1 clears no marks"), at(0)[0] = 1, clear_refs("1"), shows(0, 8), done();
    ask("mprotect to and fro"), mprotect(at(0), 8 * PAGE, R), mprotect(at(0), 8 * PAGE, RW), shows(0, 8), done();
    ask("to nothing and back"), mprotect(at(0), 8 * PAGE, NONE), shows(0, 8), mprotect(at(0), 8 * PAGE, RW),
        shows(0, 8), done();
    ask("written after that"), at(1)[0] = 7, shows(0, 8), done();
    ask("DONTNEED, then read"), madvise(at(0), 2 * PAGE, MADV_DONTNEED), shows(0, 8), sink = at(0)[0], shows(0, 8),
                                                                                      done();
    ask("DONTNEED, then written"), at(1)[0] = 3, shows(0, 8), done();
    clear_refs("4");
    ask("mremap"), mremap(at(0), 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(100)), shows(100, 8), done();
    clear_refs("4");
    ask("write(2) from, read(2) into"), sink = (int)write(open("/dev/null", O_WRONLY), at(100), PAGE),
                                        sink = (int)read(open("/dev/zero", O_RDONLY), at(101), 10), shows(100, 8),
                                        done();
    ask("sent out"), madvise(at(100), 8 * PAGE, MADV_PAGEOUT), shows(100, 8), done();
}

static void forked(void) {
    map(0, 4, RW, ANON, -1, 0);
    for (int i = 0; i < 4; i++)
        at(i)[0] = 1;
    clear_refs("4");
    at(3)[0] = 2;
    fflush(stdout);
    if (fork() == 0) {
        ask("the child's, after the parent's clear"), shows(0, 4), sd(0), done();
        at(0)[0] = 5;
        ask("written in the child"), shows(0, 4), done();
        clear_refs("4");
        ask("cleared in the child"), shows(0, 4), done();
        _exit(0);
    }
    wait(NULL);
    ask("the parent's, after that"), shows(0, 4), done();
    ask("written in the parent"), at(1)[0] = 7, shows(0, 4), done();
    if (fork() == 0)
        _exit(0);
    wait(NULL);
    ask("written after a child came and went"), at(2)[0] = 7, shows(0, 4), done();
}

static void files(void) {
    int fd = memfd_create("x", 0);
    ftruncate(fd, 8 * PAGE);
    map(0, 4, RW, MAP_SHARED, fd, 0), map(10, 4, RW, MAP_PRIVATE, fd, 0);
    for (int i = 0; i < 3; i++)
        at(i)[0] = 1;
    sink = at(10)[0], at(11)[0] = 3;
    ask("of a file"), shows(0, 4), shows(10, 4), done();
    clear_refs("4");
    ask("cleared"), shows(0, 4), shows(10, 4), done();
    at(1)[0] = 4, at(12)[0] = 1;
    ask("one written of each"), shows(0, 4), shows(10, 4), done();
    at(11)[0] = 1;
    ask("a private copy again"), shows(10, 4), done();
    ask("pwrite"), sink = (int)pwrite(fd, "x", 1, 0), shows(0, 4), done();
    map(20, 2, RW, ANON, -1, 0);
    ask("mapped since"), shows(20, 2), sd(20), done();
}

static void arguments(void) {
    static const char *const words[] = {"0", "1", "2", "3", "4", "5", "6", "-1", "x", ""};
    for (size_t i = 0; i < countof(words); i++) {
        ask("clear_refs %s", words[i]);
        int fd = open("/proc/self/clear_refs", O_WRONLY);
        result(write(fd, words[i], strlen(words[i]))), close(fd), done();
    }
    ask("a large area, referenced forgotten"), map(512, 512, RW, ANON, -1, 0);
    memset(at(512), 1, 512 * PAGE), clear_refs("1"), clear_refs("2"), note("%d", at(700)[5]), done();
    ask("a large area, cleared"), clear_refs("4"), at(800)[0] = 9, note("%d %d", at(700)[5], at(800)[0]), done();
}

int main(void) {
    GROUP(anonymous);
    GROUP(forked);
    GROUP(files);
    GROUP(arguments);
    return 0;
}
