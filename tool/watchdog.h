/* watchdog.h - has the guest stood still for too long, of the time that it could have run? */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct watchdog {
    pid_t pid;
    uint64_t silent_ns; /* time that the machine could run since the guest was last heard */
    uint64_t looked_ns; /* when we last looked */
    uint64_t waited_ns; /* what its threads had waited for a CPU by then */
    uint64_t stolen_ns; /* what the host's host had taken by then */
};

/* Looking is a few reads of /proc: twice a second is often enough. */
#define WATCHDOG_TICK_NS 500000000ull

uint64_t clock_now(void); /* CLOCK_MONOTONIC in ns */

void watchdog_start(struct watchdog *watchdog, pid_t pid);
void watchdog_heard(struct watchdog *watchdog);

/* Adds the time since the last look; returns the silence so far. */
uint64_t watchdog_look(struct watchdog *watchdog);
