/* log.h - the log's inner side, for panic and boot. Others call kprintf (base.h). */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"

void log_set_level(unsigned most); /* lines above this level are dropped; LOG_INFO's at first */
void log_force(void);              /* panic: whoever writes now is stopped; take no lock any more */

#define LOG_RING 8192 /* bytes that are kept; a power of two */
/* What was logged lately. log_line: the oldest line that is kept and whose number is at least that; false: none yet.
 * log_end: the number that the next one will have. log_readers: woken when there is one. */
#define LOG_LINE 400 /* on the stack of any caller of kprintf; longer text is cut */
struct log_line {
    u64 number, us;
    unsigned level;
    size_t bytes;
    char text[LOG_LINE];
};
bool log_line(u64 number, struct log_line *out);
u64 log_end(void);
extern struct waitq log_readers;
extern u64 log_cleared; /* [a] lines before this number are not shown by dmesg any more */
