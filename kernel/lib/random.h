/* random.h - unpredictable bytes: for layouts, getrandom(2), /dev/urandom, the 16 bytes of AT_RANDOM. */
#pragma once

#include "lib/base.h"

void random_bytes(void *to, size_t bytes); /* any context but interrupts; a short lock for each call */
u64 random_u64(void);
void random_seed(const void *from, size_t bytes); /* mix in; what is there does not get weaker */
