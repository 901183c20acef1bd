/* futex.h - waiting on a word of user memory: what sys/futex.c asks of futex.c. */
#pragma once

#include "lib/base.h"

/* All: -EFAULT for a bad address. May sleep. shared: the word may be mapped by other spaces too. */
/* futex_wait: sleep while the word has this value. 0 woken, -EAGAIN another value, -ETIMEDOUT, -EINTR. */
int futex_wait(u64 word, bool shared, u32 value, u32 bitset, u64 deadline_ns);
long futex_wake(u64 word, bool shared, u32 most, u32 bitset); /* how many woke */
/* futex_requeue: wake up to wake_most, move up to move_most of the rest to word2. compare: -EAGAIN unless the word is
 * *compare. */
long futex_requeue(u64 word, u64 word2, bool shared, u32 wake_most, u32 move_most, const u32 *compare);
long futex_wake_op(u64 word, u64 word2, bool shared, u32 most, u32 most2,
                   u32 operation); /* -ENOSYS: no such operation */
