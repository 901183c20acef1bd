/* mem_keys.c - protection keys: who gets one, what it forbids, what signals, threads, fork and exec make of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf back;
static siginfo_t info;
static unsigned rights_in_handler;

static unsigned rights(void) {
    unsigned low, high;
    __asm__ volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
static void set_rights(unsigned r) { __asm__ volatile("wrpkru" : : "a"(r), "c"(0), "d"(0) : "memory"); }

static void caught(int number, siginfo_t *i, void *context) {
    (void)context;
    rights_in_handler = rights();
    info = *i;
    siglongjmp(back, number);
}

static void said(const char *what, long result) {
    printf("%s -> %s\n", what, result == -1 ? strerrorname_np(errno) : "ok");
}

static void touch(const char *what, char *p, char kind) {
    unsigned before = rights();
    int number = sigsetjmp(back, 1);
    if (number) {
        printf("%s -> %s code %d", what, sigabbrev_np(number), info.si_code);
        if (info.si_code == SEGV_PKUERR)
            printf(" key %d", info.si_pkey);
        printf(" handler %#x\n", rights_in_handler);
        set_rights(before); /* siglongjmp does not */
        return;
    }
    if (kind == 'r')
        printf("%s -> %d\n", what, *(volatile char *)p);
    else if (kind == 'w')
        *(volatile char *)p = 7, printf("%s -> written\n", what);
    else
        ((void (*)(void))p)(), printf("%s -> executed\n", what);
}

static int key_of(char *p) {
    char line[512];
    unsigned long start, end, at = 0;
    int key = -1;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            at = start <= (unsigned long)p && (unsigned long)p < end;
        else if (at && !strncmp(line, "ProtectionKey:", 14))
            key = atoi(line + 14);
    }
    if (f)
        fclose(f);
    return key;
}

static void *thread(void *argument) {
    printf("a thread starts with -> %#x\n", rights());
    set_rights(0);
    return argument;
}

static void on_usr1(int number) {
    (void)number;
    rights_in_handler = rights();
    set_rights(0x11111110);
}

static void allocation(void) {
    int keys[20], n = 0;
    said("flags", pkey_alloc(1, 0));
    said("bad rights", pkey_alloc(0, 4));
    said("free -1", pkey_free(-1));
    said("free 16", pkey_free(16));
    said("free one not taken", pkey_free(3));
    while (n < 20 && (keys[n] = pkey_alloc(0, n & 3)) >= 0)
        n++;
    printf("keys -> %d, first %d, then %s; rights %#x\n", n, keys[0], strerrorname_np(errno), rights());
    said("free 5", pkey_free(5));
    said("free 5 again", pkey_free(5));
    printf("alloc -> %d\n", pkey_alloc(0, PKEY_DISABLE_WRITE));
    printf("rights -> %#x\n", rights());
    char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    said("mprotect to execute only, no key left", mprotect(p, PAGE, PROT_EXEC));
    printf("its key -> %d\n", key_of(p));
    touch("read it", p, 'r');
    munmap(p, PAGE);
    while (n > 0)
        pkey_free(keys[--n]);
    set_rights(0x55555554);
}

static void use(void) {
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int key = pkey_alloc(0, 0);
    memset(p, 1, 2 * PAGE);
    said("pkey_mprotect, key not taken", pkey_mprotect(p, PAGE, RW, 9));
    said("pkey_mprotect, key 16", pkey_mprotect(p, PAGE, RW, 16));
    said("pkey_mprotect, key -2", pkey_mprotect(p, PAGE, RW, -2));
    said("pkey_mprotect, odd", pkey_mprotect(p + 1, PAGE, RW, key));
    said("pkey_mprotect", pkey_mprotect(p, 4 * PAGE, RW, key));
    printf("its key -> %d\n", key_of(p));
    touch("write", p, 'w');
    set_rights(PKEY_DISABLE_WRITE << 2 * key | 0x55555550);
    touch("write-disabled, read", p, 'r');
    touch("write-disabled, write", p, 'w');
    touch("write-disabled, read untouched", p + 2 * PAGE, 'r');
    touch("write-disabled, write untouched", p + 3 * PAGE, 'w');
    set_rights(PKEY_DISABLE_ACCESS << 2 * key);
    touch("access-disabled, read", p, 'r');
    touch("access-disabled, write", p, 'w');
    touch("access-disabled, read untouched", p + 3 * PAGE, 'r');
    int tube[2];
    pipe(tube);
    said("write(2) from there", write(tube[1], p, 1));
    write(tube[1], "x", 1);
    said("read(2) to there", read(tube[0], p, 1));
    struct iovec mine = {&rights_in_handler, 1}, other = {p, 1};
    said("process_vm_readv of it", process_vm_readv(getpid(), &mine, 1, &other, 1, 0));
    mprotect(p, PAGE, PROT_READ);
    printf("mprotect keeps the key -> %d\n", key_of(p));
    touch("read-only and access-disabled, write", p, 'w');
    set_rights(0);
    touch("read-only, write", p, 'w');
    said("pkey_mprotect to key 0", pkey_mprotect(p, PAGE, RW, 0));
    set_rights(PKEY_DISABLE_ACCESS << 2 * key);
    touch("key 0, read", p, 'r');
    touch("its neighbour, read", p + PAGE, 'r');
    char *q = mremap(p + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 8 * PAGE);
    if (q != MAP_FAILED)
        touch("moved, read", q, 'r');
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        printf("the child's rights -> %#x\n", rights());
        touch("the child reads", p + 2 * PAGE, 'r');
        printf("the child frees the key -> %d\n", pkey_free(key));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    said("it is still ours", pkey_mprotect(p + 2 * PAGE, PAGE, RW, key));
    set_rights(0);
    said("free it while used", pkey_free(key));
    set_rights(PKEY_DISABLE_ACCESS << 2 * key);
    touch("and its page", p + 2 * PAGE, 'r');
    set_rights(0x55555554);
    munmap(p, 4 * PAGE);
}

static void execute_only(void) {
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 0xc3, 4 * PAGE); /* ret */
    unsigned before = rights();
    said("mprotect to execute only", mprotect(p, PAGE, PROT_EXEC));
    int key = key_of(p);
    printf("its key -> %d; rights %#x, before %#x\n", key, rights(), before);
    touch("execute", p, 'x');
    touch("read", p, 'r');
    touch("write", p, 'w');
    said("free its key", pkey_free(key));
    said("use its key", pkey_mprotect(p + PAGE, PAGE, RW, key));
    said("another", mprotect(p + 2 * PAGE, PAGE, PROT_EXEC));
    printf("its key -> %d\n", key_of(p + 2 * PAGE));
    set_rights(0);
    touch("opened by hand, read", p, 'r' == 'r' ? 'r' : 'r');
    char *q = mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("mapped to execute only -> key %d rights %#x\n", key_of(q), rights());
    touch("read", q, 'r');
    said("to read and execute", mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    printf("its key -> %d\n", key_of(p));
    touch("read", p, 'r');
    said("execute only with a key of its own", pkey_mprotect(p + PAGE, PAGE, PROT_EXEC, 0));
    printf("its key -> %d\n", key_of(p + PAGE));
    touch("read", p + PAGE, 'r');
    set_rights(0x55555554);
}

/* A call under other rights; between the two changes nothing touches memory. */
static long call_under(unsigned under, long number, long a, long b, long c) {
    unsigned before = rights();
    long result;
    __asm__ volatile("mov %[under], %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx; wrpkru\n"
                     "mov %[number], %%rax; mov %[c], %%rdx; syscall; mov %%rax, %%r8\n"
                     "mov %[before], %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx; wrpkru; mov %%r8, %%rax"
                     : "=&a"(result)
                     : [under] "r"(under), [number] "r"(number), "D"(a), "S"(b), [c] "r"(c), [before] "r"(before)
                     : "rcx", "rdx", "r8", "r11", "memory");
    return result;
}

/* Key 0 is that of all memory, the stack's too. */
static void key_0(void) {
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY), status;
    char *p = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *p = 1;
    printf("read under no writes to key 0 -> %ld\n", call_under(2, SYS_read, zero, (long)p, 8));
    printf("read under no access to key 0 -> %ld\n", call_under(1, SYS_read, zero, (long)p, 8));
    printf("write under no writes to key 0 -> %ld\n", call_under(2, SYS_write, null, (long)p, 8));
    printf("uname under no access to key 0 -> %ld\n", call_under(1, SYS_uname, (long)p, 0, 0));
    for (unsigned under = 1; under < 3; under++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            set_rights(under);
            *(volatile char *)p = 2;
            _exit(0);
        }
        waitpid(pid, &status, 0);
        printf("a write under rights %u -> %s %d\n", under, WIFSIGNALED(status) ? "killed by" : "exited",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    if (argc > 1) {
        printf("after exec -> %#x, key %d\n", rights(), pkey_alloc(0, 0));
        return 0;
    }
    if (pkey_alloc(0, 0) < 0) {
        printf("no keys -> %s\n", strerrorname_np(errno));
        return 0;
    }
    pkey_free(1);
    printf("at first -> %#x\n", rights());
    allocation();
    use();
    execute_only();
    key_0();
    signal(SIGUSR1, on_usr1);
    set_rights(0x12345670);
    raise(SIGUSR1);
    printf("in a handler -> %#x, after it %#x\n", rights_in_handler, rights());
    pthread_t t;
    set_rights(0x40);
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    printf("the other thread's is its own -> %#x\n", rights());
    fflush(stdout);
    char *words[] = {argv[0], "again", NULL}, *none[] = {NULL};
    execve("/proc/self/exe", words, none);
    return 1;
}
