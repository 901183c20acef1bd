/* roster.h - what the replacement policy (policy.h) is told about frames, and asked. It has the only lock around it. */
#pragma once

#include "vm/frame.h"
#include "vm/policy.h"

void roster_init(void);     /* after frame_init; boot CPU */
extern size_t roster_bytes; /* of memory that frame_init gave to the policies */

/* roster_came: a frame of class ANON, FILE or SHMEM has its contents' identity now (ring, slot of the swap area, object
 * and index). ahead: nobody has asked for it yet. Any locks. Nothing while the policy does not want to hear it, or
 * before memory was ever short, and nobody records. */
#define ROSTER_POLICY 1u
#define ROSTER_RECORDS 2u
extern u8 roster_listens; /* [a] which of these want to hear it */
void roster_note(struct frame *f, bool ahead);
static inline void roster_came(struct frame *f, bool ahead) {
    if (unlikely(atomic_load_relaxed(&roster_listens)))
        roster_note(f, ahead);
}

/* roster_refault: page `index` of o is to be read, and was evicted not long ago. A hint: as long as the ghosts
 * remember.
 */
struct object;
bool roster_refault(const struct object *o, u64 index);

/* For reclaim, by one task at a time (`reclaiming`).
 * roster_victims: frames that the policy names, up to ask->most. Each is told afterwards: roster_evicted, while it
 * still knows what its contents are and nobody else can free it; then, whatever became of it, roster_settle. */
unsigned roster_victims(struct policy_ask *ask, struct frame **out);
void roster_evicted(struct frame *f);
void roster_settle(struct frame *f);
/* roster_sweep: insert every frame that the policy does not know, for whatever reason. */
void roster_sweep(void);
/* roster_touch: a harvest found these used. */
extern bool roster_wants_touches;
void roster_touch(struct frame *const *frames, unsigned count);
/* roster_cold: a program will not use these soon. */
void roster_cold(struct frame *const *frames, unsigned count);
/* roster_goes_along: the policy does not mind if f is evicted with its neighbour in a file. A hint. */
bool roster_goes_along(const struct frame *f);

/* roster_record: the recorder (record.h) has started: it hears of all there is, and of what comes and goes from now on.
 */
void roster_record(void);

/* roster_choose: the policy from now on; `reclaiming` held. roster_policy: its name. */
void roster_choose(const struct policy *p);
const char *roster_policy(void);
