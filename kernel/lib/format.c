/* format.c - printf's formats into a buffer: d i u x X o c s p %, flags - 0 + space #, width, precision, *, hh h l ll z
 * j t.
 *
 * No floating point, no %n. The result is cut at the buffer's size and always ends with 0; the returned length is the
 * uncut one, as in C. */
#include "lib/base.h"

struct output {
    char *buffer;
    size_t size, length; /* length may run past size */
};

struct spec {
    bool left, zero, plus, space, alternate;
    int width, precision; /* precision -1: none */
    int bytes;            /* of an integer argument */
};

static void put(struct output *o, char c) {
    if (o->length + 1 < o->size)
        o->buffer[o->length] = c;
    o->length++;
}

static void put_repeated(struct output *o, char c, int count) {
    while (count-- > 0)
        put(o, c);
}

static void put_text(struct output *o, const struct spec *spec, const char *text) {
    if (!text)
        text = "(null)";
    int length = spec->precision >= 0 ? strnlen(text, spec->precision) : strlen(text);
    if (!spec->left)
        put_repeated(o, ' ', spec->width - length);
    for (int i = 0; i < length; i++)
        put(o, text[i]);
    if (spec->left)
        put_repeated(o, ' ', spec->width - length);
}

static void put_number(struct output *o, const struct spec *spec, u64 value, unsigned base, const char *prefix,
                       bool upper) {
    char digits[24]; /* 2^64 in octal has 22 */
    int count = 0;
    for (; value; value /= base)
        digits[count++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
    int wanted = spec->precision >= 0 ? spec->precision : 1;
    int zeros = max(wanted - count, 0);
    int padding = spec->width - (int)strlen(prefix) - zeros - count;
    if (spec->zero && !spec->left && spec->precision < 0 && padding > 0) {
        zeros += padding;
        padding = 0;
    }
    if (!spec->left)
        put_repeated(o, ' ', padding);
    while (*prefix)
        put(o, *prefix++);
    put_repeated(o, '0', zeros);
    while (count)
        put(o, digits[--count]);
    if (spec->left)
        put_repeated(o, ' ', padding);
}

static void put_signed(struct output *o, const struct spec *spec, s64 value) {
    const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";
    put_number(o, spec, value < 0 ? 0 - (u64)value : (u64)value, 10, sign, false);
}

static u64 cut(u64 value, int bytes, bool is_signed) {
    int shift = 64 - 8 * bytes;
    return is_signed ? (u64)((s64)(value << shift) >> shift) : value << shift >> shift;
}

static const char *parse_number(const char *f, int *out) {
    int n = 0;
    while (*f >= '0' && *f <= '9' && n < 100000)
        n = n * 10 + *f++ - '0';
    *out = n;
    return f;
}

static const char *parse_flags(const char *f, struct spec *spec) {
    for (;; f++) {
        if (*f == '-')
            spec->left = true;
        else if (*f == '0')
            spec->zero = true;
        else if (*f == '+')
            spec->plus = true;
        else if (*f == ' ')
            spec->space = true;
        else if (*f == '#')
            spec->alternate = true;
        else
            return f;
    }
}

static const char *parse_length(const char *f, struct spec *spec) {
    spec->bytes = 4;
    if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't') {
        spec->bytes = 8;
        f += f[0] == 'l' && f[1] == 'l' ? 2 : 1;
    } else if (*f == 'h') {
        spec->bytes = f[1] == 'h' ? 1 : 2;
        f += f[1] == 'h' ? 2 : 1;
    }
    return f;
}

/* The conversions that print the 64-bit `value`; false: not one of them. */
static bool convert(struct output *o, struct spec *spec, char conversion, u64 value) {
    u64 bits = cut(value, spec->bytes, false);
    switch (conversion) {
    case 'd':
    case 'i':
        put_signed(o, spec, (s64)cut(value, spec->bytes, true));
        return true;
    case 'u':
        put_number(o, spec, bits, 10, "", false);
        return true;
    case 'x':
    case 'X':
        put_number(o, spec, bits, 16, spec->alternate && bits ? "0x" : "", conversion == 'X');
        return true;
    case 'o':
        put_number(o, spec, bits, 8, spec->alternate && bits ? "0" : "", false);
        return true;
    case 'p':
        put_number(o, spec, value, 16, "0x", false);
        return true;
    case 'c':
        put_text(o, spec, (char[]){(char)value, 0});
        return true;
    default:
        return false;
    }
}

int kvsnprintf(char *buffer, size_t size, const char *f, va_list args_given) {
    struct output o = {buffer, size, 0};
    va_list args;
    va_copy(args, args_given);
    for (; *f; f++) {
        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        const char *start = f++;
        struct spec spec = {.precision = -1};
        f = parse_flags(f, &spec);
        if (*f == '*') {
            spec.width = va_arg(args, int);
            spec.left |= spec.width < 0;
            spec.width = spec.width < 0 ? -spec.width : spec.width;
            f++;
        } else {
            f = parse_number(f, &spec.width);
        }
        if (*f == '.' && *++f == '*')
            spec.precision = va_arg(args, int), f++;
        else if (f[-1] == '.')
            f = parse_number(f, &spec.precision);
        f = parse_length(f, &spec);
        if (*f == '%')
            put(&o, '%');
        else if (*f == 's')
            put_text(&o, &spec, va_arg(args, const char *));
        else if (!*f || !convert(&o, &spec, *f, *f == 'p' || spec.bytes == 8 ? va_arg(args, u64) : va_arg(args, u32))) {
            put(&o, '%'); /* unknown: show it as it is */
            f = start;
        }
    }
    va_end(args);
    if (size)
        buffer[min(o.length, size - 1)] = 0;
    return (int)o.length;
}

int ksnprintf(char *buffer, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = kvsnprintf(buffer, size, format, args);
    va_end(args);
    return length;
}
