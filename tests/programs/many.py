"""Many processes and threads; afterwards the kernel's checker is clean and nothing leaked (the harness sees to that)."""
from harness import *

FORKS = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long counter;
static void *thread(void *argument) {
    for (int i = 0; i < 1000; i++)
        __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
    return argument;
}

static int in_turn(int count, char *memory) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return perror("fork"), 1;
        if (pid == 0) {
            memory[(i % 64) * 4096] = (char)i;
            _exit(i & 63);
        }
        int status;
        if (waitpid(pid, &status, 0) != pid)
            return perror("waitpid"), 1;
        sum += WEXITSTATUS(status);
    }
    printf("in turn: %d, sum %d, memory %d\n", count, sum, memory[4096]);
    return 0;
}

static int at_once(int count) {
    int go[2], sum = 0;
    if (pipe(go) != 0)
        return perror("pipe"), 1;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return perror("fork"), 1;
        if (pid == 0) {
            char c;
            close(go[1]);
            _exit(read(go[0], &c, 1) == 0 ? 1 : 2); /* until all are there */
        }
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < count; i++) {
        int status;
        if (wait(&status) < 0)
            return perror("wait"), 1;
        sum += WEXITSTATUS(status);
    }
    printf("at once: %d, sum %d\n", count, sum);
    return 0;
}

static int threads(int count) {
    pthread_t *list = calloc((size_t)count, sizeof *list);
    for (int i = 0; i < count; i++)
        if (pthread_create(&list[i], NULL, thread, NULL) != 0)
            return puts("pthread_create"), 1;
    for (int i = 0; i < count; i++)
        pthread_join(list[i], NULL);
    free(list);
    printf("threads: %d, counter %ld\n", count, counter);
    return 0;
}

int main(int argc, char **argv) {
    char *memory = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 7, 64 * 4096);
    int count = atoi(argv[2]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return strcmp(argv[1], "turn") == 0 ? in_turn(count, memory) : strcmp(argv[1], "once") == 0 ? at_once(count) : threads(count);
}
"""


def build(t, flags=()):
    """The program above, in the directory where the test runs."""
    source = t.write("many.c", FORKS)
    built = t.run(["gcc", "-O1", "-pthread", *flags, "-o", t.cwd + "/many", source])
    t.equal("gcc's output", b"", built.err)


compare("10000-forks-in-turn", "./many", "turn", "10000", prepare=build, timeout=300)
compare("10000-forks-in-turn-static", "./many", "turn", "10000", prepare=lambda t: build(t, ["-static"]), timeout=300)
compare("1000-processes-at-once", "./many", "once", "1000", prepare=build, options=["-m", "256M"], timeout=300)
compare("100-threads", "./many", "threads", "100", prepare=build, timeout=300)
compare("shell-forks", "sh", "-c", "i=0; while [ $i -lt 300 ]; do i=$((i+1)); x=$(echo $i); done; echo $x", timeout=300)
