/* text.c - growing text (text.h). */
#include "fs/text.h"
#include "vm/slab.h"

/* Room for `more` bytes and a final 0. */
static bool reserve(struct text *t, size_t more) {
    size_t room = max(t->room, (size_t)256);
    if (t->error)
        return false;
    if (t->bytes + more < t->room)
        return true;
    while (room <= t->bytes + more)
        room *= 2;
    char *larger = kmalloc(room);
    if (!larger) {
        t->error = -ENOMEM;
        return false;
    }
    memcpy(larger, t->buffer ? t->buffer : "", t->bytes);
    kfree(t->buffer);
    t->buffer = larger;
    t->room = room;
    return true;
}

void text_print(struct text *t, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t left = t->room - t->bytes;
    size_t length = kvsnprintf(t->buffer ? t->buffer + t->bytes : NULL, left, format, args);
    if (length >= left && reserve(t, length))
        kvsnprintf(t->buffer + t->bytes, t->room - t->bytes, format, again);
    if (!t->error)
        t->bytes += length;
    va_end(again);
    va_end(args);
}

void text_add(struct text *t, const char *from, size_t bytes) {
    if (!reserve(t, bytes))
        return;
    memcpy(t->buffer + t->bytes, from, bytes);
    t->bytes += bytes;
}

void text_string(struct text *t, const char *s) { text_add(t, s, strlen(s)); }

void text_escaped(struct text *t, const char *s, const char *which) {
    for (; *s; s++) {
        if (*s == '\\' || strchr(which, *s))
            text_print(t, "\\%03o", (unsigned char)*s);
        else
            text_add(t, s, 1);
    }
}

void text_pad(struct text *t, size_t line_start, size_t column) {
    while (!t->error && t->bytes < line_start + column)
        text_add(t, " ", 1);
}

void text_cpus(struct text *t, u64 count) {
    if (count > 1)
        text_print(t, "0-%lu", (unsigned long)count - 1);
    else
        text_string(t, "0");
}

void text_free(struct text *t) {
    kfree(t->buffer);
    *t = (struct text){0};
}
