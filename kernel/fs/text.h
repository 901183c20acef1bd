/* text.h - growing text: what the files of /proc and /sys say, made when they are read.
 *
 * A long file is made piece by piece: its maker adds lines until text_full, notes in `cursor` where it stopped and sets
 * `more`; it is called again, with the same cursor, when the reader has come to the end of the piece. */
#pragma once

#include "lib/base.h"

struct text {
    char *buffer; /* kmalloc'ed */
    size_t bytes, room;
    u64 base;   /* the file's position of buffer[0] */
    u64 cursor; /* the maker's own; 0 at first */
    bool more;  /* the maker has not come to its end */
    int error;  /* -ENOMEM: what was added after it is lost */
};
#define TEXT_PIECE (64 * KiB)

static inline bool text_full(const struct text *t) { return t->bytes >= TEXT_PIECE || t->error; }
void text_print(struct text *t, const char *format, ...) printf_like(2, 3);
void text_add(struct text *t, const char *from, size_t bytes);
void text_string(struct text *t, const char *s);
/* text_escaped: with \ooo in place of the characters of `which` and of backslashes (names in maps and mounts). */
void text_escaped(struct text *t, const char *s, const char *which);
void text_pad(struct text *t, size_t line_start,
              size_t column);              /* spaces up to the column; line_start: t->bytes there */
void text_cpus(struct text *t, u64 count); /* "0-3" or "0" */
void text_free(struct text *t);
