/* mem_collapse.c - MADV_COLLAPSE: small pages become a large one, whatever they hold; what cannot is refused. */
#include "abi.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define BLOCK 512ul
#define BLOCK_BYTES (BLOCK * PAGE)

/* Pages of their own, every `step`th. */
static void small(unsigned long page, unsigned long pages, unsigned long step) {
    map(page, pages, RW, ANON, -1, 0);
    madvise(at(page), pages * PAGE, MADV_NOHUGEPAGE);
    for (unsigned long i = 0; i < pages; i += step)
        *(long *)at(page + i) = (long)i + 1;
    madvise(at(page), pages * PAGE, MADV_HUGEPAGE);
}

static long wrong(unsigned long page, unsigned long pages, unsigned long step) {
    long count = 0;
    for (unsigned long i = 0; i < pages; i++)
        count += *(long *)at(page + i) != (i % step ? 0 : (long)i + 1);
    return count;
}

static void collapse(unsigned long page, unsigned long pages) {
    result(madvise(at(page), pages * PAGE, MADV_COLLAPSE));
}

static void whole(void) {
    small(0, BLOCK, 1);
    ask("a full block"), smaps(0, "AnonHugePages"), collapse(0, BLOCK), smaps(0, "AnonHugePages"), smaps(0, "Rss"),
        note("%ld wrong", wrong(0, BLOCK, 1)), done();
    ask("again"), collapse(0, BLOCK), smaps(0, "AnonHugePages"), done();
    ask("written after that"), *(long *)at(7) = 8, *(long *)at(500) = 501, note("%ld wrong", wrong(0, BLOCK, 1)),
                                      done();
    clear(), small(0, BLOCK, 3);
    ask("one of three written"), smaps(0, "Rss"), collapse(0, BLOCK), smaps(0, "Rss"), smaps(0, "AnonHugePages"),
        note("%ld wrong", wrong(0, BLOCK, 3)), done();
    clear(), map(0, BLOCK, RW, ANON, -1, 0), madvise(at(0), BLOCK_BYTES, MADV_NOHUGEPAGE),
        at(5)[0] = 1, madvise(at(0), BLOCK_BYTES, MADV_HUGEPAGE);
    ask("one page"), collapse(0, BLOCK), smaps(0, "AnonHugePages"), note("%d %d", at(5)[0], at(6)[0]), done();
    clear(), map(0, BLOCK, RW, ANON, -1, 0);
    ask("nothing written"), collapse(0, BLOCK), smaps(0, "AnonHugePages"), done();
    clear(), small(0, BLOCK, 1);
    ask("a shorter range"), collapse(0, BLOCK - 1), smaps(0, "AnonHugePages"), done();
    ask("an odd range in a larger mapping"), clear(), small(0, 2 * BLOCK, 1), collapse(100, BLOCK + 450),
        smaps(0, "AnonHugePages"), done();
    ask("two blocks"), collapse(0, 2 * BLOCK), smaps(0, "AnonHugePages"), note("%ld wrong", wrong(0, 2 * BLOCK, 1)),
        done();
}

static void views(void) {
    small(0, BLOCK, 1), madvise(at(0), BLOCK_BYTES, MADV_NOHUGEPAGE);
    ask("NOHUGEPAGE"), collapse(0, BLOCK), done();
    clear(), small(0, BLOCK, 1), mprotect(at(0), BLOCK_BYTES, R);
    ask("read-only"), collapse(0, BLOCK), done();
    clear(), small(0, BLOCK, 1), mprotect(at(100), PAGE, R);
    ask("a page of it read-only"), collapse(0, BLOCK), done();
    clear(), small(0, BLOCK, 1), munmap(at(100), PAGE);
    ask("a hole"), collapse(0, BLOCK), done();
    clear(), small(0, BLOCK, 1);
    ask("locked"), mlock(at(0), BLOCK_BYTES), collapse(0, BLOCK), smaps(0, "AnonHugePages"), smaps(0, "Locked"), done();
    ask("nothing mapped"), clear(), collapse(0, BLOCK), done();
}

static void forked(void) {
    small(0, BLOCK, 1);
    fflush(stdout);
    if (fork() == 0) {
        *(long *)at(3) = 4;
        ask("the child's, shared with its parent"), collapse(0, BLOCK), smaps(0, "AnonHugePages"),
            note("%ld wrong", wrong(0, BLOCK, 1)), done();
        memset(at(0), 0, BLOCK_BYTES);
        _exit(0);
    }
    wait(NULL);
    ask("the parent's after that"), note("%ld wrong", wrong(0, BLOCK, 1)), done();
    *(long *)at(9) = 10;
    ask("the parent's, collapsed"), collapse(0, BLOCK), note("%ld wrong", wrong(0, BLOCK, 1)), done();
    fflush(stdout);
    if (fork() == 0) {
        *(long *)at(4) = 44;
        ask("a child's of a large page"), note("%ld wrong", wrong(0, BLOCK, 1)), done();
        _exit(0);
    }
    wait(NULL);
    ask("the parent's at the end"), note("%ld wrong", wrong(0, BLOCK, 1)), munmap(at(1), PAGE),
        note("%ld", *(long *)at(2)), done();
}

int main(void) {
    GROUP(whole);
    GROUP(views);
    GROUP(forked);
    return 0;
}
