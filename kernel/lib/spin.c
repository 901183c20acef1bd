/* spin.c - the slow path of a spin lock.
 *
 * Interrupts stay on, so a CPU that waits still answers flush requests. A lock held for half a minute is a broken
 * invariant (locks are held for short, bounded times): panic says who holds it. */
#include "arch/x86_64/cpu.h"
#include "lib/sync.h"

#define STUCK_NS 30000000000UL

void spin_wait(struct spin *lock) {
    u64 start = 0;
    for (unsigned turn = 1; !spin_try(lock); turn++) {
        while (atomic_load_relaxed(&lock->held) && turn % 65536) {
            cpu_pause();
            turn++;
        }
        if (spin_held(lock))
            panic("spin_wait: lock %p is already held by this CPU (%u)", (void *)lock, cpu_id());
        u64 now = clock_ns();
        if (!start)
            start = now;
        else if (now - start > STUCK_NS)
            panic("spin_wait: lock %p held by CPU %d for %lu ms", (void *)lock,
                  (int)atomic_load_relaxed(&lock->held) - 1, (now - start) / 1000000);
    }
}
