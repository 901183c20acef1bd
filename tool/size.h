/* size.h - sizes and durations as people type them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "64M" -> bytes; units are binary: K, M, G, T, with or without "iB" or "B"; without a unit: bytes. False when it is no
 * size. */
bool size_parse(const char *text, uint64_t *bytes);

/* The shortest exact way to write it: 64M, 4100K, 12345. `out` has room for 24. */
const char *size_text(uint64_t bytes, char *out);

/* "2.5", "10s", "3m", "1h" -> nanoseconds, more than 0. False when it is no duration. */
bool duration_parse(const char *text, uint64_t *ns);
