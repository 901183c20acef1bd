/* lz.h - LZ4's block format: a page made smaller, and a page again. Pure functions. */
#pragma once

#include "lib/base.h"

#define LZ_TABLE 2048u /* entries of what the compressor remembers */

/* lz_compress: how many bytes of `out` it took; 0: they would not fit into `room`. 16 <= bytes <= 64 KiB. */
size_t lz_compress(const u8 *in, size_t bytes, u8 *out, size_t room, u16 *table);
/* lz_expand: false: `in` is nothing that makes exactly so many bytes. Reads and writes nothing outside the two. */
bool lz_expand(const u8 *in, size_t bytes, u8 *out, size_t room);
