/* mem_shm.c - System V shared memory: who may, what sticks to a segment, when it goes; POSIX shared memory beside it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define KEY 0x51554952

static sigjmp_buf back;
static volatile int caught_code;

static void caught(int number, siginfo_t *i, void *context) {
    (void)context;
    caught_code = i->si_code;
    siglongjmp(back, number);
}

static void said(const char *what, long result) {
    if (result == -1)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld\n", what, result);
}

/* 0 or an error: numbers of segments differ from run to run. */
static void worked(const char *what, long result) { said(what, result == -1 ? -1 : 0); }

static void touch(const char *what, volatile char *p, int write) {
    int number = sigsetjmp(back, 1);
    if (number)
        printf("%s -> %s code %d\n", what, sigabbrev_np(number), caught_code);
    else if (write)
        *p = 7, printf("%s -> written\n", what);
    else
        printf("%s -> %d\n", what, *p);
}

static void state(const char *what, int id) {
    struct shmid_ds d;
    if (shmctl(id, IPC_STAT, &d))
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> key %#x mode %#o size %zu attaches %lu attached %d detached %d last mine %d creator mine %d\n",
               what, (unsigned)d.shm_perm.__key, d.shm_perm.mode, d.shm_segsz, (unsigned long)d.shm_nattch,
               d.shm_atime != 0, d.shm_dtime != 0, d.shm_lpid == getpid(), d.shm_cpid == getpid());
}

static void getting(void) {
    worked("get nothing", shmget(IPC_PRIVATE, 0, 0600));
    worked("get too much", shmget(IPC_PRIVATE, -1ul, 0600));
    worked("get just over shmmax", shmget(IPC_PRIVATE, -1ul - (1ul << 24) + 1, 0600));
    worked("get an absent key", shmget(KEY, PAGE, 0600));
    int id = shmget(KEY, 10000, IPC_CREAT | IPC_EXCL | 0640);
    worked("create", id);
    worked("create again", shmget(KEY, 10000, IPC_CREAT | IPC_EXCL | 0640));
    printf("get it -> the same %d\n", shmget(KEY, 0, 0) == id);
    printf("create it if absent -> the same %d\n", shmget(KEY, 5000, IPC_CREAT | 0600) == id);
    worked("get more than it has", shmget(KEY, 10001, 0));
    worked("get huge pages", shmget(IPC_PRIVATE, 1 << 21, SHM_HUGETLB | 0600));
    state("new", id);
    worked("bad command", shmctl(id, 77, NULL));
    worked("negative command", shmctl(id, -1, NULL));
    worked("negative id", shmctl(-1, IPC_STAT, NULL));
    worked("absent id", shmctl(id + 5, IPC_STAT, NULL));
    worked("old sequence", shmctl(id + 32768, IPC_STAT, NULL));
    worked("stat to nowhere", shmctl(id, IPC_STAT, NULL));
    worked("set from nowhere", shmctl(id, IPC_SET, NULL));
    struct shmid_ds d;
    worked("stat", shmctl(id, IPC_STAT, &d));
    d.shm_perm.mode = 01777;
    worked("set", shmctl(id, IPC_SET, &d));
    state("set", id);
    worked("lock", shmctl(id, SHM_LOCK, NULL));
    state("locked", id);
    worked("unlock", shmctl(id, SHM_UNLOCK, NULL));
    worked("remove", shmctl(id, IPC_RMID, NULL));
    state("removed", id);
    worked("remove again", shmctl(id, IPC_RMID, NULL));
    worked("attach it", (long)shmat(id, NULL, 0));
}

static void figures(void) {
    struct shminfo info;
    struct shm_info use;
    int before = shmctl(0, SHM_INFO, (void *)&use);
    unsigned long tot = use.shm_tot;
    int used = use.used_ids;
    printf("SHM_INFO of none -> %d used %d pages %lu resident %lu\n", before, used, tot, use.shm_rss);
    worked("IPC_INFO", shmctl(0, IPC_INFO, (void *)&info));
    printf("limits -> max %#lx min %lu segments %lu each %lu all %#lx\n", info.shmmax, info.shmmin, info.shmmni,
           info.shmseg, info.shmall);
    int id = shmget(IPC_PRIVATE, 3 * PAGE + 1, 0600);
    char *p = shmat(id, NULL, 0);
    p[0] = p[PAGE] = 1;
    int highest = shmctl(0, SHM_INFO, (void *)&use);
    printf("SHM_INFO -> used %d pages %lu resident %lu\n", use.used_ids - used, use.shm_tot - tot, use.shm_rss);
    struct shmid_ds d;
    printf("SHM_STAT of the index -> the id %d\n", shmctl(highest, SHM_STAT, &d) == id);
    printf("its size -> %zu attaches %lu\n", d.shm_segsz, (unsigned long)d.shm_nattch);
    printf("SHM_STAT_ANY -> the id %d\n", shmctl(highest, 15, &d) == id);
    worked("SHM_STAT of a free index", shmctl(highest + 1, SHM_STAT, &d));
    char line[512], want[32];
    snprintf(want, sizeof(want), "%10d %10d ", 0, id);
    FILE *f = fopen("/proc/sysvipc/shm", "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (!strncmp(line, "       key", 10))
            printf("/proc/sysvipc/shm -> %s", line);
        if (!strncmp(line, want, strlen(want))) {
            unsigned mode, cpid, lpid;
            unsigned long size, attaches, rss = 0;
            sscanf(line + strlen(want), "%o %lu %u %u %lu %*u %*u %*u %*u %*u %*u %*u %lu", &mode, &size, &cpid, &lpid,
                   &attaches, &rss);
            printf("its line -> mode %o size %lu attaches %lu resident %lu length %zu\n", mode, size, attaches, rss,
                   strlen(line));
        }
    }
    if (f)
        fclose(f);
    f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof(line), f))
        if (strtoul(line, NULL, 16) == (unsigned long)p) {
            unsigned long inode;
            char rights[8], name[64] = "";
            sscanf(line, "%*s %7s %*s %*s %lu %63[^\n]", rights, &inode, name);
            printf("in maps -> %s inode is the id %d \"%s\"\n", rights, inode == (unsigned long)id, name);
        }
    if (f)
        fclose(f);
    shmdt(p);
    shmctl(id, IPC_RMID, NULL);
}

static void attaching(void) {
    int id = shmget(IPC_PRIVATE, 3 * PAGE, 0600), small = shmget(IPC_PRIVATE, 100, 0600);
    char *area = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    worked("attach a negative id", (long)shmat(-1, NULL, 0));
    worked("attach an absent id", (long)shmat(id + 7, NULL, 0));
    worked("attach odd", (long)shmat(id, area + 100, 0));
    worked("attach over something", (long)shmat(id, area, 0));
    worked("remap nowhere", (long)shmat(id, NULL, SHM_REMAP));
    printf("remap -> there %d\n", shmat(id, area, SHM_REMAP) == area);
    munmap(area + 8 * PAGE, 8 * PAGE);
    printf("round down -> there %d\n", shmat(id, area + 9 * PAGE + 77, SHM_RND) == area + 9 * PAGE);
    char *last = area + 15 * PAGE;
    printf("100 bytes -> there %d\n", shmat(small, last, 0) == last);
    worked("partly over something", (long)shmat(id, area + 7 * PAGE, 0));
    worked("beyond the end", (long)shmat(id, (void *)(1ul << 60), 0));
    worked("wrapping", (long)shmat(id, (void *)-PAGE, 0));
    state("attached twice", id);
    area[5] = 42;
    touch("the other sees it", area + 9 * PAGE + 5, 0);
    touch("behind 100 bytes", last + 4000, 1);
    char *read_only = shmat(id, NULL, SHM_RDONLY);
    touch("read-only, read", read_only + 5, 0);
    touch("read-only, write", read_only + 5, 1);
    worked("mprotect read-only to write", mprotect(read_only, PAGE, PROT_READ | PROT_WRITE));
    worked("mprotect it to execute", mprotect(read_only, PAGE, PROT_READ | PROT_EXEC));
    char *executable = shmat(id, NULL, SHM_EXEC);
    worked("attach to execute", (long)executable);
    state("read-only parted", id);
    shmdt(executable);
    worked("detach odd", shmdt(read_only + 1));
    worked("detach from inside", shmdt(read_only + PAGE));
    worked("detach what is no segment", shmdt(area + 4 * PAGE));
    worked("detach", shmdt(read_only));
    worked("detach again", shmdt(read_only));
    touch("gone", read_only, 0);
    munmap(area + PAGE, PAGE);
    state("hole cut", id);
    worked("detach what is left", shmdt(area));
    touch("the first part", area, 0);
    touch("the last part", area + 2 * PAGE, 0);
    state("one left", id);
    worked("remove while attached", shmctl(id, IPC_RMID, NULL));
    state("marked", id);
    char *again = shmat(id, NULL, 0);
    worked("attach while marked", (long)again);
    touch("it still has its contents", again + 5, 0);
    shmdt(again);
    worked("the last detach", shmdt(area + 9 * PAGE));
    state("gone with it", id);
    shmdt(last);
    shmctl(small, IPC_RMID, NULL);
    munmap(area, 16 * PAGE);
}

static void wait_for(int pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

static void families(char **argv) {
    int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600), tube[2], gate[2];
    char c;
    volatile char *p = shmat(id, NULL, 0);
    pipe(tube), pipe(gate);
    int pid = fork();
    if (!pid) {
        p[0] = 33;
        write(tube[1], "x", 1);
        read(gate[0], &c, 1);
        _exit(0);
    }
    read(tube[0], &c, 1);
    state("after fork", id);
    printf("the child wrote -> %d\n", p[0]);
    write(gate[1], "x", 1);
    wait_for(pid);
    state("after its exit", id);
    pid = fork();
    if (!pid) {
        shmdt((void *)p);
        write(tube[1], "x", 1);
        read(gate[0], &c, 1);
        _exit(0);
    }
    read(tube[0], &c, 1);
    state("the child detached", id);
    write(gate[1], "x", 1);
    wait_for(pid);
    pid = vfork();
    if (!pid) {
        char text[16];
        snprintf(text, sizeof(text), "%d", id);
        char *words[] = {argv[0], "look", text, NULL}, *none[] = {NULL};
        fflush(stdout);
        execve("/proc/self/exe", words, none);
        _exit(1);
    }
    wait_for(pid);
    state("after exec and exit", id);
    shmctl(id, IPC_RMID, NULL);
    pid = fork();
    if (!pid) {
        shmdt((void *)p);
        _exit(0);
    }
    wait_for(pid);
    state("removed, still ours", id);
    shmdt((void *)p);
    state("removed, nobody's", id);
}

static void rights(void) {
    int id = shmget(IPC_PRIVATE, PAGE, 0604), pid;
    fflush(stdout);
    pid = fork();
    if (!pid) {
        struct shmid_ds d;
        if (geteuid() == 0 && (setgroups(0, NULL) || setgid(1000) || setuid(1000)))
            _exit(1);
        worked("others read", (long)shmat(id, NULL, SHM_RDONLY));
        worked("others write", (long)shmat(id, NULL, 0));
        worked("others stat", shmctl(id, IPC_STAT, &d));
        worked("others set", shmctl(id, IPC_SET, &d));
        worked("others remove", shmctl(id, IPC_RMID, NULL));
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_MEMLOCK, &none);
        worked("others lock", shmctl(id, SHM_LOCK, NULL));
        fflush(stdout);
        _exit(0);
    }
    wait_for(pid);
    shmctl(id, IPC_RMID, NULL);
}

static void limits(void) {
    int id = shmget(IPC_PRIVATE, 1ul << 40, SHM_NORESERVE | 0600);
    worked("a terabyte", id);
    char *p = shmat(id, NULL, 0);
    touch("its end", p + (1ul << 40) - 1, 1);
    struct rlimit old, small = {1ul << 30, RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &old);
    shmdt(p);
    setrlimit(RLIMIT_AS, &small);
    worked("over RLIMIT_AS", (long)shmat(id, NULL, 0));
    setrlimit(RLIMIT_AS, &old);
    shmctl(id, IPC_RMID, NULL);
}

static void posix(void) {
    int fd = open("/dev/shm/quire-test", O_RDWR | O_CREAT | O_EXCL, 0600);
    worked("shm_open", fd);
    ftruncate(fd, 2 * PAGE);
    char *a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    a[PAGE] = 9;
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        int again = open("/dev/shm/quire-test", O_RDWR);
        char *b = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
        b[0] = b[PAGE] + 1;
        _exit(0);
    }
    wait_for(pid);
    printf("POSIX shared memory -> %d\n", a[0]);
    worked("shm_unlink", unlink("/dev/shm/quire-test"));
    printf("after unlink -> %d\n", a[0]);
    ftruncate(fd, PAGE);
    touch("cut", a + PAGE, 0);
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2) {
        state("seen by the program after exec", atoi(argv[2]));
        return 0;
    }
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    getting();
    figures();
    attaching();
    families(argv);
    rights();
    limits();
    posix();
    return 0;
}
