/* record.c - the ring of the trace recorder (record.h). Its memory is given at the start, so recording allocates
 * nothing, and nobody who takes words out needs memory: reclaim may wait for him.
 *
 * Who tells something may hold any lock and cannot sleep, so the ring may become full. Reclaim itself, which tells
 * most, waits between steps (record_pause); what others lose is counted, and stands in the trace where it is missing.
 *
 * Lock: record.lock is innermost (docs/locks.md). */
#include "vm/record.h"

#include "lib/sync.h"

static struct {
    struct spin lock;
    u64 *words;
    u32 size;             /* a power of two */
    u64 written, taken;   /* [lock] counted from the start; the readers of `written - taken` may be a little late */
    u32 lost;             /* [lock] */
    struct waitq emptied; /* woken when words were taken out */
} recorder;

bool record_on;
struct waitq record_filling;

static u64 filled(void) { return atomic_load_relaxed(&recorder.written) - atomic_load_relaxed(&recorder.taken); }
bool record_crowded(void) { return 2 * filled() >= recorder.size; }

static void put(u64 word) {
    recorder.words[recorder.written & (recorder.size - 1)] = word;
    atomic_store_relaxed(&recorder.written, recorder.written + 1);
}

void record_word(u64 word) {
    spin_lock(&recorder.lock);
    if (recorder.written - recorder.taken < recorder.size)
        put(word);
    else
        recorder.lost++;
    spin_unlock(&recorder.lock);
}

void record_wait(void) {
    if (!record_crowded())
        return;
    waitq_wake_all(&record_filling);
    wait_until(&recorder.emptied, !record_crowded());
}

void record_start(u64 *words, u32 count) {
    recorder.words = words;
    recorder.size = count;
    waitq_init(&recorder.emptied);
    waitq_init(&record_filling);
    atomic_store(&record_on, true);
}

u32 record_peek(const u64 **words) {
    spin_lock(&recorder.lock);
    u32 at = recorder.taken & (recorder.size - 1);
    *words = recorder.words + at;
    u32 count = (u32)min(recorder.written - recorder.taken, (u64)(recorder.size - at));
    spin_unlock(&recorder.lock);
    return count;
}

void record_taken(u32 count) {
    spin_lock(&recorder.lock);
    atomic_store_relaxed(&recorder.taken, recorder.taken + count);
    if (recorder.lost && count)
        put(trace_word(TRACE_LOST, 0, recorder.lost));
    recorder.lost = count ? 0 : recorder.lost;
    spin_unlock(&recorder.lock);
    waitq_wake_all(&recorder.emptied);
}
