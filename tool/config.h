/* config.h - the configuration message: all that the guest must know about the program it is to run. */
#pragma once

#include "options.h"

#include <stddef.h>
#include <stdint.h>

/* `ignored`: signals the program starts with ignored, bit N-1 for N. Returns the payload of WIRE_CONFIG, to be freed by
 * the caller. */
char *config_make(const struct options *options, uint64_t ignored, size_t *bytes);
