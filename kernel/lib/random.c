/* random.c - one generator: ChaCha20 (RFC 8439) with fast key erasure.
 *
 * Each request makes one block under the lock: its first half is the next key, so what was given out cannot be computed
 * from what is kept; its second half is what a small request gets, and keys the stream of a larger one, which is made
 * without the lock. Seeded by the command's configuration and by the CPU's randomness, again mixed in with each
 * request. */
#include "arch/x86_64/cpu.h"
#include "lib/random.h"
#include "lib/sync.h"

#define KEY_WORDS 8
#define BLOCK_WORDS 16

static struct spin lock; /* protects key */
static u32 key[KEY_WORDS];

static inline u32 rotate(u32 x, unsigned n) { return x << n | x >> (32 - n); }

/* Always inline: with constant indices the words of a block stay in registers. */
static inline __attribute__((always_inline)) void quarter(u32 *x, unsigned a, unsigned b, unsigned c, unsigned d) {
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

/* chacha_block: RFC 8439, 2.3; the nonce is a second counter that the callers choose. */
static void chacha_block(const u32 *k, u64 counter, u64 nonce, u32 *out) {
    const u32 start[BLOCK_WORDS] = {0x61707865,   0x3320646e,
                                    0x79622d32,   0x6b206574, /* "expand 32-byte k" */
                                    k[0],         k[1],
                                    k[2],         k[3],
                                    k[4],         k[5],
                                    k[6],         k[7],
                                    (u32)counter, (u32)(counter >> 32),
                                    (u32)nonce,   (u32)(nonce >> 32)};
    u32 x[BLOCK_WORDS];

    for (int i = 0; i < BLOCK_WORDS; i++)
        x[i] = start[i];
    for (int i = 0; i < 10; i++) {
        quarter(x, 0, 4, 8, 12);
        quarter(x, 1, 5, 9, 13);
        quarter(x, 2, 6, 10, 14);
        quarter(x, 3, 7, 11, 15);
        quarter(x, 0, 5, 10, 15);
        quarter(x, 1, 6, 11, 12);
        quarter(x, 2, 7, 8, 13);
        quarter(x, 3, 4, 9, 14);
    }
    for (int i = 0; i < BLOCK_WORDS; i++)
        out[i] = x[i] + start[i];
}

/* draw: half a block of the caller's own; our key moves on. */
static void draw(u32 *own) {
    u32 block[BLOCK_WORDS];
    u64 fresh = cpu_random();

    spin_lock(&lock);
    chacha_block(key, fresh, clock_ns(), block);
    memcpy(key, block, sizeof(key));
    spin_unlock(&lock);
    memcpy(own, block + KEY_WORDS, KEY_WORDS * sizeof(u32));
}

void random_bytes(void *to, size_t bytes) {
    u32 own[KEY_WORDS], block[BLOCK_WORDS];
    u8 *out = to;

    draw(own);
    if (bytes <= sizeof(own)) {
        memcpy(out, own, bytes);
        return;
    }
    for (u64 counter = 0; bytes; counter++) {
        size_t some = min(bytes, sizeof(block));

        chacha_block(own, counter, 0, block);
        memcpy(out, block, some);
        out += some;
        bytes -= some;
    }
}

u64 random_u64(void) {
    u64 value;

    random_bytes(&value, sizeof(value));
    return value;
}

void random_seed(const void *from, size_t bytes) {
    const u8 *in = from;

    while (bytes) {
        u32 block[BLOCK_WORDS], words[KEY_WORDS] = {0};
        size_t some = min(bytes, sizeof(words));

        memcpy(words, in, some);
        spin_lock(&lock);
        for (int i = 0; i < KEY_WORDS; i++)
            key[i] ^= words[i];
        chacha_block(key, bytes, 1, block);
        memcpy(key, block, sizeof(key));
        spin_unlock(&lock);
        in += some;
        bytes -= some;
    }
}
