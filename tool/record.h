/* record.h - the file of --trace: what the guest's recorder sends, as it comes (kernel/lib/trace.h). */
#pragma once

#include <stddef.h>

/* record_open: make the file, or fail (say.h); NULL: none is wanted, and the others do nothing. */
void record_open(const char *file);
/* record_take: write what came. What cannot be written is said once; then nothing more is recorded. */
void record_take(const char *words, size_t bytes);
void record_close(void);
