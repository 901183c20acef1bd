/* usercopy.c - the checked copies: each instruction that may fault has a landing pad (ASM_FIXUP), SMAP is open around
 * it.
 *
 * Words first, then bytes. When a word faults for good, the rest is tried by bytes, so that the count of what was not
 * copied is exact. */
#include "arch/x86_64/usercopy.h"
#include "arch/x86_64/x86.h"

#define CHUNK 128 /* strncpy_from_user reads ahead this much, within a page */

static bool range_ok(const void __user *p, size_t bytes) { return bytes <= USER_TOP && (u64)p <= USER_TOP - bytes; }

/* Returns the bytes not copied. One of the two addresses is the user's. */
static size_t copy(void *to, const void *from, size_t bytes) {
    size_t words = cpu_has.erms && bytes >= 256 ? 0 : bytes / 8, rest = bytes - words * 8;
    __asm__ volatile(ASM_STAC "1: rep movsq\n"
                              "   mov %[rest], %%rcx\n"
                              "2: rep movsb\n"
                              "3:\n" ASM_CLAC ".pushsection .text.unlikely, \"ax\"\n"
                              "4: lea (%[rest], %%rcx, 8), %%rcx\n"
                              "   jmp 2b\n"
                              ".popsection\n" ASM_FIXUP("1b", "4b") ASM_FIXUP("2b", "3b")
                     : "+&D"(to), "+&S"(from), "+&c"(words)
                     : [rest] "r"(rest)
                     : "memory");
    return words; /* rcx */
}

static size_t clear(void *to, size_t bytes) {
    size_t words = bytes / 8, rest = bytes % 8;
    __asm__ volatile(ASM_STAC "1: rep stosq\n"
                              "   mov %[rest], %%rcx\n"
                              "2: rep stosb\n"
                              "3:\n" ASM_CLAC ".pushsection .text.unlikely, \"ax\"\n"
                              "4: lea (%[rest], %%rcx, 8), %%rcx\n"
                              "   jmp 2b\n"
                              ".popsection\n" ASM_FIXUP("1b", "4b") ASM_FIXUP("2b", "3b")
                     : "+&D"(to), "+&c"(words)
                     : [rest] "r"(rest), "a"(0)
                     : "memory");
    return words;
}

/* The most frequent sizes, by one instruction. They return whether it went well. */
#define DEFINE_SMALL(type, bytes)                                                                                      \
    static bool load##bytes(void *to, const void __user *from) {                                                       \
        type value = 0;                                                                                                \
        u32 bad = 0;                                                                                                   \
        __asm__ volatile(ASM_STAC "1: mov (%2), %0\n2:\n" ASM_CLAC ".pushsection .text.unlikely, \"ax\"\n"             \
                                  "3: mov $1, %1\n   jmp 2b\n.popsection\n" ASM_FIXUP("1b", "3b")                      \
                         : "+&r"(value), "+&r"(bad)                                                                    \
                         : "r"(from)                                                                                   \
                         : "memory");                                                                                  \
        __builtin_memcpy(to, &value, bytes);                                                                           \
        return !bad;                                                                                                   \
    }                                                                                                                  \
    static bool store##bytes(void __user *to, const void *from) {                                                      \
        type value;                                                                                                    \
        u32 bad = 0;                                                                                                   \
        __builtin_memcpy(&value, from, bytes);                                                                         \
        __asm__ volatile(ASM_STAC "1: mov %1, (%2)\n2:\n" ASM_CLAC ".pushsection .text.unlikely, \"ax\"\n"             \
                                  "3: mov $1, %0\n   jmp 2b\n.popsection\n" ASM_FIXUP("1b", "3b")                      \
                         : "+&r"(bad)                                                                                  \
                         : "r"(value), "r"(to)                                                                         \
                         : "memory");                                                                                  \
        return !bad;                                                                                                   \
    }
DEFINE_SMALL(u32, 4)
DEFINE_SMALL(u64, 8)

size_t copy_from_user_partial(void *to, const void __user *from, size_t bytes) {
    return range_ok(from, bytes) ? copy(to, from, bytes) : bytes;
}

size_t copy_to_user_partial(void __user *to, const void *from, size_t bytes) {
    return range_ok(to, bytes) ? copy(to, from, bytes) : bytes;
}

size_t clear_user_partial(void __user *to, size_t bytes) { return range_ok(to, bytes) ? clear(to, bytes) : bytes; }

int copy_from_user(void *to, const void __user *from, size_t bytes) {
    bool good = range_ok(from, bytes);
    if (good && bytes == 8)
        good = load8(to, from);
    else if (good && bytes == 4)
        good = load4(to, from);
    else if (good)
        good = !copy(to, from, bytes);
    return good ? 0 : -EFAULT;
}

int copy_to_user(void __user *to, const void *from, size_t bytes) {
    bool good = range_ok(to, bytes);
    if (good && bytes == 8)
        good = store8(to, from);
    else if (good && bytes == 4)
        good = store4(to, from);
    else if (good)
        good = !copy(to, from, bytes);
    return good ? 0 : -EFAULT;
}

int clear_user(void __user *to, size_t bytes) { return clear_user_partial(to, bytes) ? -EFAULT : 0; }

/* By pieces that do not cross a page, so that nothing past the string's own pages is touched. */
ssize_t strncpy_from_user(char *to, const char __user *from, size_t size) {
    size_t done = 0;
    ssize_t result = -EFAULT;
    while (done < size && (u64)from + done < USER_TOP) {
        size_t most = min(min(size - done, (size_t)CHUNK), PAGE_SIZE - (((u64)from + done) & ~PAGE_MASK));
        if (copy(to + done, from + done, most))
            break;
        const char *end = memchr(to + done, 0, most);
        if (end) {
            result = end - to;
            break;
        }
        done += most;
    }
    return result < 0 && done == size ? (ssize_t)size : result;
}

int user_load_u32(const u32 __user *p, u32 *value) { return copy_from_user(value, p, 4); }

int user_cmpxchg_u32(u32 __user *p, u32 expected, u32 desired, u32 *old) {
    u32 bad = 0;
    if (!range_ok(p, 4))
        return -EFAULT;
    __asm__ volatile(ASM_STAC "1: lock cmpxchg %3, (%2)\n2:\n" ASM_CLAC ".pushsection .text.unlikely, \"ax\"\n"
                              "3: mov $1, %1\n   jmp 2b\n.popsection\n" ASM_FIXUP("1b", "3b")
                     : "+&a"(expected), "+&r"(bad)
                     : "r"(p), "r"(desired)
                     : "memory");
    *old = expected;
    return bad ? -EFAULT : 0;
}
