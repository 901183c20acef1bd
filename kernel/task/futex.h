/* futex.h - waiting on a word of user memory: what sys/futex.c asks of futex.c. */
#pragma once

#include "lib/base.h"

struct futex_key;
struct task;

/* All: -EFAULT for a bad address. May sleep. shared: the word may be mapped by other spaces too. */
/* futex_wait: sleep while the word has this value. 0 woken, -EAGAIN another value, -ETIMEDOUT, -EINTR. */
int futex_wait(u64 word, bool shared, u32 value, u32 bitset, u64 deadline_ns);
long futex_wake(u64 word, bool shared, u32 most, u32 bitset); /* how many woke */
/* futex_requeue: wake up to wake_most, move up to move_most of the rest to word2. compare: -EAGAIN unless the word is
 * *compare. */
long futex_requeue(u64 word, u64 word2, bool shared, u32 wake_most, u32 move_most, const u32 *compare);
/* futex_wait_many: until one of the words is woken: its index. -EAGAIN: a word has another value. */
#define FUTEX_WAIT_MANY_MOST 128
struct futex_wanted {
    u64 word;
    u32 value;
    bool shared;
};
long futex_wait_many(const struct futex_wanted *wanted, unsigned count, u64 deadline_ns);
int futex_key_of(u64 word, bool shared, struct futex_key *key);
bool futex_waits(const struct futex_key *key); /* somebody waits there for a wake */

/* futex_pi.c: locks that name their owner. -EDEADLK: the caller has it, or would wait for itself; -ESRCH: the owner is
 * no more; -EPERM: not the caller's to unlock; -EAGAIN: only tried; -ETIMEDOUT; -ERESTARTNOINTR. */
int futex_lock_pi(u64 word, bool shared, bool only_try, u64 deadline_ns);
bool futex_pi_waits(const struct futex_key *key); /* somebody waits for a lock that names its owner, or is to */
int futex_unlock_pi(u64 word, bool shared);
/* futex_wait_requeue_pi: sleep while word has this value until futex_requeue_pi, which moves up to `most` such waiters,
 * has made the lock word2 ours. -EAGAIN: another value, or a signal after it was moved. Moved: how many; -EINVAL: they
 * wait for another lock, or for a wake. */
int futex_wait_requeue_pi(u64 word, u64 word2, bool shared, u32 value, u64 deadline_ns);
long futex_requeue_pi(u64 word, u64 word2, bool shared, u32 most, u32 value);
void futex_pi_task_exit(struct task *t);

long futex_wake_op(u64 word, u64 word2, bool shared, u32 most, u32 most2,
                   u32 operation); /* -ENOSYS: no such operation */
