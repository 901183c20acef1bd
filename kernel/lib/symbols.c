/* symbols.c - the names of the kernel's functions, for stack traces.
 *
 * The tables come from kernel/lib/symbols.awk, run over the image that was linked without them, and are linked last in
 * the read-only data of the second link, so no function moves. Until then (weak, absent) no name is known. */
#include "arch/x86_64/x86.h"

extern const u32 symbol_count __attribute__((weak));
extern const u32 symbol_offsets[] __attribute__((weak)); /* from _text, sorted */
extern const char symbol_names[] __attribute__((weak));  /* in the same order, each with its 0 */

const char *symbol_find(u64 address, u64 *offset) {
    if (!symbol_offsets || address < (u64)_text || address >= (u64)_text_end)
        return NULL;
    u32 at = (u32)(address - (u64)_text), low = 0, high = symbol_count;
    while (low < high) { /* the first symbol past `at` */
        u32 middle = (low + high) / 2;
        if (symbol_offsets[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    const char *name = symbol_names;
    for (u32 i = 1; i < low; i++)
        name += strlen(name) + 1;
    *offset = at - symbol_offsets[low - 1];
    return name;
}
