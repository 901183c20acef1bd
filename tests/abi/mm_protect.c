/* mm_protect.c - mprotect(2): rights against accesses, holes and how far it gets, what may never be had, GROWSDOWN. */
#include "abi.h"

static const char *const prot_names[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};

/* from any rights to any others, touched or not: what each access gets. */
static void access_table(const char *kind, int flags, int fd) {
    for (int from = 0; from < 8; from++)
        for (int to = 0; to < 8; to++) {
            clear();
            map(0, 1, RWX, flags, fd, 0);
            *at(0) = (char)0xc3; /* ret */
            mprotect(at(0), PAGE, from);
            ask("%s %s to %s", kind, prot_names[from], prot_names[to]);
            result(mprotect(at(0), PAGE, to));
            layout(), touch('r', at(0)), touch('x', at(0)), touch('w', at(0)), done();
        }
}

static void anonymous(void) { access_table("anonymous", ANON, -1); }
static void shared(void) { access_table("shared", SHARED, -1); }
static void private_file(void) { access_table("private file", MAP_PRIVATE, file_of(PAGE)); }

static void untouched(void) {
    for (int to = 0; to < 8; to++) {
        clear();
        map(0, 1, NONE, ANON, -1, 0);
        ask("untouched to %s", prot_names[to]);
        result(mprotect(at(0), PAGE, to)), touch('r', at(0)), touch('w', at(0)), done();
    }
}

/* 0-2 rw, 2-3 nothing, 3-5 r, 5-6 read-only shared file, 6-8 rw. How far does it get? */
static void holes(void) {
    named_file("ro", 4 * PAGE);
    int fd = open("ro", O_RDONLY);
    for (unsigned long from = 0; from < 8; from++)
        for (unsigned long to = from + 1; to <= 9; to++)
            for (int prot = 0; prot < 8; prot += 3) {
                clear();
                map(0, 2, RW, ANON, -1, 0), map(3, 2, R, ANON, -1, 0), map(5, 1, R, MAP_SHARED, fd, 0),
                    map(6, 2, RW, ANON, -1, 0);
                ask("holes: mprotect %lu-%lu %s", from, to, prot_names[prot]);
                result(mprotect(at(from), (to - from) * PAGE, prot)), layout(), done();
            }
}

static void arguments(void) {
    static const unsigned long lengths[] = {0, 1, PAGE, PAGE + 1, 2 * PAGE, 1ul << 47, -PAGE, ~0ul};
    for (size_t l = 0; l < countof(lengths); l++)
        for (int odd = 0; odd < 2; odd++) {
            clear();
            map(0, 3, RW, ANON, -1, 0);
            ask("mprotect +%d length %#lx", odd, lengths[l]);
            result(mprotect(at(0) + odd, lengths[l], R)), layout(), done();
        }
    for (int bit = 3; bit < 34; bit++) {
        clear();
        map(0, 1, R, ANON, -1, 0);
        ask("mprotect prot bit %d", bit);
        result(syscall(SYS_mprotect, at(0), PAGE, R | 1ul << bit)), layout(), done();
    }
    clear();
    ask("nothing mapped, no length"), result(mprotect(at(0), 0, R)), done();
    ask("nothing mapped, odd, no length"), result(mprotect(at(0) + 1, 0, R)), done();
    ask("above user space"), result(mprotect((void *)(1ul << 47), PAGE, R)), done();
    ask("both GROWS bits"), result(mprotect(at(0), PAGE, R | PROT_GROWSDOWN | PROT_GROWSUP)), done();
    ask("both GROWS bits, no length"), result(mprotect(at(0), 0, R | PROT_GROWSDOWN | PROT_GROWSUP)), done();
    ask("bad bit, no length"), result(mprotect(at(0), 0, 0x100)), done();
    ask("wraps, bad bit"), result(mprotect(at(0), ~0ul, 0x100)), done();
    ask("wraps with GROWSDOWN"), result(mprotect(at(0), ~0ul, PROT_GROWSDOWN)), done();
}

static void grows(void) {
    static const int bits[] = {0, PROT_GROWSDOWN, PROT_GROWSUP};
    static const char *const names[] = {"plain", "GROWSDOWN", "GROWSUP"};
    for (int b = 0; b < 3; b++)
        for (int kind = 0; kind < 2; kind++)
            for (unsigned long page = 0; page < 5; page += 2) {
                clear();
                map(0, 1, RW, ANON, -1, 0), map(2, 4, RW, ANON | (kind ? MAP_GROWSDOWN : 0), -1, 0);
                ask("%s on a %s mapping 2-6, at %lu", names[b], kind ? "growing" : "fixed", page);
                result(mprotect(at(page), PAGE, R | bits[b])), layout(), done();
            }
    clear();
    map(4, 4, RW, ANON | MAP_GROWSDOWN, -1, 0);
    ask("GROWSDOWN from the hole before"), result(mprotect(at(3), 2 * PAGE, R | PROT_GROWSDOWN)), layout(), done();
    ask("GROWSDOWN in the hole after"), result(mprotect(at(9), PAGE, R | PROT_GROWSDOWN)), layout(), done();
}

/* What a mapping was made with bounds what it can become. */
static void bounds(void) {
    named_file("b", PAGE);
    static const int opens[] = {O_RDONLY, O_RDWR};
    for (int o = 0; o < 2; o++)
        for (int s = 0; s < 2; s++) {
            int fd = open("b", opens[o]);
            clear();
            map(0, 1, R, s ? MAP_SHARED : MAP_PRIVATE, fd, 0);
            close(fd);
            for (int to = 0; to < 8; to++) {
                ask("mapped %s of %s, then %s", s ? "shared" : "private", o ? "O_RDWR" : "O_RDONLY", prot_names[to]);
                result(mprotect(at(0), PAGE, to));
                note("may %s", smaps_text(0, "VmFlags"));
                done();
            }
        }
    clear();
    ask("the vsyscall page"), result(mprotect((void *)0xffffffffff600000, PAGE, R)), done();
}

/* Data: what is there stays, private copies stay private, sharing stays shared. */
static void contents(void) {
    int fd = file_of(2 * PAGE);
    map(0, 2, RW, MAP_PRIVATE, fd, 0), map(2, 2, RW, MAP_SHARED, fd, 0);
    *at(0) = 1, *at(3) = 2;
    mprotect(at(0), 4 * PAGE, NONE);
    mprotect(at(0), 4 * PAGE, R);
    ask("contents after none and back"), content(0, 4), layout(), done();
    mprotect(at(0), 4 * PAGE, RW);
    *at(1) = 3, *at(2) = 4;
    ask("contents after writing again"), content(0, 4), done();
    ask("neighbours join when rights are equal again"), mprotect(at(1), PAGE, R), mprotect(at(1), PAGE, RW), layout(),
        done();
    clear();
    map(0, 8, RW, ANON, -1, 0), fill(0, 8, 1);
    for (unsigned long i = 0; i < 8; i += 2)
        mprotect(at(i), PAGE, i & 4 ? R : NONE);
    ask("every second page"), layout(), probe(0, 8), content(0, 8), done();
    mprotect(at(0), 8 * PAGE, RW);
    ask("all again"), layout(), probe(0, 8), content(0, 8), done();
}

static void forked(void) {
    map(0, 4, RW, ANON, -1, 0), fill(0, 4, 1);
    mprotect(at(1), PAGE, R), mprotect(at(2), PAGE, NONE);
    if (fork() == 0) {
        ask("child's rights"), layout(), probe(0, 4), done();
        mprotect(at(0), 4 * PAGE, RW);
        fill(0, 4, 11);
        ask("child's changes"), layout(), content(0, 4), done();
        _exit(0);
    }
    wait(NULL);
    ask("parent unchanged"), layout(), probe(0, 4), content(0, 4), done();
}

int main(void) {
    GROUP(anonymous);
    GROUP(shared);
    GROUP(private_file);
    GROUP(untouched);
    GROUP(holes);
    GROUP(arguments);
    GROUP(grows);
    GROUP(bounds);
    GROUP(contents);
    GROUP(forked);
    return 0;
}
