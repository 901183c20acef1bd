/* lz.c - LZ4's block format (github.com/lz4/lz4, doc/lz4_Block_format.md).
 *
 *     sequence:  token | more of the literals' count | literals | offset, two bytes | more of the match's length
 *     token:     high half: count of literals; low half: length of the match less 4; 15: further bytes follow, to be
 *                added, until one is not 255
 *
 * The last sequence has literals only, at least five of them, and no match begins in the last twelve bytes. The
 * compressor looks for a match where the same four bytes last were, takes the first, and makes longer steps where it
 * finds none. */
#include "vm/lz.h"

#define MATCH_LEAST 4u
#define LAST_LITERALS 5u
#define LAST_MATCH 12u /* before the end */
#define HASH_BITS 11u
#define PATIENCE 5u /* after 2^5 misses the step grows */
_Static_assert(1u << HASH_BITS == LZ_TABLE, "an entry for each hash");

/* A word at any address. The builtin is one instruction; a freestanding memcpy is a call. */
static u32 load32(const u8 *p) {
    u32 v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}
static u64 load64(const u8 *p) {
    u64 v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}

static void copy(u8 *to, const u8 *from, size_t bytes) {
    for (; bytes >= 8; bytes -= 8, to += 8, from += 8) {
        u64 v = load64(from);
        __builtin_memcpy(to, &v, sizeof(v));
    }
    while (bytes--)
        *to++ = *from++;
}

/* How many bytes from `a` on, below `end`, are those from `b` on. */
static size_t same(const u8 *a, const u8 *b, const u8 *end) {
    const u8 *start = a;
    while (a + 8 <= end) {
        u64 differ = load64(a) ^ load64(b);
        if (differ)
            return a - start + __builtin_ctzll(differ) / 8;
        a += 8;
        b += 8;
    }
    while (a < end && *a == *b)
        a++, b++;
    return a - start;
}

static u8 *put_more(u8 *out, size_t count) {
    for (; count >= 255; count -= 255)
        *out++ = 255;
    *out++ = (u8)count;
    return out;
}

/* match 0: the last sequence. NULL: no room. */
static u8 *put_sequence(u8 *out, const u8 *end, const u8 *literals, size_t count, size_t offset, size_t match) {
    size_t length = match ? match - MATCH_LEAST : 0;
    if ((size_t)(end - out) < 1 + count / 255 + 1 + count + 2 + length / 255 + 1)
        return NULL;
    *out++ = (u8)(min(count, (size_t)15) << 4 | min(length, (size_t)15));
    if (count >= 15)
        out = put_more(out, count - 15);
    copy(out, literals, count);
    out += count;
    if (!match)
        return out;
    *out++ = (u8)offset;
    *out++ = (u8)(offset >> 8);
    return length >= 15 ? put_more(out, length - 15) : out;
}

size_t lz_compress(const u8 *in, size_t bytes, u8 *out, size_t room, u16 *table) {
    const u8 *end = in + bytes, *done = in, *at = in + 1;
    u8 *to = out, *to_end = out + room;
    size_t misses = 0;
    memset(table, 0, LZ_TABLE * sizeof(*table));
    while (to && at + LAST_MATCH <= end) {
        u32 four = load32(at);
        u16 *last = &table[four * 2654435761u >> (32 - HASH_BITS)]; /* 2^32 / golden ratio (Knuth, TAOCP 6.4) */
        const u8 *from = in + *last;
        *last = (u16)(at - in);
        if (from >= at || load32(from) != four) {
            at += 1 + (misses++ >> PATIENCE);
            continue;
        }
        size_t length = MATCH_LEAST + same(at + MATCH_LEAST, from + MATCH_LEAST, end - LAST_LITERALS);
        to = put_sequence(to, to_end, done, at - done, at - from, length);
        at += length;
        done = at;
        misses = 0;
    }
    if (to)
        to = put_sequence(to, to_end, done, end - done, 0, 0);
    return to ? to - out : 0;
}

/* A count that went to 15 goes on; false: it runs past the end. */
static bool take_more(const u8 **in, const u8 *end, size_t *count) {
    u8 byte = 255;
    while (byte == 255) {
        if (*in == end)
            return false;
        byte = *(*in)++;
        *count += byte;
    }
    return true;
}

/* The match may overlap what it makes: a run of one byte is one with offset 1. A short pattern is doubled until whole
 * words can be copied. */
static void repeat(u8 *to, size_t offset, size_t length) {
    const u8 *from = to - offset;
    for (; offset < 8 && length; offset *= 2) {
        size_t part = min(offset, length);
        for (size_t i = 0; i < part; i++)
            to[i] = from[i];
        to += part;
        length -= part;
    }
    copy(to, from, length);
}

bool lz_expand(const u8 *in, size_t bytes, u8 *out, size_t room) {
    const u8 *end = in + bytes;
    u8 *start = out, *out_end = out + room;
    while (in < end) {
        u8 token = *in++;
        size_t count = token >> 4, length = token & 15;
        if (count == 15 && !take_more(&in, end, &count))
            return false;
        if (count > (size_t)(end - in) || count > (size_t)(out_end - out))
            return false;
        copy(out, in, count);
        in += count;
        out += count;
        if (in == end)
            return out == out_end;
        if (end - in < 2)
            return false;
        size_t offset = in[0] | (size_t)in[1] << 8;
        in += 2;
        if (length == 15 && !take_more(&in, end, &length))
            return false;
        length += MATCH_LEAST;
        if (!offset || offset > (size_t)(out - start) || length > (size_t)(out_end - out))
            return false;
        repeat(out, offset, length);
        out += length;
    }
    return false;
}
