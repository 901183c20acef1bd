/* watchdog.c - measures silence in time that QEMU could run.
 *
 * Wall time alone would call a guest dead that merely was not given a CPU: by a busy machine (its threads wait on a run
 * queue: schedstat), by the host of a virtual machine (steal: /proc/stat), by somebody who stopped it (state T), or
 * while we ourselves were stopped or starved. Each is taken off, generously: a late alarm is better than a false one.
 */
#include "watchdog.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Longer than this between two looks means that we did not run either, and what the guest said may lie unread. */
#define LOOK_MOST_NS (2 * WATCHDOG_TICK_NS)

uint64_t clock_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The file's first bytes as a string; empty when it cannot be read. */
static void slurp(const char *path, char *out, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, room - 1);
    if (fd >= 0)
        close(fd);
    out[n < 0 ? 0 : n] = '\0';
}

static bool stopped(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    slurp(path, text, sizeof text);
    const char *name_end = strrchr(text, ')'); /* the name may hold anything */
    return name_end && (name_end[1] && (name_end[2] == 'T' || name_end[2] == 't'));
}

/* The sum over QEMU's threads of what each waited for a CPU. With more guest CPUs than the host has this grows faster
 * than time; the caller clamps. */
static uint64_t waited(pid_t pid) {
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    uint64_t sum = 0;
    for (struct dirent *entry; tasks && (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.')
            continue;
        char file[96];
        snprintf(file, sizeof file, "%s/%.16s/schedstat", path, entry->d_name);
        slurp(file, text, sizeof text);
        uint64_t ran, wait;
        if (sscanf(text, "%" SCNu64 " %" SCNu64, &ran, &wait) == 2)
            sum += wait;
    }
    if (tasks)
        closedir(tasks);
    return sum;
}

/* The steal column of /proc/stat, of all CPUs together. */
static uint64_t stolen(void) {
    char text[256];
    slurp("/proc/stat", text, sizeof text);
    uint64_t steal = 0;
    if (sscanf(text, "cpu %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &steal) != 1)
        return 0;
    return steal * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

void watchdog_start(struct watchdog *watchdog, pid_t pid) {
    *watchdog = (struct watchdog){.pid = pid, .looked_ns = clock_now(), .waited_ns = 0, .stolen_ns = stolen()};
}

void watchdog_heard(struct watchdog *watchdog) { watchdog->silent_ns = 0; }

uint64_t watchdog_look(struct watchdog *watchdog) {
    uint64_t now = clock_now(), wait = waited(watchdog->pid), steal = stolen();
    uint64_t passed = now - watchdog->looked_ns;
    uint64_t lost = (wait > watchdog->waited_ns ? wait - watchdog->waited_ns : 0) + (steal - watchdog->stolen_ns);
    passed = passed > LOOK_MOST_NS ? LOOK_MOST_NS : passed;
    passed = lost > passed || stopped(watchdog->pid) ? 0 : passed - lost;
    watchdog->looked_ns = now;
    watchdog->waited_ns = wait;
    watchdog->stolen_ns = steal;
    watchdog->silent_ns += passed;
    return watchdog->silent_ns;
}
