/* watch.h - memory that a program watches: the heart's side of userfaultfd(2).
 *
 * A view may have a watch. An access to its pages that meets what the watch is for is not made possible: the fault says
 * FAULT_WATCHED, and who made the access waits (space_await) until the watch's owner has answered, by putting a page
 * there (space_supply) or by letting it be written (space_guard), and wakes him. So a fault never waits inside the VM,
 * and the VM knows nothing of messages.
 *
 *   WATCH_MISSING   nothing is there: no page in the slot, and none of the object
 *   WATCH_GUARDED   the slot is guarded (ENTRY_GUARDED, by space_guard), and written to
 *   WATCH_MINOR     the object has the page in memory, the slot does not show it
 *
 * Guarded slots lie only under views with WATCH_GUARDED. The page of an object that leaves its guarded slot leaves a
 * marker (entry_guard). A child of fork does not inherit a watch, nor what mremap moves, unless the owner follows. */
#pragma once

#include "vm/space.h"

#define WATCH_MISSING 1u
#define WATCH_GUARDED 2u
#define WATCH_MINOR 4u

struct watch_ops;

/* Embedded by its owner. A view with it has a reference. */
struct watch {
    const struct watch_ops *ops;
    struct space *space;  /* whose memory; NULL once that is gone. Under all_spaces_lock */
    struct list in_space; /* likewise */
    bool follows;         /* what mremap moves stays watched */
};

/* What an access waits for. */
struct watched {
    u64 address;
    bool write;
    bool user; /* it is the program's own, so a signal may end the wait; else only death does */
    u32 why;   /* WATCH_* */
};

struct watch_ops {
    void (*get)(struct watch *w);
    void (*put)(struct watch *w); /* may sleep */
    /* wait: say what is wanted, then sleep until an answer, unless still(argument), asked in between, says that the
     * reason is gone. FAULT_DONE: try again; FAULT_INTERRUPTED; FAULT_BUS_ADRERR: nobody will answer. No lock held. */
    enum fault_outcome (*wait)(struct watch *w, const struct watched *what, bool (*still)(void *), void *argument);
    /* fork: the watch, with a reference, that child's memory has in place of w, the same each time it is asked; NULL:
     * none. err_ptr(-ENOMEM). Sleeps; child->range held. */
    struct watch *(*fork)(struct watch *w, struct space *child);
};

/* watch_init: of s. watch_end: before its memory goes. watch_space: its space, with a reference; NULL: it is gone.
 * watches_end: a space goes. watch_each: visit, which does not sleep, each of s. */
void watch_init(struct watch *w, const struct watch_ops *ops, struct space *s);
void watch_end(struct watch *w);
struct space *watch_space(struct watch *w);
void watches_end(struct space *s);
void watch_each(struct space *s, void (*visit)(struct watch *w, void *argument), void *argument); /* a lock held */
bool space_is_watched(const struct space *s); /* by anybody: a hint */

/* All with whole pages.
 * space_watch: what is mapped of [address, address + bytes) is watched by w for `modes`. -EINVAL: nothing is, or it is
 * neither anonymous nor of an object whose pages live only in memory; -EPERM: it can never be written; -EBUSY: another
 * watches; -ENOMEM. space_unwatch: by nobody any more, or, with w, not by that one; guards go. -EINVAL as above. */
int space_watch(struct space *s, u64 address, u64 bytes, struct watch *w, u32 modes);
int space_unwatch(struct space *s, u64 address, u64 bytes);
int space_forget_watch(struct space *s, struct watch *w);
/* space_guard: the pages, of one mapping (-ENOENT) that is watched for WATCH_GUARDED, are guarded or not. -ENOMEM: a
 * prefix is. Sleeps. */
int space_guard(struct space *s, u64 address, u64 bytes, bool guard);

enum supply {
    SUPPLY_PAGE, /* a frame's contents */
    SUPPLY_ZERO,
    SUPPLY_CACHED, /* what the object has */
};
/* space_may_supply: [address, address + bytes) lies in one mapping that is watched (-ENOENT), and can be supplied so
 * (-EINVAL); *shared: by frames for shared memory. supply_frame: one for contents, or NULL. space_supply: one page
 * where nothing is, for SUPPLY_PAGE from *frame, which is used up if it is NULL then (-EAGAIN: it is for another kind):
 * guarded, with `guard`. -EEXIST: something is; -ENOENT: nobody watches; -EFAULT: past the end (SUPPLY_CACHED:
 * -EINVAL), or the object has nothing; -ENOMEM, -ENOSPC: with `guard`, a page of shared memory may be guarded all the
 * same. Sleeps. */
int space_may_supply(struct space *s, u64 address, u64 bytes, enum supply how, bool guard, bool *shared);
struct frame *supply_frame(bool shared, bool zero);
int space_supply(struct space *s, u64 address, enum supply how, struct frame **frame, bool guard);

/* space_await: after FAULT_WATCHED, nothing held: as watch_ops->wait says. */
enum fault_outcome space_await(struct space *s, u64 address, enum fault_access access, bool user);
