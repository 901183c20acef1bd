/* model.h - an operation on up to 8 spaces and 6 files, as a value: generated from a seed, kept, replayed, left out. */
#pragma once

#include "flat.h"

#define OPS(X)                                                                                                         \
    X(CREATE)                                                                                                          \
    X(FORK)                                                                                                            \
    X(EXIT)                                                                                                            \
    X(EXEC)                                                                                                            \
    X(MAP)                                                                                                             \
    X(UNMAP)                                                                                                           \
    X(PROTECT)                                                                                                         \
    X(DISCARD)                                                                                                         \
    X(CHANGE)                                                                                                          \
    X(POPULATE)                                                                                                        \
    X(SYNC)                                                                                                            \
    X(REMAP)                                                                                                           \
    X(BRK)                                                                                                             \
    X(LOCK)                                                                                                            \
    X(LOCK_FUTURE)                                                                                                     \
    X(FILL)                                                                                                            \
    X(WEAR)                                                                                                            \
    X(LIMITS)                                                                                                          \
    X(TOP)                                                                                                             \
    X(MAP_LIMIT)                                                                                                       \
    X(READ)                                                                                                            \
    X(WRITE)                                                                                                           \
    X(EXECUTE)                                                                                                         \
    X(COPY_OUT)                                                                                                        \
    X(COPY_IN)                                                                                                         \
    X(FUTEX)                                                                                                           \
    X(LOOK)                                                                                                            \
    X(USAGE)                                                                                                           \
    X(RESIZE)                                                                                                          \
    X(PUNCH)                                                                                                           \
    X(FILE_READ)                                                                                                       \
    X(FILE_WRITE)                                                                                                      \
    X(FILE_OVERWRITE)                                                                                                  \
    X(FILE_SYNC)                                                                                                       \
    X(FILE_DROP)                                                                                                       \
    X(RECLAIM)                                                                                                         \
    X(LOAD)                                                                                                            \
    X(AREA)                                                                                                            \
    X(TIER)                                                                                                            \
    X(POLICY)                                                                                                          \
    X(REAP)                                                                                                            \
    X(CLEAN)                                                                                                           \
    X(COLLAPSE)                                                                                                        \
    X(OFFLINE)
enum op_kind {
#define X(name) OP_##name,
    OPS(X)
#undef X
        OP_KINDS
};

/* Which fields an operation uses: op_fields in model.c says it beside the code. */
struct op {
    u8 kind, space, other, cpu; /* other: of FORK and CREATE the new space */
    u8 file, how, max_prot, backwards;
    u32 flags, clear; /* view flags; of CHANGE set and cleared */
    u64 first, pages, to, to_pages, offset;
    u64 value;
    u32 fail_alloc, fail_io; /* the nth of the operation fails; 0: none */
    u32 seed;                /* what is looked at beside, and on which CPU */
};
extern const char *const op_names[OP_KINDS];

/* op_run: the same to both, answers compared; false: it does not apply now (its space does not exist). */
bool op_run(const struct op *o);
/* model_compare: spaces, files, counters are the model's; everything: not only the space of the last operation. */
void model_compare(bool everything);
void model_begin(void);
void model_end(void); /* all exits; nothing has leaked */

extern unsigned model_step;
extern bool model_small; /* little memory: faults may fail for want of it at any time */

/* From shrink.c: run `next` until it says no more or the run fails; then leave out what does not matter, print the
 * rest, and fail. */
void model_record(bool (*next)(struct op *o), unsigned every);
void model_replay(const struct op *ops, unsigned count);
