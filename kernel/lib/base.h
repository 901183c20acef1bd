/* base.h - the words every file of the kernel uses: fixed-size integers, error pointers, lists, assertions, printing.
 *
 * Compiles in the kernel and, for kernel/vm, on the host: nothing here knows a machine. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/errno.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
#ifndef QUIRE_HOSTED
typedef long ssize_t;
#endif

/* Errors that never reach a user: the signal code turns them into EINTR or into a restart (signal(7)). */
#define ERESTARTSYS 512           /* restart if the handler has SA_RESTART, or none runs */
#define ERESTARTNOINTR 513        /* always restart */
#define ERESTARTNOHAND 514        /* restart only if no handler runs */
#define ERESTART_RESTARTBLOCK 516 /* restart through restart_syscall with adjusted arguments */

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define page_align_up(bytes) (((bytes) + PAGE_SIZE - 1) & PAGE_MASK)

#define KiB (1UL << 10)
#define MiB (1UL << 20)
#define GiB (1UL << 30)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define array_count(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define min(a, b)                                                                                                      \
    ({                                                                                                                 \
        __auto_type a_ = (a);                                                                                          \
        __auto_type b_ = (b);                                                                                          \
        a_ < b_ ? a_ : b_;                                                                                             \
    })
#define max(a, b)                                                                                                      \
    ({                                                                                                                 \
        __auto_type a_ = (a);                                                                                          \
        __auto_type b_ = (b);                                                                                          \
        a_ > b_ ? a_ : b_;                                                                                             \
    })
#define align_up(x, a) (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define align_down(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define noreturn __attribute__((noreturn))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define must_check __attribute__((warn_unused_result))
#define unused __attribute__((unused))

/* A pointer that addresses user memory: never dereferenced, only handed to the checked copies of usercopy.h. */
#define __user

/* Error pointers: the last page of the address space is never mapped, so -errno fits in a pointer. */
static inline void *err_ptr(long error) { return (void *)error; }
static inline long ptr_err(const void *p) { return (long)p; }
static inline bool is_err(const void *p) { return (unsigned long)p >= (unsigned long)-4095L; }

/* panic: a broken invariant of our own. Prints the values and a stack trace, ends the machine. Never for what came from
 * outside. */
noreturn void panic(const char *format, ...) printf_like(1, 2);
/* kprintf: one line of the kernel's log, never mixed with the program's output. The text starts with a level, "<6>".
 * Level 5 and below reach the user's stderr as "quire: TEXT"; 6 and 7 only with -v. No newline at the end means: line
 * continues. */
int kprintf(const char *format, ...) printf_like(1, 2);
int ksnprintf(char *buffer, size_t size, const char *format, ...) printf_like(3, 4);
int kvsnprintf(char *buffer, size_t size, const char *format, va_list args);
#define LOG_ERR "<3>"
#define LOG_WARNING "<4>"
#define LOG_NOTICE "<5>"
#define LOG_INFO "<6>"
#define LOG_DEBUG "<7>"

#define assert(condition)                                                                                              \
    do {                                                                                                               \
        if (unlikely(!(condition)))                                                                                    \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition);                                      \
    } while (0)
/* assert_eq prints both values, which is what a panic is read for. */
#define assert_eq(a, b)                                                                                                \
    do {                                                                                                               \
        u64 va_ = (u64)(a), vb_ = (u64)(b);                                                                            \
        if (unlikely(va_ != vb_))                                                                                      \
            panic("%s:%d: %s (%#lx) != %s (%#lx)", __FILE__, __LINE__, #a, (unsigned long)va_, #b,                     \
                  (unsigned long)vb_);                                                                                 \
    } while (0)

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
void *memchr(const void *s, int byte, size_t bytes);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t most);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);

/* Doubly linked lists with a head; an unlinked node points to itself. */
struct list {
    struct list *next, *prev;
};
#define LIST_INIT(name)                                                                                                \
    { &(name), &(name) }
static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_add(struct list *head, struct list *node) {
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}
static inline void list_add_tail(struct list *head, struct list *node) { list_add(head->prev, node); }
static inline void list_del(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(pos, head, member)                                                                               \
    for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);                             \
         pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, tmp, head, member)                                                                     \
    for (pos = list_entry((head)->next, __typeof__(*pos), member),                                                     \
        tmp = list_entry(pos->member.next, __typeof__(*pos), member);                                                  \
         &pos->member != (head); pos = tmp, tmp = list_entry(pos->member.next, __typeof__(*pos), member))

/* Atomics, by the compiler's builtins; the memory order is in the name where it is not sequential. */
#define atomic_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST) /* returns the new value */
#define atomic_sub(p, v) __atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_or(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)   /* returns the old value */
#define atomic_and(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST) /* returns the old value */
#define atomic_xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
/* atomic_hint_add: for a count that its lock protects and others read without it, as a hint. A plain addition is one
 * instruction, and its store is whole; ThreadSanitizer is told what is meant. */
#ifdef __SANITIZE_THREAD__
#define atomic_hint_add(p, v) __atomic_store_n((p), *(p) + (v), __ATOMIC_RELAXED)
#else
#define atomic_hint_add(p, v) (*(p) += (v))
#endif
#define atomic_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define atomic_cas(p, old, new)                                                                                        \
    ({                                                                                                                 \
        __typeof__(*(p)) old_ = (old);                                                                                 \
        __atomic_compare_exchange_n((p), &old_, (new), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                     \
    })
