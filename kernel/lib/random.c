/* random.c - one generator: ChaCha20 (RFC 8439) with fast key erasure.
 *
 * A few blocks are made at a time, under the lock: the first half block is the next key, the rest what small requests
 * get, piece by piece, each erased as it goes out; so what was given out cannot be computed from what is kept. A larger
 * request gets half a block as the key of a stream of its own, which is made without the lock. Seeded by the command's
 * configuration and by the CPU's randomness, which is mixed in again with each refill. */
#include "arch/x86_64/cpu.h"
#include "lib/random.h"
#include "lib/sync.h"

#define KEY_WORDS 8
#define BLOCK_WORDS 16

#define BLOCKS 4

static struct spin lock; /* protects what follows */
static u32 key[KEY_WORDS];
static u8 ready[BLOCKS * BLOCK_WORDS * sizeof(u32)]
    __attribute__((aligned(8))); /* the last `left` bytes are to be given out, the others are 0 */
static size_t left;

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

static void refill(void) {
    u64 fresh = cpu_random(), now = clock_ns();

    for (int i = 0; i < BLOCKS; i++)
        chacha_block(key, fresh + i, now, (u32 *)ready + i * BLOCK_WORDS);
    memcpy(key, ready, sizeof(key));
    memset(ready, 0, sizeof(key));
    left = sizeof(ready) - sizeof(key);
}

/* draw: at most as many bytes as a key has. */
static void draw(void *to, size_t bytes) {
    spin_lock(&lock);
    if (left < bytes)
        refill();
    u8 *from = ready + sizeof(ready) - left;
    memcpy(to, from, bytes);
    memset(from, 0, bytes);
    left -= bytes;
    spin_unlock(&lock);
}

void random_bytes(void *to, size_t bytes) {
    u32 own[KEY_WORDS], block[BLOCK_WORDS];
    u8 *out = to;

    if (bytes <= sizeof(own)) {
        draw(to, bytes);
        return;
    }
    draw(own, sizeof(own));
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
        left = 0;
        spin_unlock(&lock);
        in += some;
        bytes -= some;
    }
}
