/* sim.h - `quire sim`: replacement policies over a recorded trace. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

int sim_main(int argc, char **argv); /* the words after `sim`, with it */

bool policy_known(const char *name);
/* The names of all policies, for a message. */
void policy_names(char *out, size_t room);
