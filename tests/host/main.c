/* main.c - runs the tests: each one, and each seed of it, in a process of its own, so that no test sees another's
 * machine and a panic ends only its own.
 *
 *     host-tests                    all
 *     host-tests NAME...            those whose name contains NAME
 *     host-tests NAME SEED          one, from that seed
 *     host-tests --explore [NAME]   every interleaving of the scenarios whose name contains NAME (explore.c); --most N
 * each host-tests NAME --schedule S  one interleaving of one scenario, step by step host-tests --rules            takes
 * the rules of concurrency away, one after the other: some scenario must fail host-tests --mutants          leaves out
 * the flushes of kernel/vm, one place after the other: some test must fail each time -v: random tests tell what they do
 * --quick: stops at the first failure, and does not make it smaller (mutate.py) --more N: N times as many seeds --list
 * --seconds N: of the processor for one test and seed (60); of a scenario's interleavings together 60 times as many
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fiber.h"
#include "explore.h"
#include "rules.h"

#define TESTS_MOST 512
#define SLOWER                                                                                                         \
    60 /* times as long as of the processor a test may take by the clock, for threads that wait for each other */
#define JOBS 2
#define PANIC_STATUS 3

struct one_test {
    const char *name, *file;
    void (*body)(void);
    unsigned seeds;
};
static struct one_test tests[TESTS_MOST];
static unsigned test_count;
static const char *running = "?", *program = "host-tests"; /* as it is typed */
static bool panic_quiet;                                   /* a panic is expected: its text only */

u64 test_seed;
unsigned test_seconds = 60;
static double slowest; /* test that ended */
bool test_verbose, test_quick;
char *test_signature;
static __thread u64 rnd_state;

void test_register(const char *name, const char *file, void (*body)(void), unsigned seeds) {
    tests[test_count++] = (struct one_test){name, file, body, seeds};
}

/* xorshift* of Marsaglia and Vigna: 64 bits of state are enough to drive a test */
u64 rnd(void) {
    rnd_state ^= rnd_state >> 12;
    rnd_state ^= rnd_state << 25;
    rnd_state ^= rnd_state >> 27;
    return rnd_state * 0x2545f4914f6cdd1dULL;
}
void rnd_start(u64 seed) { rnd_state = (seed + 1) * 0x9e3779b97f4a7c15ULL; }
u64 rnd_below(u64 n) { return (rnd() >> 16) % n; }

static void say_how(void) {
    if (!explore_say(stderr))
        fprintf(stderr, "  again: build/%s %s %lu\n", program, running, (unsigned long)test_seed);
}

void test_fail(const char *file, int line, const char *format, ...) {
    va_list args;
    if (test_signature)
        snprintf(test_signature, 160, "%s:%d", file, line);
    va_start(args, format);
    fprintf(stderr, "FAILED %s, seed %lu: %s:%d: ", running, (unsigned long)test_seed, file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    say_how();
    fibers_print(stderr);
    __sanitizer_print_stack_trace();
    _exit(1);
}

void panic(const char *format, ...) {
    va_list args;
    if (test_signature)
        snprintf(test_signature, 160, "%s", format);
    va_start(args, format);
    if (!panic_quiet)
        fprintf(stderr, "FAILED %s, seed %lu: ", running, (unsigned long)test_seed);
    fprintf(stderr, "panic: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    if (panic_quiet)
        _exit(PANIC_STATUS);
    say_how();
    fibers_print(stderr);
    __sanitizer_print_stack_trace();
    _exit(1);
}

int kprintf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = test_verbose ? vfprintf(stderr, format, args) : 0;
    va_end(args);
    return n;
}
int kvsnprintf(char *buffer, size_t size, const char *format, va_list args) {
    return vsnprintf(buffer, size, format, args);
}
int ksnprintf(char *buffer, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(buffer, size, format, args);
    va_end(args);
    return n;
}

void test_same_text(const char *file, int line, const char *what, const char *is, const char *should) {
    if (strcmp(is, should))
        test_fail(file, line, "%s\n   is     |%s|\n   should |%s|", what, is, should);
}

void test_ends(const char *file, int line, int wanted, const char *says, void (*body)(void)) {
    int ends[2], status;
    static char text[100000];
    check(!pipe(ends));
    pid_t child = fork();
    if (!child) {
        dup2(ends[1], 2);
        panic_quiet = true;
        body();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n = 0, more; (more = read(ends[0], text + n, sizeof(text) - 1 - (size_t)n)) > 0;)
        n += more;
    close(ends[0]);
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted || !strstr(text, says))
        test_fail(file, line, "should end with %d and \"%s\"; status %#x, said \"%s\"", wanted, says, status, text);
}

void test_panics(const char *file, int line, const char *says, void (*body)(void)) {
    test_ends(file, line, PANIC_STATUS, says, body);
}

static void hung(int signal) {
    (void)signal;
    static const char text[] = "FAILED: no end within the time limit\n";
    if (write(2, text, sizeof(text) - 1) < 0)
        _exit(1);
    say_how();
    fibers_print(stderr);
    __sanitizer_print_stack_trace();
    _exit(1);
}

void test_limit(unsigned seconds) {
    struct rlimit limit = {seconds, seconds + 1};
    check(!setrlimit(RLIMIT_CPU, &limit));
    alarm(seconds * SLOWER);
}

static pid_t start(const struct one_test *t, u64 seed) {
    pid_t child = fork();
    if (child)
        return child;
    signal(SIGALRM, hung);
    signal(SIGXCPU, hung);
    test_limit(test_seconds);
    running = t->name;
    test_seed = seed;
    rnd_start(seed);
    t->body();
    _exit(0);
}

static bool finish(unsigned *jobs) {
    struct rusage u;
    int status;
    if (wait4(-1, &status, 0, &u) < 0)
        return true;
    --*jobs;
    slowest = max(slowest, (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    if (WIFSIGNALED(status))
        fprintf(stderr, "FAILED: a test ended by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool wanted(const struct one_test *t, char **names, int count, bool exactly) {
    bool found = count == 0;
    if (exactly)
        return !strcmp(t->name, names[0]);
    for (int i = 0; i < count; i++)
        found |= strstr(t->name, names[i]) != NULL;
    return found;
}

/* ---- interleavings */

static struct explored *explored; /* by scenario, written by the process that explored it */

static void explored_new(void) {
    explored =
        mmap(NULL, scenario_count() * sizeof(*explored), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(explored != MAP_FAILED);
}

static void explore_child(unsigned i, u64 most) {
    signal(SIGALRM, hung);
    signal(SIGXCPU, hung);
    test_limit(test_seconds * 60);
    running = scenario_at(i)->name;
    explore(scenario_at(i), most, &explored[i]);
    _exit(0);
}

static bool is_one_of(const char *name, char **names, int count) {
    bool found = count == 0;
    for (int i = 0; i < count; i++)
        found |= strstr(name, names[i]) != NULL;
    return found;
}

/* By pair: one line a scenario, and a sum. */
static int explore_all(char **names, int count, u64 most) {
    unsigned jobs = 0, failed = 0;
    u64 sum = 0;
    explored_new();
    for (unsigned i = 0; i < scenario_count(); i++) {
        if (!is_one_of(scenario_at(i)->name, names, count))
            continue;
        fflush(stdout);
        if (!fork())
            explore_child(i, most);
        if (++jobs == JOBS)
            failed += !finish(&jobs);
    }
    while (jobs)
        failed += !finish(&jobs);
    for (unsigned i = 0; i < scenario_count(); i++) {
        const struct scenario *s = scenario_at(i);
        if (!explored[i].runs)
            continue;
        char bound[40] = "all";
        if (!explored[i].all)
            snprintf(bound, sizeof(bound), "all with up to %u preemptions", explored[i].preemptions);
        printf("%-21s %8lu interleavings of up to %4lu steps, %s (%s)\n", s->name, explored[i].runs, explored[i].steps,
               bound, s->pair);
        sum += explored[i].runs;
    }
    printf("%lu interleavings, %u scenarios failed\n", sum, failed);
    return failed || !sum;
}

/* Which scenario notices that a rule is gone; NULL: none. */
static const char *noticed(const char *likely, u64 most, u64 *runs) {
    unsigned count = scenario_count();
    for (unsigned k = 0; k < 2 * count; k++) { /* the likely ones first */
        unsigned i = k % count;
        if ((k < count) != !strncmp(scenario_at(i)->name, likely, strlen(likely)))
            continue;
        fflush(stdout);
        if (!fork())
            explore_child(i, most);
        unsigned jobs = 1;
        bool well = finish(&jobs);
        *runs += explored[i].runs;
        if (!well)
            return scenario_at(i)->name;
    }
    return NULL;
}

/* A random test that fails, and its seed. */
static const char *seed_fails(u64 *seed) {
    for (unsigned i = 0; i < test_count; i++)
        for (*seed = 0; *seed < tests[i].seeds && tests[i].seeds > 1; ++*seed) {
            unsigned jobs = 1;
            start(&tests[i], *seed);
            if (!finish(&jobs))
                return tests[i].name;
        }
    return NULL;
}

/* seen: some test fails with this mutant; which one. A few interleavings of each scenario show most. */
static const char *seen(u64 most, u64 *seed) {
    const char *name = NULL;
    u64 runs = 0;
    for (unsigned step = 0; step < 3 && !name; step++) {
        name = step == 1 ? seed_fails(seed) : noticed("", step ? most : most / 64, &runs);
        *seed = step == 1 ? *seed : runs;
    }
    return name;
}

static int mutants(u64 most) {
    unsigned unseen = 0;
    u64 seed;
    char place[200];
    explored_new();
    host_sites = mmap(NULL, sizeof(*host_sites), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(host_sites != MAP_FAILED);
    const char *fails = seen(most, &seed);
    if (fails || host_sites->count == HOST_SITES) {
        printf("%s fails without any mutant\n", fails ? fails : "the number of flushes (HOST_SITES)");
        return 1;
    }
    freopen("/dev/null", "w", stderr);
    for (host_mutant = 0; host_mutant < 2 * (long)host_sites->count; host_mutant++) {
        if (host_mutant % 2 && !host_sites->tables[host_mutant / 2])
            continue;
        const char *name = seen(most, &seed);
        __sanitizer_symbolize_pc((char *)host_sites->site[host_mutant / 2] - 1, "%f %S", place, sizeof(place));
        printf("%-60s %-10s %s %ld\n", place, host_mutant % 2 ? "tables" : "all", name ? name : "NO TEST FAILS",
               name ? (long)seed : 0);
        fflush(stdout);
        unseen += !name;
    }
    printf("%u mutants are unseen\n", unseen);
    return unseen > 0;
}

static int rules(u64 most) {
    unsigned unseen = 0;
    freopen("/dev/null", "w", stderr);
    for (unsigned r = RULE_NONE + 1; r < RULES; r++) {
        u64 runs = 0;
        explored_new();
        rule_missing = r;
        const char *name = noticed(rule_likely[r], most, &runs);
        printf("without rule %-62s %s, after %lu interleavings\n", rule_names[r], name ? name : "NO SCENARIO FAILS",
               runs);
        unseen += !name;
    }
    printf("%u of %u rules taken away are unseen\n", unseen, RULES - 1);
    return unseen > 0;
}

static int replay(const char *name, const char *schedule) {
    for (unsigned i = 0; i < scenario_count(); i++)
        if (!strcmp(scenario_at(i)->name, name)) {
            running = name;
            explore_replay(scenario_at(i), schedule);
            printf("nothing is wrong with this interleaving\n");
            return 0;
        }
    printf("no scenario %s\n", name);
    return 1;
}

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');
    program = slash ? slash + 1 : argv[0];
    const char *schedule = NULL;
    bool all_interleavings = false, without_rules = false, without_flushes = false;
    u64 most = 2000; /* of a scenario, of each bound: a minute for all, of one processor */
    unsigned more = 1, jobs = 0, runs = 0, failed = 0;
    bool one_seed = false, list = false;
    u64 seed = 0;
    char *names[64];
    int name_count = 0;
    for (int i = 1; i < argc; i++) {
        char *end;
        u64 number = strtoul(argv[i], &end, 0);
        if (!strcmp(argv[i], "--mutants")) {
            without_flushes = true;
        } else if (!strcmp(argv[i], "--rules")) {
            without_rules = true;
        } else if (!strcmp(argv[i], "--without") && i + 1 < argc) {
            rule_missing = (enum rule)strtol(argv[++i], NULL, 0);
        } else if (!strcmp(argv[i], "--explore")) {
            all_interleavings = true;
        } else if (!strcmp(argv[i], "--schedule") && i + 1 < argc) {
            schedule = argv[++i];
        } else if (!strcmp(argv[i], "--most") && i + 1 < argc) {
            most = strtoul(argv[++i], NULL, 0);
        } else if (!strcmp(argv[i], "-v")) {
            test_verbose = true;
        } else if (!strcmp(argv[i], "--quick")) {
            test_quick = true;
        } else if (!strcmp(argv[i], "--list")) {
            list = true;
        } else if (!strcmp(argv[i], "--seconds") && i + 1 < argc) {
            test_seconds = (unsigned)atoi(argv[++i]);
        } else if (!strcmp(argv[i], "--more") && i + 1 < argc) {
            more = (unsigned)atoi(argv[++i]);
        } else if (name_count && *argv[i] && !*end) {
            seed = number;
            one_seed = true;
        } else if (name_count < (int)array_count(names)) {
            names[name_count++] = argv[i];
        }
    }
    if (schedule && name_count)
        return replay(names[0], schedule);
    if (without_rules)
        return rules(most);
    if (without_flushes)
        return mutants(most);
    if (all_interleavings)
        return explore_all(names, name_count, most);
    time_t began = time(NULL);
    for (unsigned i = 0; i < test_count; i++) {
        const struct one_test *t = &tests[i];
        if (!wanted(t, names, name_count, one_seed))
            continue;
        if (list)
            printf("%s (%u seeds, %s)\n", t->name, t->seeds, t->file);
        unsigned last = list ? 0 : one_seed ? 1 : t->seeds == 1 ? 1 : t->seeds * more;
        for (unsigned k = 0; k < last && failed < (test_quick ? 1 : 10); k++) {
            start(t, one_seed ? seed : k);
            runs++;
            if (++jobs == JOBS)
                failed += !finish(&jobs);
        }
    }
    while (jobs)
        failed += !finish(&jobs);
    printf("%u runs of %u tests, %u failed, %ld s; the longest took %.1f s of the processor\n", runs, test_count,
           failed, (long)(time(NULL) - began), slowest);
    return failed || (!runs && !list);
}
