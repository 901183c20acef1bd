/* say.h - the command's own words: one line each on stderr, "quire: TEXT". */
#pragma once

#include <stdbool.h>

/* The command's own failure; 126 and 127 are the program's that cannot be executed or is not there, 124 a time-out. */
#define EXIT_QUIRE 125
#define EXIT_TIMEOUT 124

/* One line on stderr. May block where stderr does: while a program runs, say_through() makes lines take turns with its
 * output. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* say() and exit with EXIT_QUIRE. For the time before the machine runs: it cleans up nothing but what atexit() does. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on lines go to `print`, which must not block; NULL: to stderr again. */
void say_through(void (*print)(const char *text, unsigned long bytes));

/* A terminal in raw mode needs a carriage return at the end of a line. */
void say_raw(bool raw);

/* Text of any number of lines, without the "quire: " of its own. */
void say_text(const char *text, unsigned long bytes);

/* What was printed on stdout is out: returns `status`. Fails if it is not: half an answer must not look like one. */
int say_printed(int status);
