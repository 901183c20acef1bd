/* shrink.c - runs of the model that are kept, and made small when they fail.
 *
 * The run itself is in a process of its own, which writes each operation down before it begins. When it ends badly, the
 * list is replayed again and again, each time with some operations left out, then with fields made 0 or smaller, and
 * what still fails in the same way is kept. What cannot be made smaller is printed as a test that can be pasted into
 * model_test.c. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

#define OPS_MOST 60000
#define SHRINK_SECONDS 60 /* of the processor, as all of these */
#define REPLAY_SECONDS 10
#define CHECKS 500 /* of everything, in a replay: of a short one at each operation */

struct record {
    char signature[160]; /* of the failure: its place, or the format of its panic */
    unsigned count;      /* operations that began */
    unsigned reached;    /* the last that began in a replay */
    struct op ops[OPS_MOST];
    struct op small[OPS_MOST], less[OPS_MOST]; /* while they are made fewer */
};
static struct record *record;

static void one(const struct op *o, bool everything) {
    model_step++;
    if (test_verbose)
        fprintf(stderr, "%4u  %s space %u cpu %u file %u first %#lx pages %lu flags %#x how %u\n", model_step,
                op_names[o->kind], o->space, o->cpu, o->file, o->first, o->pages, o->flags, o->how);
    if (op_run(o))
        model_compare(everything);
}

void model_replay(const struct op *ops, unsigned count) {
    model_begin();
    for (unsigned i = 0; i < count; i++) {
        if (record)
            record->reached = i + 1;
        one(&ops[i], i % (1 + count / CHECKS) == 0);
    }
    model_end();
}

/* Seconds that the replays have taken. */
static long spent(void) {
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec;
}

/* In a process of its own: true if it ends well. */
static bool replays(const struct op *ops, unsigned count, bool quiet, unsigned seconds) {
    int status;
    record->signature[0] = 0;
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        signal(SIGXCPU, SIG_DFL);
        test_limit(seconds);
        if (quiet && !freopen("/dev/null", "w", stderr))
            _exit(9);
        model_replay(ops, count);
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        snprintf(record->signature, sizeof(record->signature), "signal %d", WTERMSIG(status));
    return status == 0;
}

static bool still_fails(const struct op *ops, unsigned count, const char *how) {
    return !replays(ops, count, true, REPLAY_SECONDS) && !strcmp(record->signature, how);
}

/* Leave out `size` operations from `at` on, if it still fails. */
static bool leave_out(struct op *ops, unsigned *count, unsigned at, unsigned size, const char *how) {
    struct op *less = record->less;
    memcpy(less, ops, at * sizeof(*ops));
    memcpy(less + at, ops + at + size, (*count - at - size) * sizeof(*ops));
    if (!still_fails(less, *count - size, how))
        return false;
    *count -= size;
    memcpy(ops, less, *count * sizeof(*ops));
    return true;
}

static void fewer(struct op *ops, unsigned *count, const char *how, long end) {
    for (unsigned size = max(*count / 2, 1u); size && spent() < end; size /= 2)
        for (unsigned at = *count > size ? *count - size : 0;; at -= size) {
            if (at + size <= *count)
                leave_out(ops, count, at, size, how);
            if (at < size || spent() >= end)
                break;
        }
}

/* One field of one operation smaller, if it still fails. */
#define smaller(field, to)                                                                                             \
    do {                                                                                                               \
        struct op was = ops[i];                                                                                        \
        ops[i].field = to;                                                                                             \
        if (memcmp(&was, &ops[i], sizeof(was)) && !still_fails(ops, count, how))                                       \
            ops[i] = was;                                                                                              \
    } while (0)
static void simpler(struct op *ops, unsigned count, const char *how, long end) {
    for (unsigned i = 0; i < count && spent() < end; i++) {
        smaller(fail_alloc, 0);
        smaller(fail_io, 0);
        smaller(cpu, 0);
        smaller(seed, 0);
        smaller(value, 0);
        smaller(offset, 0);
        smaller(pages, min(ops[i].pages, 1UL));
        smaller(pages, (ops[i].pages + 1) / 2);
        smaller(to_pages, min(ops[i].to_pages, 1UL));
    }
}

static void print_op(const struct op *o) {
    fprintf(stderr, "    {OP_%s", op_names[o->kind]);
#define field(name, format)                                                                                            \
    if (o->name)                                                                                                       \
    fprintf(stderr, ", ." #name " = " format, o->name)
    field(space, "%u");
    field(other, "%u");
    field(cpu, "%u");
    field(file, "%u");
    field(how, "%u");
    field(max_prot, "%u");
    field(backwards, "%u");
    field(flags, "%#x");
    field(clear, "%#x");
    field(first, "%#lx");
    field(pages, "%lu");
    field(to, "%#lx");
    field(to_pages, "%lu");
    field(offset, "%lu");
    field(value, "%#lx");
    field(fail_alloc, "%u");
    field(fail_io, "%u");
    field(seed, "%u");
#undef field
    fprintf(stderr, "},\n");
}

static void make_small(void) {
    struct op *ops = record->small;
    static char how[sizeof(record->signature)];
    unsigned count = record->count, was;
    long end = spent() + SHRINK_SECONDS;
    memcpy(ops, record->ops, count * sizeof(ops[0]));
    if (replays(ops, count, true, test_seconds)) {
        fprintf(stderr, "a replay of the %u operations does not fail: not made smaller\n", count);
        return;
    }
    strcpy(how, record->signature); /* the checks are more frequent in a replay: perhaps another one, earlier */
    count = record->reached;
    do {
        was = count;
        fewer(ops, &count, how, end);
        simpler(ops, count, how, end);
    } while (count < was && spent() < end);
    (void)!replays(ops, count, false, REPLAY_SECONDS);
    fprintf(stderr, "%u operations of %u are left; to see it again put them into tests/host/model_test.c:\n", count,
            record->count);
    fprintf(stderr, "static const struct op again[] = {\n");
    for (unsigned i = 0; i < count; i++)
        print_op(&ops[i]);
    fprintf(stderr, "};\ntest(model_again) { model_start(%lu); model_replay(again, array_count(again)); }\n",
            (unsigned long)test_seed);
}

void model_record(bool (*next)(struct op *o), unsigned every) {
    int status;
    alarm(0); /* the run and the replays have their own */
    record = mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(record != MAP_FAILED);
    test_signature = record->signature;
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        struct op o;
        test_limit(test_seconds);
        model_begin();
        while (record->count < OPS_MOST && next(&o)) {
            record->ops[record->count++] = o;
            one(&o, record->count % every == 0);
        }
        model_compare(true);
        model_end();
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        fprintf(stderr, "FAILED: seed %lu ended by signal %d\n", (unsigned long)test_seed, WTERMSIG(status));
    if (status && host_mutant < 0 && !test_quick)
        make_small();
    munmap(record, sizeof(*record));
    if (status)
        _exit(1);
}
