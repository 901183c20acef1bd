/* trace.h - what reclaim sees, as a file: `quire run --trace` writes it, `quire sim` reads it.
 *
 * The file is a magic word and then words of 8 bytes, little-endian: the kind in 4 bits, a frame in 28, and 32 bits of
 * which the kind says what they are. A program that knows its own pages may write TRACE_USE alone: then frame is 0, and
 * key the page's number. */
#pragma once

#include <stdint.h>

#define TRACE_MAGIC 0x3165636172747571ULL /* "qutrace1" */

enum trace_kind {
    TRACE_CAME = 1, /* contents came into a frame, and are used: key says which, if they were ever evicted; else 0 */
    TRACE_TOUCHED,  /* the frame was used since the table `key` was harvested last; 0: just now */
    TRACE_WENT,     /* the frame's contents were evicted, and have this key from now on */
    TRACE_USE,      /* page `key` was used */
    TRACE_AHEAD,    /* as CAME, but nobody has asked for them yet */
    TRACE_FREED,    /* the frame was freed by its owner: what it had is wanted no more */
    TRACE_HARVEST,  /* frame, a table, was harvested: what it knew of uses was told, by address; it begins at `key` * 2
                       MiB */
    TRACE_LOST,     /* so many words (key) are missing here, for the recorder had no room */
    TRACE_KINDS,
};

static inline uint64_t trace_word(enum trace_kind kind, uint64_t frame, uint32_t key) {
    return (uint64_t)kind << 60 | (frame & 0xfffffff) << 32 | key;
}
static inline enum trace_kind trace_kind_of(uint64_t word) { return (enum trace_kind)(word >> 60); }
static inline uint32_t trace_frame_of(uint64_t word) { return (uint32_t)(word >> 32) & 0xfffffff; }
static inline uint32_t trace_key_of(uint64_t word) { return (uint32_t)word; }
