/* record.h - the trace recorder: what reclaim sees, as words of lib/trace.h in a ring, for whoever takes them out
 * (dev/recorder.c). Off, it costs a look at `record_on` where something is told. */
#pragma once

#include "lib/trace.h"
#include "vm/frame.h"

extern bool record_on; /* [a] set once, by record_start */

/* record: tell one word. Any locks; never sleeps. When the ring is full the word is lost, and counted. */
void record_word(u64 word);
static inline void record(enum trace_kind kind, const struct frame *f, u32 key) {
    if (unlikely(atomic_load_relaxed(&record_on)))
        record_word(trace_word(kind, frame_number(f), key));
}
/* record_freed: a frame of a program's or a file's is freed. */
static inline void record_freed(const struct frame *f) {
    if (likely(!atomic_load_relaxed(&record_on))) /* asked first: this is each page's way out */
        return;
    enum frame_class class = frame_class(f);
    if (class == FRAME_ANON || class == FRAME_FILE || class == FRAME_SHMEM)
        record(TRACE_FREED, f, 0);
}
/* record_pause: called by reclaim, with no spin lock and outside of epochs, now and then: sleeps until at least half of
 * the ring is empty, so that nothing that reclaim tells is lost. */
void record_wait(void);
static inline void record_pause(void) {
    if (unlikely(atomic_load_relaxed(&record_on)))
        record_wait();
}

/* record_start: from now on, into `words` (a power of two of them), which are the recorder's from then on. */
void record_start(u64 *words, u32 count);

/* For the one who takes words out, and who must not need memory for it: reclaim waits for him.
 * record_peek: how many words there are in one piece, from *words on. record_taken: so many of them are done with. */
u32 record_peek(const u64 **words);
void record_taken(u32 count);
bool record_crowded(void);          /* the ring is half full: somebody may be waiting */
extern struct waitq record_filling; /* woken when somebody waits for room */
