/* fiber.h - a fiber from inside tests/host: for the two schedulers, the seeded one (fiber.c) and the explorer
 * (explore.c). */
#pragma once

#include "host.h"
#include "sanitizer.h"

#define FIBERS_MOST 64
#define STACK_BYTES (256 * KiB) /* the sanitizers' frames are several times the kernel's */

enum fiber_state { FIBER_READY, FIBER_ASLEEP, FIBER_DONE };

struct late_flush { /* rules.c */
    struct machine_space *space;
    u64 start, end;
    struct spin *fresh, *waits;
};

struct fiber {
    void *sp; /* while it does not run */
    void *stack;
    void *fake_stack; /* AddressSanitizer's */
    const char *name;
    void (*body)(void *);
    void *argument;
    struct space *space;
    int cpu; /* -1: none, it slept or has not begun */
    enum fiber_state state;
    bool woken;
    bool stops; /* it is where the machine may stand still */
    unsigned locks;
    const char *waits;       /* why it does not go on */
    bool faulting, unlocked; /* rules.c's */
    struct spin *held[8];    /* the spin locks, in the order they were taken */
    struct late_flush late;
};

extern struct fiber fibers[FIBERS_MOST]; /* the first is the test, and the seeded scheduler */
extern unsigned fiber_count;
extern struct fiber *current;

void fiber_switch(struct fiber *to, bool last);
void fiber_rewind(struct fiber *f); /* its next step is its first one */
void fibers_running_set(bool on);

/* explore.c */
extern bool explore_on;
static inline bool exploring(void) { return explore_on; }
/* from: where in the program, for who reads the schedule */
void explore_point(enum host_op op, const volatile void *address, unsigned bytes, const void *from);
void explore_access(enum host_op op, const volatile void *address); /* the step that has begun does this too */
void explore_resume(void);                                          /* the calling fiber was alone, by HOST_ALONE */
void explore_end(void);                                             /* the calling fiber has nothing more to do */
bool explore_say(FILE *to);                                         /* how to see this run again */
