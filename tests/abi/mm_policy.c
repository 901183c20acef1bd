/* mm_policy.c - set_mempolicy, get_mempolicy, mbind, move_pages, migrate_pages on one node; membarrier;
 * remap_file_pages; shm_open. */
#include "abi.h"
#include <linux/mempolicy.h>

#ifndef MPOL_MF_STRICT
#define MPOL_MF_STRICT 1
#define MPOL_MF_MOVE 2
#define MPOL_MF_MOVE_ALL 4
#endif

static void say_policy(void) {
    int mode = -7;
    unsigned long nodes[16] = {~0ul};
    long r = syscall(SYS_get_mempolicy, &mode, nodes, 1024, NULL, 0);
    note("policy %ld %#x %#lx", r, (unsigned)mode, nodes[0]);
}

static const struct {
    const char *name;
    int fixed; /* 1: no mask */
    unsigned long mask, bits;
} masks[] = {{"no mask", 1, 0, 0},
             {"empty", 0, 0, 64},
             {"node 0", 0, 1, 64},
             {"node 0, one bit", 0, 1, 1},
             {"node 0, two bits", 0, 1, 2},
             {"node 1", 0, 2, 64},
             {"nodes 0 and 1", 0, 3, 64},
             {"node 63", 0, 1ul << 63, 64},
             {"node 0, 1024 bits", 0, 1, 1024},
             {"node 0, 1025 bits", 0, 1, 1025},
             {"node 0, too many bits", 0, 1, 1ul << 20}};
static const int modes[] = {MPOL_DEFAULT,
                            MPOL_PREFERRED,
                            MPOL_BIND,
                            MPOL_INTERLEAVE,
                            MPOL_LOCAL,
                            5 /* PREFERRED_MANY */,
                            6,
                            7,
                            -1,
                            1 << 15 | MPOL_BIND,
                            1 << 14 | MPOL_BIND,
                            1 << 14 | MPOL_DEFAULT,
                            3 << 14 | MPOL_INTERLEAVE,
                            1 << 13 | MPOL_BIND,
                            1 << 13 | MPOL_PREFERRED,
                            1 << 16};
static unsigned long wide[1 << 15];

static void policies(void) {
    for (size_t m = 0; m < countof(modes); m++)
        for (size_t k = 0; k < countof(masks); k++) {
            syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
            wide[0] = masks[k].mask;
            ask("set_mempolicy %#x, %s", (unsigned)modes[m], masks[k].name);
            result(syscall(SYS_set_mempolicy, modes[m], masks[k].fixed ? NULL : wide, masks[k].bits)), say_policy(),
                done();
        }
    ask("set_mempolicy, bad mask"), result(syscall(SYS_set_mempolicy, MPOL_BIND, (void *)8, 64)), done();
}

static void binds(void) {
    for (size_t m = 0; m < countof(modes); m++)
        for (size_t k = 0; k < countof(masks); k++) {
            clear();
            map(0, 4, RW, ANON, -1, 0), fill(0, 4, 1);
            wide[0] = masks[k].mask;
            ask("mbind %#x, %s", (unsigned)modes[m], masks[k].name);
            result(syscall(SYS_mbind, at(1), 2 * PAGE, modes[m], masks[k].fixed ? NULL : wide, masks[k].bits, 0));
            int mode = -7;
            unsigned long nodes[16] = {0};
            result(syscall(SYS_get_mempolicy, &mode, nodes, 1024, at(1), MPOL_F_ADDR)),
                note("%#x %#lx", (unsigned)mode, nodes[0]), layout(), content(0, 4), done();
        }
    wide[0] = 1;
    for (unsigned flags = 0; flags < 17; flags++)
        ask("mbind flags %u", flags), result(syscall(SYS_mbind, at(0), PAGE, MPOL_BIND, wide, 64, flags)), done();
    clear();
    map(0, 2, RW, ANON, -1, 0), map(3, 1, RW, ANON, -1, 0);
    static const struct {
        const char *what;
        unsigned long from, bytes;
    } parts[] = {{"odd", 1, PAGE},
                 {"nothing", 0, 0},
                 {"a hole", 2 * PAGE, PAGE},
                 {"over a hole", 0, 4 * PAGE},
                 {"into a hole", PAGE, 2 * PAGE},
                 {"from a hole", 2 * PAGE, 2 * PAGE},
                 {"wraps", 0, ~0ul},
                 {"wraps far", 0, -2 * PAGE}};
    for (size_t i = 0; i < countof(parts); i++)
        for (int strict = 0; strict < 2; strict++)
            for (int mode = 0; mode < 3; mode += 2)
                ask("mbind %s%s%s", parts[i].what, strict ? ", strict" : "", mode ? "" : ", default"),
                    result(syscall(SYS_mbind, (char *)BASE + parts[i].from, parts[i].bytes, mode, mode ? wide : NULL,
                                   mode ? 64 : 0, strict)),
                    done();
}

static void queries(void) {
    map(0, 2, RW, ANON, -1, 0), map(4, 1, R, ANON, -1, 0), *at(0) = 1;
    for (int flags = 0; flags < 9; flags++)
        for (int address = 0; address < 4; address++) {
            int mode = -7;
            unsigned long nodes[16] = {77};
            ask("get_mempolicy flags %d, %s", flags,
                address == 0   ? "no address"
                : address == 1 ? "touched"
                : address == 2 ? "untouched"
                               : "nothing there");
            result(syscall(SYS_get_mempolicy, &mode, nodes, 1024,
                           address == 0 ? NULL
                                        : at(address == 1   ? 0
                                             : address == 2 ? 1
                                                            : 20),
                           flags)),
                note("%d %#lx", mode, nodes[0]), done();
        }
    static const unsigned long bits[] = {0, 1, 2, 63, 64, 65, 1023, 1024, 1025, 1ul << 20};
    for (size_t i = 0; i < countof(bits); i++) {
        int mode = -7;
        memset(wide, 0xff, 256);
        ask("get_mempolicy, %lu bits", bits[i]), result(syscall(SYS_get_mempolicy, &mode, wide, bits[i], NULL, 0)),
            note("%d %#lx %#lx", mode, wide[0], wide[1]), done();
        ask("get_mempolicy MEMS_ALLOWED, %lu bits", bits[i]), memset(wide, 0xff, 256),
            result(syscall(SYS_get_mempolicy, NULL, wide, bits[i], NULL, MPOL_F_MEMS_ALLOWED)),
            note("%#lx %#lx", wide[0], wide[1]), done();
    }
    ask("get_mempolicy of nothing"), result(syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0)), done();
    ask("get_mempolicy, bad mode"), result(syscall(SYS_get_mempolicy, 8, NULL, 0, NULL, 0)), done();
    ask("get_mempolicy, bad mask"), result(syscall(SYS_get_mempolicy, NULL, 8, 1024, NULL, 0)), done();
    ask("set_mempolicy_home_node"), result(syscall(450, at(0), PAGE, 0, 0)), done();
    if (fork() == 0) {
        ask("a child's policy"), say_policy(), done();
        _exit(0);
    }
    wait(NULL);
}

static long pages_of(pid_t pid, unsigned long n, void **p, int *nodes, int *statuses, int flags) {
    return syscall(SYS_move_pages, pid, n, p, nodes, statuses, flags);
}

static void moves(void) {
    int fd = file_of(PAGE);
    map(0, 2, RW, ANON, -1, 0), map(3, 1, NONE, ANON, -1, 0), map(4, 2, RW, MAP_SHARED, fd, 0), *at(0) = 1, *at(4) = 2;
    (void)*(volatile char *)at(1);
    void *p[] = {at(0), at(1), at(2), at(3), at(4), at(5), at(0) + 5, (void *)-PAGE};
    int zeros[8] = {0}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1}, minus[8] = {-1, -1, -1, -1, -1, -1, -1, -1}, s[8];
    for (int flags = 0; flags < 9; flags++)
        for (int how = 0; how < 4; how++) {
            memset(s, 0x55, sizeof s);
            ask("move_pages flags %d, %s", flags,
                how == 0   ? "query"
                : how == 1 ? "to node 0"
                : how == 2 ? "to node 1"
                           : "to node -1");
            result(pages_of(0, 8, p, how == 0 ? NULL : how == 1 ? zeros : how == 2 ? ones : minus, s, flags));
            for (int i = 0; i < 8; i++)
                note("%d", s[i]);
            done();
        }
    ask("move_pages of none"), result(pages_of(0, 0, NULL, NULL, NULL, 0)), done();
    ask("move_pages, bad list"), result(pages_of(0, 1, (void **)8, NULL, s, 0)), done();
    ask("move_pages, bad statuses"), result(pages_of(0, 1, p, NULL, (int *)8, 0)), done();
    ask("move_pages, bad nodes"), result(pages_of(0, 1, p, (int *)8, s, MPOL_MF_MOVE)), done();
    ask("move_pages of nobody"), result(pages_of(999999, 1, p, NULL, s, 0)), done();
    ask("move_pages, too many"), result(pages_of(0, 1ul << 62, (void **)(at(2) - 64), NULL, (int *)at(0), 0)), done();
    unsigned long n0 = 1, n1 = 2, none = 0;
    static const struct {
        const char *what;
        int bits;
    } from[] = {{"0 to 0", 0}, {"0 to 1", 1}, {"1 to 0", 2}, {"none to 0", 3}, {"0 to none", 4}};
    for (size_t i = 0; i < countof(from); i++)
        ask("migrate_pages %s", from[i].what),
            result(syscall(SYS_migrate_pages, 0, 64,
                           i == 2   ? &n1
                           : i == 3 ? &none
                                    : &n0,
                           i == 1   ? &n1
                           : i == 4 ? &none
                                    : &n0)),
            done();
    ask("migrate_pages of nobody"), result(syscall(SYS_migrate_pages, 999999, 64, &n0, &n0)), done();
    ask("migrate_pages, bad mask"), result(syscall(SYS_migrate_pages, 0, 64, 8, &n0)), done();
    ask("migrate_pages, no bits"), result(syscall(SYS_migrate_pages, 0, 0, &n0, &n0)), done();
    ordinary();
    ask("move_pages MOVE_ALL by an ordinary user"), result(pages_of(0, 1, p, zeros, s, MPOL_MF_MOVE_ALL)), done();
    ask("mbind MOVE_ALL by an ordinary user"),
        result(syscall(SYS_mbind, at(0), PAGE, MPOL_BIND, &n0, 64, MPOL_MF_MOVE_ALL)), done();
    ask("move_pages of root's process"), result(pages_of(1, 1, p, NULL, s, 0)), done();
}

static void barriers(void) {
    for (int command = 0; command < 11; command++)
        ask("membarrier bit %d, not registered", command), result(syscall(SYS_membarrier, 1 << command, 0, 0)), done();
    ask("membarrier query"), result(syscall(SYS_membarrier, 0, 0, 0)), done();
    ask("membarrier query, flags"), result(syscall(SYS_membarrier, 0, 1, 0)), done();
    static const int registers[] = {1 << 2, 1 << 4, 1 << 6, 1 << 8};
    for (size_t i = 0; i < countof(registers); i++) {
        ask("membarrier register %#x, then use", registers[i]), result(syscall(SYS_membarrier, registers[i], 0, 0));
        result(syscall(SYS_membarrier, registers[i] << 1, 0, 0)),
            result(syscall(SYS_membarrier, registers[i] << 1, 1, 0)),
            result(syscall(SYS_membarrier, registers[i] << 1, 2, 0)), done();
    }
    ask("membarrier two bits"), result(syscall(SYS_membarrier, 3, 0, 0)), done();
    ask("membarrier negative"), result(syscall(SYS_membarrier, -1, 0, 0)), done();
    if (fork() == 0) {
        ask("a child's registration"), result(syscall(SYS_membarrier, 1 << 3, 0, 0)), done();
        _exit(0);
    }
    wait(NULL);
}

static long nonlinear(void *p, size_t n, int prot, unsigned long page, int flags) {
    return syscall(SYS_remap_file_pages, p, n, prot, page, flags);
}

static void remapped(void) {
    int fd = file_of(8 * PAGE);
    map(0, 8, RW, MAP_SHARED, fd, 0), map(10, 4, RW, MAP_PRIVATE, fd, 0), map(16, 4, RW, SHARED, -1, 0),
        map(22, 4, RW, ANON, -1, 0);
    ask("remap_file_pages of one page"), result(nonlinear(at(2), PAGE, 0, 5, 0)), layout_of(0, 8), content(0, 8),
        done();
    ask("of two"), result(nonlinear(at(4), 2 * PAGE, 0, 0, 0)), layout_of(0, 8), content(0, 8), done();
    ask("NONBLOCK"), result(nonlinear(at(0), PAGE, 0, 7, MAP_NONBLOCK)), content(0, 8), done();
    ask("prot given"), result(nonlinear(at(0), PAGE, R, 1, 0)), done();
    ask("private"), result(nonlinear(at(10), PAGE, 0, 2, 0)), done();
    ask("shared anonymous"), fill(16, 4, 0), result(nonlinear(at(16), PAGE, 0, 2, 0)), content(16, 4), done();
    ask("anonymous"), result(nonlinear(at(22), PAGE, 0, 2, 0)), done();
    ask("a hole"), result(nonlinear(at(40), PAGE, 0, 2, 0)), done();
    ask("over the end"), result(nonlinear(at(7), 2 * PAGE, 0, 2, 0)), done();
    ask("over two mappings"), result(nonlinear(at(0), 4 * PAGE, 0, 2, 0)), layout_of(0, 8), done();
    ask("odd"), result(nonlinear(at(6) + 5, PAGE, 0, 3, 0)), content(0, 8), done();
    ask("no length"), result(nonlinear(at(6), 0, 0, 3, 0)), done();
    ask("a byte"), result(nonlinear(at(6), 1, 0, 3, 0)), done();
    ask("wraps"), result(nonlinear(at(6), -PAGE, 0, 3, 0)), done();
    ask("page overflows"), result(nonlinear(at(6), PAGE, 0, ~0ul, 0)), done();
    ask("page of no offset"), result(nonlinear(at(6), PAGE, 0, 1ul << 63, 0)), content(6, 1), done();
    ask("page far out"), result(nonlinear(at(6), PAGE, 0, 1000, 0)), touch('r', at(6)), done();
    ask("flags"), result(nonlinear(at(7), PAGE, 0, 3, 0x100)), done();
    mprotect(at(1), PAGE, R), mlock(at(3), PAGE);
    ask("keeps rights"), result(nonlinear(at(1), PAGE, 0, 3, 0)), layout_of(0, 8), done();
    ask("keeps locks"), result(nonlinear(at(3), PAGE, 0, 6, 0)), smaps(3, "VmFlags"), content(3, 1), done();
}

static void posix_shared(void) {
    int fd = shm_open("/quire-abi", O_CREAT | O_EXCL | O_RDWR, 0600);
    struct stat s;
    ask("shm_open"), note("%d", fd >= 0), note("cloexec %d", fcntl(fd, F_GETFD)), fstat(fd, &s),
        note("mode %o, size %ld", s.st_mode, (long)s.st_size), done();
    ask("shm_open again, O_EXCL"),
        note("%s", shm_open("/quire-abi", O_CREAT | O_EXCL | O_RDWR, 0600) < 0 ? error_name(errno) : "ok"), done();
    map(0, 2, RW, MAP_SHARED, fd, 0);
    ask("before ftruncate"), touch('r', at(0)), done();
    ask("ftruncate"), result(ftruncate(fd, 2 * (off_t)PAGE)), touch('w', at(0)), touch('r', at(1)), layout(), done();
    int other = shm_open("/quire-abi", O_RDONLY, 0);
    ask("by another descriptor, read-only"), placed(map(4, 2, RW, MAP_SHARED, other, 0)),
        placed(map(4, 2, R, MAP_SHARED, other, 0)), touch('r', at(4)), result(ftruncate(other, 0)), done();
    if (fork() == 0) {
        *at(1) = 'c';
        _exit(0);
    }
    wait(NULL);
    ask("a child's write"), content(0, 2), content(4, 2), done();
    ask("shm_unlink"), result(shm_unlink("/quire-abi")), result(shm_unlink("/quire-abi")), layout(), content(0, 2),
        done();
    ask("shm_open after it"), note("%s", shm_open("/quire-abi", O_RDWR, 0) < 0 ? error_name(errno) : "ok"), done();
    ask("seals of it"), note("%d", fcntl(fd, F_GET_SEALS)), result(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)), done();
}

int main(void) {
    GROUP(policies);
    GROUP(binds);
    GROUP(queries);
    GROUP(moves);
    GROUP(barriers);
    GROUP(remapped);
    GROUP(posix_shared);
    return 0;
}
