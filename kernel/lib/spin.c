/* spin.c - the slow path of a spin lock.
 *
 * Interrupts stay on, so a CPU that waits still answers flush requests. Who waits longer than any holder runs lets the
 * host run others for a moment: the holder may be among them. A lock held for half a minute is a broken invariant
 * (locks are held for short, bounded times): panic says who holds it. */
#include "arch/x86_64/x86.h"
#include "lib/sync.h"

#define PATIENCE_NS 50000UL
#define NAP_NS 100000UL
#define STUCK_NS 30000000000UL

void spin_wait(struct spin *lock) {
    u64 start = clock_ns();
    while (!spin_try(lock)) {
        if (spin_held(lock))
            panic("spin_wait: lock %p is already held by this CPU (%u)", (void *)lock, cpu_id());
        u64 waited = clock_ns() - start;
        if (waited > STUCK_NS)
            panic("spin_wait: lock %p held by CPU %d for %lu ms", (void *)lock,
                  (int)atomic_load_relaxed(&lock->held) - 1, waited / 1000000);
        if (waited > PATIENCE_NS)
            cpu_nap(NAP_NS, &lock->held);
        else
            cpu_pause();
    }
}
