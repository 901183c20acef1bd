/* oom.c - who is killed when memory is out, and what comes of the others. Run by root with 64 MiB, without swap; each
 * part is one word on the command line, and prints one line when it is well. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ul << 20)

static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    _exit(1);
}

static void put(const char *path, const char *value) {
    FILE *f = fopen(path, "w");
    if (!f || fputs(value, f) < 0 || fclose(f))
        fail("%s: cannot write %s", path, value);
}

static unsigned long number(const char *path, const char *label) {
    char line[256];
    unsigned long value = 0;
    FILE *f = fopen(path, "r");
    while (fgets(line, sizeof(line), f))
        if (!strncmp(line, label, strlen(label)))
            value = strtoul(line + strlen(label), NULL, 10);
    fclose(f);
    return value;
}

static void grow(unsigned long bytes) {
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        fail("no room for %lu bytes", bytes);
    memset(p, 1, bytes);
}

/* A child that has so much, and sleeps. */
static pid_t sleeper(unsigned long bytes, const char *adjustment) {
    int ready[2];
    char c;
    if (pipe(ready))
        fail("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        put("/proc/self/oom_score_adj", adjustment);
        grow(bytes);
        if (write(ready[1], "x", 1) == 1)
            for (;;)
                pause();
    }
    close(ready[1]);
    if (read(ready[0], &c, 1) != 1)
        fail("the sleeper with %lu bytes died before its time", bytes);
    close(ready[0]);
    return pid;
}

static pid_t hog(const char *adjustment, unsigned long most) {
    pid_t pid = fork();
    if (pid == 0) {
        put("/proc/self/oom_score_adj", adjustment);
        for (unsigned long had = 0; had < most; had += MIB / 4)
            grow(MIB / 4);
        _exit(0);
    }
    return pid;
}

static int alive(pid_t pid) { return waitpid(pid, NULL, WNOHANG) == 0; }

static void ends_by(pid_t pid, int signal, const char *who) {
    int status;
    waitpid(pid, &status, 0);
    if ((WIFSIGNALED(status) ? WTERMSIG(status) : 0) != signal)
        fail("%s ended with status %#x", who, status);
}

/* The small one with 1000 goes first, then whoever has most; -1000 never. */
static void adjusted(void) {
    pid_t never = sleeper(24 * MIB, "-1000"), first = sleeper(6 * MIB, "1000"), most = sleeper(12 * MIB, "0");
    pid_t asks = hog("-500", 22 * MIB);
    ends_by(first, SIGKILL, "1000");
    if (!alive(most))
        fail("the one with 6 MiB and 1000 was not enough, or not first");
    asks = (ends_by(asks, 0, "the hog with -500 and 22 MiB"), hog("-500", 45 * MIB));
    ends_by(most, SIGKILL, "the largest");
    ends_by(asks, SIGKILL, "the hog, when only -1000 was left");
    if (!alive(never))
        fail("-1000 was killed");
    kill(never, SIGKILL);
    ends_by(never, SIGKILL, "-1000");
}

static void asker(void) {
    put("/proc/sys/vm/oom_kill_allocating_task", "1");
    pid_t largest = sleeper(30 * MIB, "0"), asks = hog("0", 100 * MIB);
    ends_by(asks, SIGKILL, "who asks");
    if (!alive(largest))
        fail("the largest was killed");
    put("/proc/sys/vm/oom_kill_allocating_task", "0");
    asks = hog("-900", 40 * MIB);
    ends_by(largest, SIGKILL, "the largest");
    ends_by(asks, 0, "who asks");
}

/* oom_score: (1000 + thousandths of memory + adjustment) * 2 / 3. */
static void score(void) {
    static const char *const adjustments[] = {"-1000", "-999", "-500", "0", "300", "1000"};
    unsigned long total = number("/proc/meminfo", "MemTotal:") / 4;
    for (unsigned i = 0; i < 6; i++) {
        char path[64];
        pid_t pid = sleeper(16 * MIB, adjustments[i]);
        sprintf(path, "/proc/%d/status", pid);
        long pages = (long)(number(path, "VmRSS:") + number(path, "VmPTE:")) / 4, a = atol(adjustments[i]);
        sprintf(path, "/proc/%d/oom_score", pid);
        long is = (long)number(path, ""),
             should = (1000 + (pages + a * (long)(total / 1000)) * 1000 / (long)total) * 2 / 3;
        if (a == -1000)
            should = 0;
        if (is < should - 1 || is > should + 1)
            fail("with %s: oom_score is %ld and should be %ld", adjustments[i], is, should);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

/* Processes that all want more than there is, every fourth of them locked memory. Some end well, for there is always
 * somebody who gets on; nothing stays behind. */
static void storm(int count) {
    put("/proc/self/oom_score_adj", "-1000");
    unsigned long before = number("/proc/meminfo", "MemFree:"), killed = number("/proc/vmstat", "oom_kill ");
    int by_signal = 0, well = 0, status;
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            put("/proc/self/oom_score_adj", "0");
            if (i % 4 == 0 && mlockall(MCL_FUTURE))
                fail("mlockall");
            for (int n = 0; n < 24; n++) {
                grow(MIB / 4);
                if (n % 8 == i % 8 && fork() == 0) {
                    prctl(PR_SET_PDEATHSIG, SIGKILL);
                    pause();
                }
            }
            _exit(0);
        }
    while (wait(&status) > 0) {
        by_signal += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        well += status == 0;
    }
    killed = number("/proc/vmstat", "oom_kill ") - killed;
    if (by_signal + well != count || !by_signal || !well || killed < (unsigned long)by_signal)
        fail("of %d: %d killed, %d well; %lu victims counted", count, by_signal, well, killed);
    kill(-1, SIGKILL); /* grandchildren whose parent died before they could ask to die with it */
    for (int i = 0; i < 1000 && number("/proc/meminfo", "MemFree:") + 1024 < before; i++)
        usleep(10000);
    if (number("/proc/meminfo", "MemFree:") + 1024 < before)
        fail("%lu kB were free, and now %lu", before, number("/proc/meminfo", "MemFree:"));
}

int main(int argc, char **argv) {
    if (!strcmp(argv[1], "adjusted"))
        adjusted();
    else if (!strcmp(argv[1], "asker"))
        asker();
    else if (!strcmp(argv[1], "score"))
        score();
    else
        storm(atoi(argv[2]));
    printf("well\n");
    return 0;
}
