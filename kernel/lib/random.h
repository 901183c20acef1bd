/* random.h - random bytes that nobody can predict or reconstruct: for /dev/urandom, getrandom, AT_RANDOM, the layout.
 */
#pragma once

#include "lib/base.h"

void random_seed(const void *seed, size_t bytes); /* mixes in; the first call comes at boot, from the command */
void random_bytes(void *out, size_t bytes);       /* any context but interrupts; does not sleep */
static inline u64 random_u64(void) {
    u64 value;
    random_bytes(&value, sizeof(value));
    return value;
}
