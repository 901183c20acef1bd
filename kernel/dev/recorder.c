/* recorder.c - the trace recorder's other end: a task that takes the ring's words (vm/record.h) to the command.
 *
 * The ring has four words for each frame of memory, as far as one block goes: so the pages of a process that exits fit,
 * though nothing waits for us there. It is not woken for each word, since words are told under any lock: it looks every
 * few milliseconds, and reclaim wakes it when it must wait for room. From the start on it needs no memory: reclaim may
 * wait for it. */
#include "dev/host.h"
#include "main.h"
#include "task/task.h"
#include "vm/record.h"
#include "vm/roster.h"

#define LOOK_NS 10000000UL
#define WORDS_LEAST 512u

static struct {
    bool ending, ended; /* [a] */
    struct waitq end;
} recorder;

static void carry(void) {
    const u64 *words;
    for (u32 count; (count = record_peek(&words));) {
        count = min(count, (u32)(WIRE_MOST / sizeof(u64)));
        host_trace(words, count * sizeof(u64));
        record_taken(count);
    }
}

static void record_run(void *argument) {
    while (!atomic_load(&recorder.ending)) {
        carry();
        wait_until_deadline(&record_filling, atomic_load(&recorder.ending) || record_crowded(), false,
                            clock_ns() + LOOK_NS);
    }
    carry();
    atomic_store(&recorder.ended, true);
    waitq_wake_all(&recorder.end);
    kthread_exit();
}

bool recorder_start(void) {
    u64 words = WORDS_LEAST;
    unsigned order = 0;
    while (words < 4 * frame_count && order < FRAME_ORDER_MOST) {
        words *= 2;
        order++;
    }
    waitq_init(&recorder.end);
    u64 *ring = pages_alloc(order, 0);
    if (!ring || !host_trace_open())
        return false;
    record_start(ring, (u32)words);
    roster_record();
    return kthread_start("recorder", record_run, NULL);
}

void recorder_finish(void) {
    if (!record_on)
        return;
    atomic_store(&recorder.ending, true);
    waitq_wake_all(&record_filling);
    wait_until(&recorder.end, atomic_load(&recorder.ended));
}
