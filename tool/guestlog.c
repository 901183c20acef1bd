/* guestlog.c - the kernel's log: what of it the user sees.
 *
 * Levels are those of syslog: up to 4 (warning) always; 5 (notice) unless -q; all with -v. The report of a panic is
 * said whole, whatever the levels of its lines. */
#include "guestlog.h"
#include "say.h"

#include <string.h>

#define LEVEL_WARNING 4
#define LEVEL_NOTICE 5
#define LEVEL_UNMARKED 6

static void line_end(struct guestlog *log) {
    const char *text = log->line;
    int level = LEVEL_UNMARKED;
    log->line[log->used] = '\0';
    if (log->used >= 3 && text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>') {
        level = text[1] - '0';
        text += 3;
    }
    log->panicked |= level == 0 && strncmp(text, "panic:", 6) == 0;
    int most = log->verbose ? 7 : log->quiet ? LEVEL_WARNING : LEVEL_NOTICE;
    if (log->panicked || level <= most)
        say("%s", text);
    log->used = 0;
}

void guestlog_take(struct guestlog *log, const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n' || log->used == sizeof log->line - 1)
            line_end(log);
        if (bytes[i] != '\n' && bytes[i] != '\r')
            log->line[log->used++] = bytes[i];
    }
}

void guestlog_end(struct guestlog *log) {
    if (log->used)
        line_end(log);
}
