/* mm_remote.c - process_vm_readv, process_vm_writev, process_madvise, /proc/PID/mem: whose memory, which parts, what
 * rights. */
#include "abi.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static long move(bool write, pid_t pid, struct iovec *l, unsigned long ln, struct iovec *r, unsigned long rn,
                 unsigned long flags) {
    return syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv, pid, l, ln, r, rn, flags);
}

/* The window: 0-2 rw, 2-3 nothing, 3-4 r, 4-5 none, 5-7 shared file of one page, 8-10 ours. */
static void window(void) {
    clear();
    map(0, 2, RW, ANON, -1, 0), map(3, 1, R, ANON, -1, 0), map(4, 1, NONE, ANON, -1, 0),
        map(5, 2, RW, MAP_SHARED, file_of(PAGE), 0), map(8, 2, RW, ANON, -1, 0);
    for (unsigned i = 0; i < 2 * PAGE; i++)
        at(0)[i] = (char)(i % 101), at(8)[i] = (char)(i % 103);
}

static void ranges(pid_t pid, const char *who) {
    static const struct {
        const char *what;
        unsigned long from, bytes;
    } parts[] = {{"nothing", 0, 0},
                 {"a byte", 0, 1},
                 {"a page", 0, PAGE},
                 {"two pages", 0, 2 * PAGE},
                 {"to the hole", PAGE, PAGE},
                 {"into the hole", PAGE, 2 * PAGE},
                 {"into the hole, odd", 2 * PAGE - 100, 200},
                 {"the hole", 2 * PAGE, 10},
                 {"read-only", 3 * PAGE, 10},
                 {"no rights", 4 * PAGE, 10},
                 {"read-only, then no rights", 4 * PAGE - 10, 20},
                 {"a shared file", 5 * PAGE, 10},
                 {"past its end", 6 * PAGE, 10},
                 {"up to its end", 6 * PAGE - 10, 20}};
    for (int write = 0; write < 2; write++)
        for (size_t i = 0; i < countof(parts); i++) {
            struct iovec l = {at(8), parts[i].bytes}, r = {(char *)BASE + parts[i].from, parts[i].bytes};
            ask("%s %s, %s", write ? "writev" : "readv", who, parts[i].what);
            result(move(write, pid, &l, 1, &r, 1, 0)), note("%d %d", at(8)[0], at(8)[5]), done();
        }
}

static void own(void) {
    window();
    ranges(getpid(), "own");
}

static void childs(void) {
    int go[2], ready[2];
    char c;
    window();
    if (pipe(go) || pipe(ready))
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        at(0)[0] = 77;
        (void)!write(ready[1], "", 1);
        (void)!read(go[0], &c, 1);
        ask("the child afterwards"), content(0, 2), note("%d %d", at(1)[PAGE - 1], at(5)[0]), done();
        _exit(0);
    }
    close(go[0]);
    (void)!read(ready[0], &c, 1);
    ranges(pid, "a child's");
    ask("what the parent has"), content(0, 2), done();
    ask("pid 0"), result(move(false, 0, NULL, 0, NULL, 0, 0)), done();
    ask("pid of nobody"), result(move(false, 999999, &(struct iovec){at(8), 1}, 1, &(struct iovec){at(0), 1}, 1, 0)),
        done();
    ask("pid of nobody, no vectors"), result(move(false, 999999, NULL, 0, NULL, 0, 0)), done();
    int fd = -1;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    fd = open(path, O_RDWR);
    for (unsigned long page = 0; page < 7; page++) {
        c = 0;
        ask("mem of the child, read page %lu", page), result(pread(fd, &c, 1, (off_t)(BASE + page * PAGE))),
            note("%d", c), done();
        ask("mem of the child, write page %lu", page), result(pwrite(fd, "!", 1, (off_t)(BASE + page * PAGE))), done();
    }
    ask("mem of the child, over the hole"), result(pread(fd, at(8), 2 * PAGE, (off_t)(BASE + PAGE))), done();
    close(go[1]);
    wait(NULL);
    ask("mem of one that has ended"), result(pread(fd, at(8), 1, (off_t)BASE)), done();
    ask("one that has ended"), result(move(false, pid, &(struct iovec){at(8), 1}, 1, &(struct iovec){at(0), 1}, 1, 0)),
        done();
}

/* What was opened is the memory of the program that ran then. */
static void replaced(void) {
    int go[2], over[2];
    char path[64], c;
    unsigned long start = 0, word;
    (void)!pipe(go), (void)!pipe2(over, O_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        (void)!read(go[0], &c, 1);
        dup2(go[0], 0), close(go[0]), close(go[1]);
        execl("/bin/sh", "sh", "-c", "read x", NULL);
        _exit(1);
    }
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int mem = open(path, O_RDWR);
    snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
    int pagemap = open(path, O_RDONLY);
    close(over[1]);
    (void)!write(go[1], "", 1);
    (void)!read(over[0], &c, 1);
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    (void)!fscanf(maps, "%lx", &start);
    fclose(maps);
    ask("mem of before execve, read"), result(pread(mem, &c, 1, (off_t)start)), done();
    ask("mem of before execve, write"), result(pwrite(mem, "!", 1, (off_t)start)), done();
    ask("pagemap of before execve"), result(pread(pagemap, &word, 8, (off_t)(start / PAGE * 8))), done();
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    ask("mem of after it"), result(pread(open(path, O_RDONLY), &c, 1, (off_t)start)), done();
    close(go[1]);
    wait(NULL);
}

static void vectors(void) {
    window();
    struct iovec many[1025];
    for (size_t i = 0; i < countof(many); i++)
        many[i] = (struct iovec){at(0) + i, 1};
    static const unsigned long counts[] = {0, 1, 2, 1023, 1024, 1025, ~0ul};
    for (size_t l = 0; l < countof(counts); l++)
        for (size_t r = 0; r < countof(counts); r++)
            ask("%ld local, %ld remote vectors", (long)counts[l], (long)counts[r]),
                result(move(false, getpid(), many, counts[l], many, counts[r], 0)), done();
#define CASE(what, l, ln, r, rn, flags)                                                                                \
    do {                                                                                                               \
        window();                                                                                                      \
        ask("%s", what), result(move(false, getpid(), l, ln, r, rn, flags)), note("%d %d", at(8)[0], at(8)[5]),        \
            done();                                                                                                    \
    } while (0)
    CASE("flags", many, 1, many, 1, 1);
    CASE("bad local array", (struct iovec *)8, 1, many, 1, 0);
    CASE("bad remote array", many, 1, (struct iovec *)8, 1, 0);
    CASE("both bad and no counts", (struct iovec *)8, 0, (struct iovec *)8, 0, 0);
    CASE("bad local memory", (&(struct iovec){at(20), 10}), 1, (&(struct iovec){at(0), 10}), 1, 0);
    CASE("read-only local memory", (&(struct iovec){at(3), 10}), 1, (&(struct iovec){at(0), 10}), 1, 0);
    CASE("local longer", (&(struct iovec){at(8), 100}), 1, (&(struct iovec){at(0), 10}), 1, 0);
    CASE("remote longer", (&(struct iovec){at(8), 10}), 1, (&(struct iovec){at(0), 100}), 1, 0);
    CASE("two into one", (&(struct iovec){at(8), 10}), 1, ((struct iovec[]){{at(0), 5}, {at(1), 5}}), 2, 0);
    CASE("one into two", ((struct iovec[]){{at(8), 5}, {at(9), 5}}), 2, (&(struct iovec){at(0), 10}), 1, 0);
    CASE("the second remote bad", (&(struct iovec){at(8), 10}), 1, ((struct iovec[]){{at(0), 5}, {at(2), 5}}), 2, 0);
    CASE("the first remote bad", (&(struct iovec){at(8), 10}), 1, ((struct iovec[]){{at(2), 5}, {at(0), 5}}), 2, 0);
    CASE("negative length", (&(struct iovec){at(8), -1ul}), 1, (&(struct iovec){at(0), 10}), 1, 0);
    CASE("negative remote length", (&(struct iovec){at(8), 10}), 1, (&(struct iovec){at(0), -1ul}), 1, 0);
    CASE("remote in the kernel", (&(struct iovec){at(8), 10}), 1, (&(struct iovec){(void *)-4096l, 10}), 1, 0);
    CASE("local in the kernel", (&(struct iovec){(void *)-4096l, 10}), 1, (&(struct iovec){at(0), 10}), 1, 0);
    CASE("lengths 0", (&(struct iovec){at(8), 0}), 1, (&(struct iovec){at(2), 0}), 1, 0);
    CASE("local length 0, bad remote", (&(struct iovec){at(8), 0}), 1, (&(struct iovec){at(2), 10}), 1, 0);
}

static void rights(void) {
    pid_t root = getppid();
    window();
    ordinary();
    struct iovec l = {at(8), 4}, r = {at(0), 4};
    ask("an ordinary user, root's process"), result(move(false, root, &l, 1, &r, 1, 0)), done();
    ask("an ordinary user, root's process, no vectors"), result(move(false, root, &l, 0, &r, 0, 0)), done();
    pid_t same = fork();
    if (same == 0) {
        pause();
        _exit(0);
    }
    ask("an ordinary user, its own"), result(move(false, same, &l, 1, &r, 1, 0)), done();
    kill(same, SIGKILL);
    ask("an ordinary user, itself"), result(move(false, getpid(), &l, 1, &r, 1, 0)), done();
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    ask("itself, not dumpable"), result(move(false, getpid(), &l, 1, &r, 1, 0)), done();
}

static long advise(int fd, struct iovec *v, unsigned long n, int advice, unsigned flags) {
    return syscall(SYS_process_madvise, fd, v, n, advice, flags);
}

static void madvises(void) {
    window();
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec one = {at(0), PAGE}, hole = {at(0), 5 * PAGE}, odd = {at(0) + 1, PAGE},
                 two[] = {{at(0), PAGE}, {at(8), PAGE}}, bad[] = {{at(0), PAGE}, {at(2), PAGE}, {at(8), PAGE}};
    for (int advice = -1; advice < 27; advice++)
        ask("process_madvise %d", advice), result(advise(self, &one, 1, advice, 0)), done();
    ask("two ranges"), result(advise(self, two, 2, MADV_COLD, 0)), done();
    ask("over a hole"), result(advise(self, &hole, 1, MADV_COLD, 0)), done();
    ask("a hole between"), result(advise(self, bad, 3, MADV_COLD, 0)), done();
    ask("a hole first"), result(advise(self, bad + 1, 2, MADV_COLD, 0)), done();
    ask("odd"), result(advise(self, &odd, 1, MADV_COLD, 0)), done();
    ask("no ranges"), result(advise(self, &one, 0, MADV_COLD, 0)), done();
    ask("flags"), result(advise(self, &one, 1, MADV_COLD, 1)), done();
    ask("no pidfd"), result(advise(99, &one, 1, MADV_COLD, 0)), done();
    ask("another descriptor"), result(advise(open("/dev/null", O_RDONLY), &one, 1, MADV_COLD, 0)), done();
    ask("bad array"), result(advise(self, (struct iovec *)8, 1, MADV_COLD, 0)), done();
    ask("too many"), result(advise(self, &one, 1025, MADV_COLD, 0)), done();
    ask("bad advice, no pidfd"), result(advise(99, &one, 1, 77, 0)), done();
}

int main(void) {
    GROUP(own);
    GROUP(childs);
    GROUP(replaced);
    GROUP(vectors);
    GROUP(rights);
    GROUP(madvises);
    return 0;
}
