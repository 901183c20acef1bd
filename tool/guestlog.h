/* guestlog.h - the kernel's log, as it comes out of the debug console: lines "<LEVEL>text". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct guestlog {
    bool verbose, quiet;
    bool panicked; /* a panic report began: everything is printed from here on */
    char line[4096];
    size_t used;
};

/* Takes bytes as they come, says the lines that the user wants to see. */
void guestlog_take(struct guestlog *log, const char *bytes, size_t count);

/* The machine ended: a line without an end is said too. */
void guestlog_end(struct guestlog *log);
