/* mm_keys.c - protection keys: pkey_alloc, pkey_free, pkey_mprotect, the PKRU register, SEGV_PKUERR, execute-only
 * memory. */
#include "abi.h"

static unsigned pkru(void) {
    unsigned a, d;
    asm volatile("rdpkru" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}
static void set_pkru(unsigned a) { asm volatile("wrpkru" : : "a"(a), "c"(0), "d"(0) : "memory"); }
static long alloc(unsigned long flags, unsigned long rights) { return syscall(SYS_pkey_alloc, flags, rights); }
static long release(int key) { return syscall(SYS_pkey_free, key); }
static long protect(void *p, size_t n, int prot, int key) { return syscall(SYS_pkey_mprotect, p, n, prot, key); }

static void allocation(void) {
    ask("PKRU at start"), note("%#x", pkru()), done();
    for (unsigned long rights = 0; rights < 8; rights++) {
        ask("pkey_alloc(0, %lu)", rights);
        long key = alloc(0, rights);
        result(key), note("PKRU %#x", pkru());
        if (key > 0)
            result(release((int)key)), note("PKRU %#x", pkru());
        done();
    }
    ask("pkey_alloc(1, 0)"), result(alloc(1, 0)), done();
    int count = 0;
    while (alloc(0, 0) > 0)
        count++;
    ask("keys until none is left"), note("%d %s", count, error_name(errno)), done();
    for (int key = -2; key < 18; key++)
        ask("pkey_free(%d)", key), result(release(key)), result(release(key)), done();
}

static void mprotects(void) {
    map(0, 4, RW, ANON, -1, 0);
    int key = (int)alloc(0, 0);
    static const int keys[] = {-2, -1, 0, 1, 2, 15, 16, 1000};
    for (size_t i = 0; i < countof(keys); i++)
        ask("pkey_mprotect with key %d", keys[i]), result(protect(at(0), PAGE, RW, keys[i])), layout(),
            smaps(0, "ProtectionKey"), done();
    ask("part with the key"), result(protect(at(1), PAGE, RW, key)), layout(), smaps(0, "ProtectionKey"),
        smaps(1, "ProtectionKey"), done();
    ask("mprotect keeps it"), result(mprotect(at(1), PAGE, R)), smaps(1, "ProtectionKey"), done();
    ask("a hole"), munmap(at(2), PAGE), result(protect(at(0), 4 * PAGE, R, key)), layout(), smaps(0, "ProtectionKey"),
        smaps(3, "ProtectionKey"), done();
    ask("odd"), result(protect(at(0) + 1, PAGE, R, key)), done();
    ask("bad prot"), result(protect(at(0), PAGE, 0x100, key)), done();
    ask("no length"), result(protect(at(0), 0, R, key)), result(protect(at(0), 0, R, 9)), done();
    ask("free a key in use"), result(release(key)), smaps(0, "ProtectionKey"), result(protect(at(0), PAGE, R, key)),
        done();
    ask("the same number again"), result(alloc(0, 0)), done();
}

/* Every right of the key × of the page × access, by the program and by the kernel. */
static void accesses(void) {
    int key = (int)alloc(0, 0), fd = file_of(PAGE), sink = open("/dev/null", O_WRONLY), ends[2];
    if (pipe(ends))
        abort();
    for (int prot = 0; prot < 8; prot++)
        for (unsigned rights = 0; rights < 4; rights++) {
            set_pkru(0);
            clear();
            map(0, 1, RW, ANON, -1, 0);
            *at(0) = (char)0xc3;
            ask("key's rights %u, prot %d", rights, prot);
            result(protect(at(0), PAGE, prot, key));
            set_pkru(rights << 2 * key);
            touch('r', at(0)), touch('x', at(0)), touch('w', at(0));
            note("read into it:"), result(pread(fd, at(0), 1, 0));
            note("write from it:"), result(write(ends[1], at(0), 1)), (void)sink;
            set_pkru(0);
            done();
        }
}

static void execute_only(void) {
    map(0, 1, RW, ANON, -1, 0);
    *at(0) = (char)0xc3;
    ask("PROT_EXEC alone"), result(mprotect(at(0), PAGE, PROT_EXEC)), smaps(0, "ProtectionKey"),
        note("PKRU %#x", pkru()), touch('r', at(0)), touch('x', at(0)), done();
    ask("and back"), result(mprotect(at(0), PAGE, R)), smaps(0, "ProtectionKey"), note("PKRU %#x", pkru()),
        touch('r', at(0)), done();
    ask("mmap PROT_EXEC"), placed(map(4, 1, PROT_EXEC, ANON, -1, 0)), smaps(4, "ProtectionKey"), touch('r', at(4)),
        done();
    ask("its key cannot be freed"), result(release(1)), done();
    ask("the next key"), result(alloc(0, 0)), done();
    ask("with all rights to PKRU"), set_pkru(0), touch('r', at(4)), done();
    ask("POPULATE"), placed(map(8, 1, PROT_EXEC, ANON | MAP_POPULATE, -1, 0)), smaps(8, "Rss"), done();
}

static void in_signal(int number) {
    (void)number;
    note("PKRU in the handler %#x", pkru());
    set_pkru(0);
}

static void inherited(void) {
    int key = (int)alloc(0, 2);
    map(0, 1, RW, ANON, -1, 0), protect(at(0), PAGE, RW, key);
    ask("in a handler"), signal(SIGUSR1, in_signal), raise(SIGUSR1), note("after it %#x", pkru()), done();
    ask("in a child"), fflush(stdout);
    if (fork() == 0) {
        note("PKRU %#x", pkru()), smaps(0, "ProtectionKey"), touch('w', at(0)), result(release(key)), done();
        _exit(0);
    }
    wait(NULL);
    ask("in the parent the key is still had"), result(release(key)), done();
}

int main(void) {
    GROUP(allocation);
    GROUP(mprotects);
    GROUP(accesses);
    GROUP(execute_only);
    GROUP(inherited);
    return 0;
}
