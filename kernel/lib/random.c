/* random.c - the random generator: ChaCha20 (RFC 8439, section 2.3) with fast key erasure.
 *
 * There is one key. Each request takes, under the lock, one block of key stream: its first half becomes the new key,
 * its second half is the request's own key, expanded without the lock. So what was given out cannot be computed from
 * what is left, and requests do not wait for each other's bytes. */
#include "arch/x86_64/cpu.h"
#include "lib/random.h"
#include "lib/sync.h"

static struct spin lock = SPIN_INIT;
static u32 key[8]; /* under lock */

struct block {
    u32 words[16];
};

static u32 rotate(u32 x, unsigned by) { return x << by | x >> (32 - by); }

static void quarter(u32 *a, u32 *b, u32 *c, u32 *d) {
    *a += *b, *d = rotate(*d ^ *a, 16);
    *c += *d, *b = rotate(*b ^ *c, 12);
    *a += *b, *d = rotate(*d ^ *a, 8);
    *c += *d, *b = rotate(*b ^ *c, 7);
}

/* One block of key stream. */
static void chacha(const u32 *with, u32 counter, struct block *out) {
    u32 start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, *x = out->words; /* "expand 32-byte k" */
    memcpy(start + 4, with, 32);
    start[12] = counter;
    memcpy(x, start, sizeof(start));
    for (unsigned round = 0; round < 20; round += 2) {
        for (unsigned i = 0; i < 4; i++)
            quarter(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
        for (unsigned i = 0; i < 4; i++)
            quarter(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4], &x[12 + (i + 3) % 4]);
    }
    for (unsigned i = 0; i < 16; i++)
        x[i] += start[i];
}

void random_seed(const void *seed, size_t bytes) {
    struct block b;
    spin_lock(&lock);
    for (size_t i = 0; i < bytes; i++) {
        ((u8 *)key)[i % sizeof(key)] ^= ((const u8 *)seed)[i];
        if (i % sizeof(key) == sizeof(key) - 1 || i == bytes - 1) {
            chacha(key, 0, &b);
            memcpy(key, b.words, sizeof(key));
        }
    }
    spin_unlock(&lock);
}

void random_bytes(void *out, size_t bytes) {
    struct block b;
    u32 own[8];
    char *to = out;

    spin_lock(&lock);
    key[0] ^= (u32)cpu_random(); /* costs little, and helps if the seed was poor */
    chacha(key, 0, &b);
    memcpy(key, b.words, sizeof(key));
    memcpy(own, b.words + 8, sizeof(own));
    spin_unlock(&lock);
    for (u32 counter = 1; bytes; counter++) {
        size_t some = min(bytes, sizeof(b));
        chacha(own, counter, &b);
        memcpy(to, b.words, some);
        to += some;
        bytes -= some;
    }
    memset(&b, 0, sizeof(b));
    __asm__ volatile("" ::"r"(&b), "r"(own) : "memory"); /* the wiping must happen */
}
