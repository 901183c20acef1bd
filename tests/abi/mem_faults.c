/* mem_faults.c - which faults are counted, as minor and as major ones: none of these waits for a page to be read. */
#include "abi.h"

#define PAGES 16ul

struct faults {
    long minor, major;
};

static struct faults of(int who) {
    struct rusage u;
    getrusage(who, &u);
    return (struct faults){u.ru_minflt, u.ru_majflt};
}

/* Whatever this looks at is there already. */
static struct faults before;
static void begin(void) {
    before = of(RUSAGE_SELF);
    before = of(RUSAGE_SELF);
}
static void end(void) {
    struct faults now = of(RUSAGE_SELF);
    note("%ld minor, %ld major", now.minor - before.minor, now.major - before.major);
    done();
}

static char *window(int flags, int fd) {
    char *p = mmap(at(0), PAGES * PAGE, RW, flags | MAP_FIXED, fd, 0);
    madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
    return p;
}
static void writes(void) {
    for (unsigned long i = 0; i < PAGES; i++)
        at(i)[0] = 1;
}
static void reads(void) {
    for (unsigned long i = 0; i < PAGES; i++)
        (void)*(volatile char *)at(i);
}

static void anonymous(void) {
    window(ANON, -1);
    ask("new pages, written");
    begin();
    writes();
    end();
    ask("again");
    begin();
    writes();
    end();
    ask("given up, read");
    madvise(at(0), PAGES * PAGE, MADV_DONTNEED);
    begin();
    reads();
    end();
    ask("zero pages, written");
    begin();
    writes();
    end();
    ask("MAP_POPULATE, written");
    window(ANON | MAP_POPULATE, -1);
    begin();
    writes();
    end();
    ask("mlock");
    window(ANON, -1);
    begin();
    mlock(at(0), PAGES * PAGE);
    writes();
    end();
}

static void by_the_kernel(void) {
    int zero = open("/dev/zero", O_RDONLY);
    window(ANON, -1);
    ask("read(2) into new pages");
    begin();
    if (read(zero, at(0), PAGES * PAGE) != (long)(PAGES * PAGE))
        abort();
    end();
}

static void shared(void) {
    int fd = memfd_create("pages", 0);
    if (ftruncate(fd, PAGES * PAGE))
        abort();
    window(MAP_SHARED, fd);
    ask("pages of a memfd, written first");
    begin();
    writes();
    end();
    ask("mapped again, written");
    window(MAP_SHARED, fd);
    begin();
    writes();
    end();
    ask("a private copy of them");
    window(MAP_PRIVATE, fd);
    begin();
    writes();
    end();
}

static void forked(void) {
    window(ANON, -1);
    writes();
    ask("a child's copies");
    fflush(stdout);
    if (fork() == 0) {
        note("%ld major", of(RUSAGE_SELF).major);
        begin();
        writes();
        end();
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    ask("of children, major");
    note("%ld", of(RUSAGE_CHILDREN).major);
    done();
}

static sigjmp_buf back;
static void jump(int signal) { siglongjmp(back, 1); }
static void refused(void) {
    signal(SIGSEGV, jump);
    mmap(at(0), PAGE, NONE, ANON | MAP_FIXED, -1, 0);
    ask("refused");
    for (int i = 0; i < 2; i++) {
        begin();
        if (!sigsetjmp(back, 1))
            at(0)[0] = 1;
    }
    end();
}

static void told(void) {
    char text[1024] = "";
    long minor = -1, major = -1;
    int fd = open("/proc/self/stat", O_RDONLY);
    for (int i = 0; i < 2; i++) {
        before = of(RUSAGE_SELF);
        text[pread(fd, text, sizeof(text) - 1, 0)] = 0;
    }
    sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %ld %*d %ld", &minor, &major);
    ask("/proc/self/stat has other numbers than getrusage by");
    note("%ld minor, %ld major", minor - before.minor, major - before.major);
    done();
}

int main(void) {
    GROUP(anonymous);
    GROUP(by_the_kernel);
    GROUP(shared);
    GROUP(forked);
    GROUP(refused);
    GROUP(told);
    return 0;
}
