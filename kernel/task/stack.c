/* stack.c - a new program's stack: its arguments and environment, and the auxiliary vector.
 *
 *      STACK_TOP - random
 *        8 zero bytes
 *        the file's name                       AT_EXECFN
 *        environment strings                   env_start .. env_end
 *        argument strings                      arg_start .. arg_end
 *        up to 8 KiB of random distance
 *        "x86_64", 16 random bytes             AT_PLATFORM, AT_RANDOM
 *        auxiliary vector
 *        pointers to the environment, NULL
 *        pointers to the arguments, NULL
 *      sp: the number of arguments
 *
 * The strings go from the old space, which is still loaded, to the new one, through one page of the kernel: once to be
 * measured, once to be copied. Another task that changes them meanwhile gets EFAULT. */
#include <linux/auxvec.h>
#include <asm/auxvec.h>

#include "arch/x86_64/usercopy.h"
#include "lib/random.h"
#include "task/exec.h"
#include "task/signal.h"

#define STRING_MOST (128 * KiB)     /* MAX_ARG_STRLEN */
#define ARGUMENTS_LEAST (128 * KiB) /* allowed whatever the limit on the stack is */
#define ARGUMENTS_MOST (6 * MiB)    /* three quarters of the standard stack limit */
#define STACK_SPARE (128 * KiB)     /* mapped below the arguments from the start */
#define RANDOM_BYTES 16
#define CLOCK_TICKS 100

static const char platform[] = "x86_64";

/* writer: bytes in rising order to the new space, a page at a time. */
struct writer {
    struct space *space;
    u64 at;       /* of buffer[0] */
    char *buffer; /* a page */
    size_t filled;
    int error;
};

struct build {
    struct exec *e;
    char *page;          /* strings pass through it */
    unsigned argc, envc; /* with the prefix */
    u64 arg_bytes, env_bytes;
    struct writer strings, vectors;
};

/* ---- writing ---- */

static void writer_flush(struct writer *w) {
    if (w->filled && !w->error && space_copy(w->space, w->at, w->buffer, w->filled, true, false) != (ssize_t)w->filled)
        w->error = -ENOMEM;
    w->at += w->filled;
    w->filled = 0;
}

static void writer_put(struct writer *w, const void *data, size_t bytes) {
    const char *from = data;

    while (bytes) {
        size_t some = min(bytes, PAGE_SIZE - w->filled);

        memcpy(w->buffer + w->filled, from, some);
        w->filled += some;
        from += some;
        bytes -= some;
        if (w->filled == PAGE_SIZE)
            writer_flush(w);
    }
}

static void put_word(struct writer *w, u64 word) { writer_put(w, &word, sizeof(word)); }
static u64 writer_at(const struct writer *w) { return w->at + w->filled; }

/* ---- reading ---- */

/* pointer_of: the i-th string's address, 0 at the end. */
static int pointer_of(const struct exec_strings *s, unsigned i, u64 *pointer) {
    *pointer = 0;
    if (s->kernel) {
        *pointer = (u64)s->kernel[i];
        return 0;
    }
    return s->user ? get_user(*pointer, s->user + i) : 0;
}

/* each_string: measures (w NULL) or copies the string at the pointer; its length with the final 0, -EFAULT, -E2BIG. */
static s64 each_string(struct build *b, bool kernel, u64 pointer, struct writer *w) {
    u64 bytes = 0;

    if (kernel) {
        bytes = strlen((char *)pointer) + 1;
        if (w)
            writer_put(w, (char *)pointer, bytes);
        return bytes > STRING_MOST ? -E2BIG : (s64)bytes;
    }
    while (bytes <= STRING_MOST) {
        ssize_t some = strncpy_from_user(b->page, (char *)pointer + bytes, PAGE_SIZE);
        bool end = some >= 0 && some < (ssize_t)PAGE_SIZE;

        if (some < 0)
            return some;
        if (w)
            writer_put(w, b->page, some + end);
        bytes += some + end;
        if (end)
            return bytes > STRING_MOST ? -E2BIG : (s64)bytes;
    }
    return -E2BIG;
}

static u64 limit_of(void) {
    u64 quarter = process_current()->limits[RLIMIT_STACK].rlim_cur / 4;

    return max(min(quarter, ARGUMENTS_MOST), ARGUMENTS_LEAST);
}

/* all_strings: from the first-th on; measures into *bytes and *count, or copies and writes pointers. */
static int all_strings(struct build *b, const struct exec_strings *s, unsigned first, bool copy, u64 *bytes,
                       unsigned *count) {
    s64 length;

    for (unsigned i = first;; i++) {
        u64 pointer;

        if (pointer_of(s, i, &pointer))
            return -EFAULT;
        if (!pointer)
            return 0;
        if (copy)
            put_word(&b->vectors, writer_at(&b->strings));
        length = each_string(b, s->kernel, pointer, copy ? &b->strings : NULL);
        if (length < 0)
            return length;
        *bytes += length;
        ++*count;
        if (*bytes + *count * sizeof(u64) > limit_of())
            return -E2BIG;
    }
}

/* prefix: the strings that take the place of argv's first ones: a script's interpreter, its argument, the script. */
static void prefix(struct build *b, bool copy, u64 *bytes, unsigned *count) {
    for (unsigned i = b->e->prefix_count; i > 0; i--) {
        char *string = b->e->prefix[i - 1];

        if (copy) {
            put_word(&b->vectors, writer_at(&b->strings));
            writer_put(&b->strings, string, strlen(string) + 1);
        }
        *bytes += strlen(string) + 1;
        ++*count;
    }
}

static int arguments(struct build *b, bool copy, u64 *bytes, unsigned *count) {
    *bytes = *count = 0;
    prefix(b, copy, bytes, count);
    return all_strings(b, b->e->argv, b->e->skip, copy, bytes, count);
}

static int environment(struct build *b, bool copy, u64 *bytes, unsigned *count) {
    *bytes = *count = 0;
    return all_strings(b, b->e->envp, 0, copy, bytes, count);
}

/* ---- the layout ---- */

/* auxv: as Linux orders it. Returns how many words. */
static unsigned auxv(const struct build *b, u64 *v, u64 random, u64 platform_at, u64 name) {
    const struct exec *e = b->e;
    const struct credentials *c = &e->cred;
    const u64 pairs[][2] = {
        {AT_SYSINFO_EHDR, e->vdso},
        {AT_MINSIGSTKSZ, arch_signal_frame_bytes()},
        {AT_HWCAP, arch_hwcap()},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_CLKTCK, CLOCK_TICKS},
        {AT_PHDR, e->phdr},
        {AT_PHENT, 56}, /* sizeof(Elf64_Phdr), the ABI's */
        {AT_PHNUM, e->phdr_count},
        {AT_BASE, e->interpreter_base},
        {AT_FLAGS, 0},
        {AT_ENTRY, e->program_entry},
        {AT_UID, c->uid},
        {AT_EUID, c->euid},
        {AT_GID, c->gid},
        {AT_EGID, c->egid},
        {AT_SECURE, e->secure},
        {AT_RANDOM, random},
        {AT_HWCAP2, arch_hwcap2()},
        {AT_EXECFN, name},
        {AT_PLATFORM, platform_at},
        {AT_NULL, 0},
    };
    _Static_assert(array_count(pairs) <= AUXV_MOST, "space_info keeps it");

    memcpy(v, pairs, sizeof(pairs));
    return sizeof(pairs) / sizeof(u64);
}

/* map_stack: from the lowest byte we write to the top, and some spare. */
static int map_stack(struct exec *e, u64 low, u64 top) {
    u64 start = (low & PAGE_MASK) - STACK_SPARE;
    struct map_request r = {.address = start,
                            .bytes = top - start,
                            .flags = VIEW_READ | VIEW_WRITE | VIEW_GROWSDOWN | VIEW_STACK,
                            .how = MAP_AT_FREE};
    long result;

    if (e->executable_stack)
        r.flags |= VIEW_EXEC;
    result = space_map(e->space, &r);
    return result < 0 ? (int)result : 0;
}

static int copy_in(struct build *b, u64 vectors_at, const u64 *aux, unsigned aux_words) {
    struct space_info *info = space_info(b->e->space);
    u64 bytes;
    unsigned count;
    int error;

    info->arg_start = writer_at(&b->strings);
    put_word(&b->vectors, b->argc);
    error = arguments(b, true, &bytes, &count);
    if (!error && (bytes != b->arg_bytes || count != b->argc))
        error = -EFAULT;
    put_word(&b->vectors, 0);
    info->arg_end = info->env_start = writer_at(&b->strings);
    if (!error)
        error = environment(b, true, &bytes, &count);
    if (!error && (bytes != b->env_bytes || count != b->envc))
        error = -EFAULT;
    put_word(&b->vectors, 0);
    info->env_end = writer_at(&b->strings);
    if (!error)
        writer_put(&b->vectors, aux, aux_words * sizeof(u64));
    return error;
}

/* lay_out: all places are known once the strings are measured. */
static int lay_out(struct build *b) {
    struct exec *e = b->e;
    struct space_info *info = space_info(e->space);
    u64 top = STACK_TOP - exec_random(e, STACK_RANDOM_PAGES), name_bytes = strlen(e->filename) + 1, zeroes = 0;
    u64 name = top - sizeof(u64) - name_bytes, strings = name - b->env_bytes - b->arg_bytes;
    u64 below = align_down(strings - (e->randomise ? random_u64() % 8192 : 0), 16UL);
    u64 platform_at = below - sizeof(platform), random = platform_at - RANDOM_BYTES;
    u64 aux[2 * AUXV_MOST] = {0};
    unsigned words = auxv(b, aux, random, platform_at, name);
    u64 vectors = align_down(random - (words + b->argc + b->envc + 3) * sizeof(u64), 16UL);
    u8 bytes[RANDOM_BYTES];
    int error = map_stack(e, vectors, top);

    if (error)
        return error;
    b->strings.at = strings;
    b->vectors.at = vectors;
    error = copy_in(b, vectors, aux, words);
    writer_flush(&b->vectors);
    b->vectors.at = random;
    random_bytes(bytes, sizeof(bytes));
    writer_put(&b->vectors, bytes, sizeof(bytes));
    writer_put(&b->vectors, platform, sizeof(platform));
    writer_flush(&b->vectors);
    writer_put(&b->strings, e->filename, name_bytes);
    writer_put(&b->strings, &zeroes, sizeof(zeroes));
    writer_flush(&b->strings);
    memcpy(info->auxv, aux, sizeof(aux));
    info->stack_start = e->stack_pointer = vectors;
    return error ? error : b->strings.error ? b->strings.error : b->vectors.error;
}

static int build(struct build *b) {
    struct exec *e = b->e;
    int error = arguments(b, false, &b->arg_bytes, &b->argc);

    if (!error && b->argc == 0) { /* a program always has a name: as Linux since 5.18 */
        e->prefix[0] = kstrdup("");
        if (!e->prefix[0])
            return -ENOMEM;
        e->prefix_count = 1;
        error = arguments(b, false, &b->arg_bytes, &b->argc);
    }
    if (!error)
        error = environment(b, false, &b->env_bytes, &b->envc);
    if (!error && b->arg_bytes + b->env_bytes + (b->argc + b->envc) * sizeof(u64) > limit_of())
        error = -E2BIG;
    return error ? error : lay_out(b);
}

int stack_build(struct exec *e) {
    struct build *b = kzalloc(sizeof(*b));
    int error = -ENOMEM;

    if (!b)
        return -ENOMEM;
    b->e = e;
    b->strings.space = b->vectors.space = e->space;
    b->page = kmalloc(PAGE_SIZE);
    b->strings.buffer = kmalloc(PAGE_SIZE);
    b->vectors.buffer = kmalloc(PAGE_SIZE);
    if (b->page && b->strings.buffer && b->vectors.buffer)
        error = build(b);
    kfree(b->page);
    kfree(b->strings.buffer);
    kfree(b->vectors.buffer);
    kfree(b);
    return error;
}
