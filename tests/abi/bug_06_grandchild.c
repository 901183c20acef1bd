/* bug_06_grandchild.c - FreeBSD's CVE-2021-29626: P1, its child P2 and grandchild P3 share pages; P3 breaks them away
 * while P2 keeps looking on the other CPU: no mapping may go stale. For areas from one page to one more than a table's.
 */
#include "bug.h"

static struct shared { int stage[4]; } * at;

static int all(const char *p, size_t pages, char value) {
    for (size_t i = 0; i < pages; i++)
        if (p[i * PAGE] != value || p[i * PAGE + PAGE - 1] != value)
            return 0;
    return 1;
}
static void put(char *p, size_t pages, char value) {
    for (size_t i = 0; i < pages; i++)
        p[i * PAGE] = p[i * PAGE + PAGE - 1] = value;
}

static int tree(size_t pages) {
    char *p = map(NULL, pages * PAGE, RW, ANON, -1);
    memset(at, 0, sizeof(*at));
    put(p, pages, '1');
    pid_t second = fork();
    if (second == 0) {
        pid_t third = fork();
        if (third == 0) {
            pin(1);
            int bad = !all(p, pages, '1');
            store(at->stage[0], 1);
            put(p, pages, '3');
            store(at->stage[0], 2);
            await(&at->stage[1], 1);
            bad |= !all(p, pages, '3');
            _exit(bad);
        }
        pin(0);
        while (!load(at->stage[0]))
            sched_yield();
        int bad = 0;
        while (load(at->stage[0]) != 2)
            bad |= !all(p, pages, '1'); /* while P3 breaks */
        bad |= !all(p, pages, '1');
        put(p, pages, '2');
        bad |= !all(p, pages, '2');
        store(at->stage[1], 1);
        _exit(bad | (wait_for(third) != 0));
    }
    await(&at->stage[1], 1);
    int bad = !all(p, pages, '1');
    put(p, pages, 'x');
    bad |= wait_for(second) != 0 || !all(p, pages, 'x');
    munmap(p, pages * PAGE);
    return bad;
}

int main(void) {
    static const size_t sizes[] = {1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65, 255, 256, 511, 512, 513};
    at = (struct shared *)map(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        int bad = 0;
        for (int again = 0; again < 4; again++)
            bad |= tree(sizes[i]);
        printf("%zu pages, each process its own -> %d\n", sizes[i], !bad);
    }
    return 0;
}
