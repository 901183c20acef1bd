/* long_transfers.c - a signal ends what moves for long: its timer rings on the CPU that is busy with it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define MIB (1L << 20)
#define TIMES 64 /* the same MiB of memory, so often in a row */

static volatile int rang;
static char *buffer;

static void ring(int signal) { rang = 1; }

static void begin(void) {
    rang = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {.tv_usec = 10000}}, NULL);
}

static void end(const char *what, long moved, long all) {
    printf("%s -> %s, the timer %s\n", what,
           moved < 0     ? strerrorname_np(errno)
           : moved < all ? "a part"
                         : "all of it",
           rang ? "rang" : "did not ring");
    while (!rang)
        pause();
}

int main(void) {
    int memory = memfd_create("one", 0), random = open("/dev/urandom", O_RDONLY), zero = open("/dev/zero", O_RDONLY);
    struct sigaction action = {.sa_handler = ring};
    struct iovec again[1024];
    sigaction(SIGALRM, &action, NULL);
    if (ftruncate(memory, MIB) != 0)
        return 1;
    buffer = mmap(NULL, TIMES * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < TIMES; i++)
        mmap(buffer + i * MIB, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, memory, 0);
    for (int i = 0; i < 1024; i++)
        again[i] = (struct iovec){buffer, MIB};

    begin();
    end("getrandom", getrandom(buffer, TIMES * MIB, 0), TIMES * MIB);
    begin();
    end("read of /dev/urandom", read(random, buffer, TIMES * MIB), TIMES * MIB);
    begin();
    end("readv of /dev/zero", readv(zero, again, 1024), 1024 * MIB);
    return 0;
}
