/* string.c - the C library's memory and string functions that the kernel (and the compiler on its own) calls.
 *
 * Large copies use the string instructions by 8 bytes, which all machines do well and an emulator does eight times
 * faster than by bytes; user memory and whole pages have their own functions (usercopy.c, tlb.c). */
#include "lib/base.h"

static inline void copy_words_up(void **to, const void **from, size_t words) {
    __asm__ volatile("rep movsq" : "+D"(*to), "+S"(*from), "+c"(words) : : "memory");
}

void *memcpy(void *to, const void *from, size_t bytes) {
    void *d = to;
    if (bytes >= 8)
        copy_words_up(&d, &from, bytes / 8);
    size_t rest = bytes % 8;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(rest) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
    if ((u64)to - (u64)from >= bytes)
        return memcpy(to, from, bytes);
    /* to lies inside the source: from the end. By words first, which may overlap each other but not a later read. */
    char *d = (char *)to + bytes;
    const char *s = (const char *)from + bytes;
    for (; bytes >= 8; bytes -= 8) {
        u64 word;
        d -= 8, s -= 8;
        __builtin_memcpy(&word, s, 8);
        __builtin_memcpy(d, &word, 8);
    }
    while (bytes--)
        __asm__ volatile("movb %1, %0" : "=m"(*--d) : "r"(*--s)); /* not a loop that becomes memmove again */
    return to;
}

void *memset(void *to, int byte, size_t bytes) {
    void *d = to;
    size_t words = bytes / 8, rest = bytes % 8;
    u64 pattern = (u8)byte * 0x0101010101010101UL;
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
    const u8 *x = a, *y = b;
    for (; bytes >= 8; bytes -= 8, x += 8, y += 8) {
        u64 wx, wy;
        __builtin_memcpy(&wx, x, 8);
        __builtin_memcpy(&wy, y, 8);
        if (wx != wy)
            break;
    }
    for (; bytes; bytes--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

/* Eight bytes at a time: where a byte of x is 0, its top bit is the lowest one set in (x - 1s) & ~x & top bits. */
void *memchr(const void *s, int byte, size_t bytes) {
    const u64 ones = 0x0101010101010101UL, tops = ones << 7, pattern = (u8)byte * ones;
    const u8 *p = s;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        u64 x;
        __builtin_memcpy(&x, p, 8);
        x ^= pattern;
        x = (x - ones) & ~x & tops;
        if (x)
            return (void *)(p + __builtin_ctzl(x) / 8);
    }
    for (; bytes--; p++)
        if (*p == (u8)byte)
            return (void *)p;
    return NULL;
}

size_t strlen(const char *s) {
    const char *p = s;
    while (*p)
        p++;
    return p - s;
}

size_t strnlen(const char *s, size_t most) {
    const char *end = memchr(s, 0, most);
    return end ? (size_t)(end - s) : most;
}

int strcmp(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t most) {
    while (most && *a && *a == *b)
        a++, b++, most--;
    return most ? (u8)*a - (u8)*b : 0;
}

char *strchr(const char *s, int c) {
    while (*s != (char)c)
        if (!*s++)
            return NULL;
    return (char *)s;
}

char *strrchr(const char *s, int c) {
    const char *found = NULL;
    do {
        if (*s == (char)c)
            found = s;
    } while (*s++);
    return (char *)found;
}

char *strstr(const char *s, const char *what) {
    size_t bytes = strlen(what);
    for (; strncmp(s, what, bytes); s++)
        if (!*s)
            return NULL;
    return (char *)s;
}
