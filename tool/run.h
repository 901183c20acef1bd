/* run.h - one run of a program, from its options to its exit status. */
#pragma once

#include "options.h"

/* Returns the exit status of the command. Everything it started is gone when it returns. */
int run(const struct options *options);

/* Boots and ends at HELLO, for doctor: the time it took in ns, or 0 when it did not come up (said on stderr). */
unsigned long long run_boot(const struct options *options, bool kvm);
