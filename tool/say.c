/* say.c - the command's own words.
 *
 * Owns: how a line reaches stderr. It does not decide what is worth saying: -q and -v are looked at where the line is
 * made. */
#include "say.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MOST 8192

static void (*printer)(const char *text, unsigned long bytes);
static bool raw_terminal;

void say_through(void (*print)(const char *text, unsigned long bytes)) { printer = print; }

void say_raw(bool raw) { raw_terminal = raw; }

/* Not stdio: a line is one write, so that lines of several processes on one stderr do not mix. */
static void put(const char *text, unsigned long bytes) {
    if (printer) {
        printer(text, bytes);
        return;
    }
    while (bytes > 0) {
        ssize_t n = write(STDERR_FILENO, text, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody to tell */
        text += n;
        bytes -= (unsigned long)n;
    }
}

void say_text(const char *text, unsigned long bytes) {
    if (!raw_terminal) {
        put(text, bytes);
        return;
    }
    while (bytes > 0) {
        char line[LINE_MOST + 2];
        const char *end = memchr(text, '\n', bytes);
        unsigned long taken = end ? (unsigned long)(end - text) : bytes;
        taken = taken > LINE_MOST ? LINE_MOST : taken;
        memcpy(line, text, taken);
        memcpy(line + taken, "\r\n", 2);
        put(line, taken + 2);
        taken += end && text + taken == end;
        text += taken;
        bytes -= taken;
    }
}

static void say_list(const char *format, va_list list) {
    char line[LINE_MOST] = "quire: ";
    int used = (int)strlen(line);
    int n = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, list);
    used = n < 0 ? used : used + n;
    used = used > LINE_MOST - 2 ? LINE_MOST - 2 : used;
    /* It is one line whatever is in the names that it shows, and moves no cursor. */
    for (int i = 0; i < used; i++)
        line[i] = iscntrl((unsigned char)line[i]) && line[i] != '\t' ? '?' : line[i];
    line[used++] = '\n';
    say_text(line, (unsigned long)used);
}

void say(const char *format, ...) {
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
}

void fail(const char *format, ...) {
    va_list list;
    printer = NULL; /* nobody would wait for it any more */
    va_start(list, format);
    say_list(format, list);
    va_end(list);
    exit(EXIT_QUIRE);
}

int say_printed(int status) {
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("cannot print: %s", strerror(errno));
    return status;
}
