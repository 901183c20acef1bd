/* deadline.h - from a timeout that a system call was given to the monotonic time at which it ends (sys/poll.c). */
#pragma once

#include "lib/base.h"

struct __kernel_timespec;
/* deadline_in: NULL is SLEEP_FOREVER; no time at all is 0: "do not sleep". 0, -EFAULT, -EINVAL. */
int deadline_in(const struct __kernel_timespec __user *timeout, u64 *deadline_ns);
