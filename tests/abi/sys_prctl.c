/* sys_prctl.c - every option of prctl(2) with a few arguments, each in a child of its own: what it answers, and whether
 * it writes. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_OPTION 68 /* 6.1 ends at 62 */

static struct {
    long result;
    int error;
    char buffer[256];
} * shared;

static void ask(const char *how, int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    char untouched[sizeof shared->buffer];
    memset(untouched, 0x55, sizeof untouched);
    memcpy(shared->buffer, untouched, sizeof untouched);
    shared->result = 99;
    shared->error = 0;
    pid_t pid = fork();
    if (pid == 0) {
        shared->result = syscall(SYS_prctl, option, a, b, c, d);
        shared->error = errno;
        syscall(SYS_exit, 0);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("%d, %s -> ", option, how);
    if (shared->result < 0)
        printf("%s", strerrorname_np(shared->error));
    else
        printf("%ld", shared->result);
    printf("%s%s\n", memcmp(shared->buffer, untouched, sizeof untouched) ? ", writes" : "",
           WIFSIGNALED(status) ? ", dies" : "");
}

static void ask_ptracer(void) {
    int gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    printf("who may trace me:\n");
    ask("nobody", PR_SET_PTRACER, 0, 0, 0, 0);
    ask("anybody", PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    ask("the parent", PR_SET_PTRACER, (unsigned long)getpid(), 0, 0, 0);
    ask("a process that is gone", PR_SET_PTRACER, (unsigned long)gone, 0, 0, 0);
    ask("no pid", PR_SET_PTRACER, 0x7fffffff, 0, 0, 0);
    ask("a negative one", PR_SET_PTRACER, -2UL, 0, 0, 0);
    ask("with more", PR_SET_PTRACER, 0, 1, 1, 1);
}

#define BLOCK (2ul << 20)

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld\n", what, result);
}

static void say_kept(const char *who) {
    printf("%s\n", who);
    say("thp disabled", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    say("mce kill", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
    say("io flusher", prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
}

/* What was set is read back, by a child too, and by what that executes. */
static void ask_kept(void) {
    char *block = mmap((void *)(16ul << 40), BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("disable thp", prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    say("set mce kill", prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
    say("set io flusher", prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
    say_kept("here:");
    *block = 1;
    say("collapse", madvise(block, BLOCK, 25 /* MADV_COLLAPSE */));
    if (fork() == 0) {
        say_kept("in a child:");
        execl("/proc/self/exe", "sys_prctl", "kept", NULL);
    }
    wait(NULL);
    say("clear mce kill", prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0));
    say("clear io flusher", prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0));
    say("enable thp", prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    say_kept("here, after that:");
    *block = 2;
    say("collapse after that", madvise(block, BLOCK, 25));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        say_kept("in what it executes:");
        return 0;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setvbuf(stdout, NULL, _IOLBF, 4096);
    for (int option = 0; option <= LAST_OPTION; option++) {
        ask("0", option, 0, 0, 0, 0);
        ask("1", option, 1, 0, 0, 0);
        ask("2", option, 2, 0, 0, 0);
        ask("-1", option, -1UL, 0, 0, 0);
        ask("a buffer", option, (unsigned long)shared->buffer, 0, 0, 0);
        ask("1, 1", option, 1, 1, 0, 0);
        ask("0, 0, 1", option, 0, 0, 1, 0);
        ask("0, 0, 0, 1", option, 0, 0, 0, 1);
        ask("1, 0, 0, a buffer", option, 1, 0, 0, (unsigned long)shared->buffer);
    }
    ask_ptracer();
    ask_kept();
    return 0;
}
