/* options.c - from words to struct options.
 *
 * Owns: the option letters, defaults, and the checks that need no machine. Every refusal is one line that says what is
 * wrong and what to do. It does not look at QEMU or the kernel image: machine.c does. */
#include "options.h"
#include "say.h"
#include "sim.h"
#include "size.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* QEMU gives a machine whole pairs of pages, so a size between would not be exact. */
#define MEMORY_STEP (8ull << 10)
#define MEMORY_LEAST (2ull << 20) /* with less, QEMU cannot place the kernel */
#define MEMORY_MOST (1ull << 40)
#define MEMORY_DEFAULT (512ull << 20)
#define SWAP_LEAST 8192 /* the first page is a header */
#define CPUS_MOST 64
#define CPUS_DEFAULT_MOST 8
#define SHARES_MOST 16
/* Of the 24 virtio-mmio devices of a microvm with ACPI the wire and the root have two, and the interrupt of one goes
 * astray: QEMU's IO-APIC takes pin 0 for pin 2, of its second one, too. */
#define PLACES_MOST 21

enum {
    OPT_ROOT = 256,
    OPT_RO,
    OPT_RW,
    OPT_CWD,
    OPT_USER,
    OPT_TIMEOUT,
    OPT_DRY_RUN,
    OPT_ACCEL,
    OPT_QEMU_ARG,
    OPT_POLICY,
    OPT_ZSWAP,
    OPT_NO_ASLR,
    OPT_STATS,
    OPT_TRACE,
    OPT_SYSCTL,
    OPT_TOO_MUCH /* not one of them: a value where none is taken */
};

static const struct option long_options[] = {
    {"memory", required_argument, NULL, 'm'},
    {"swap", required_argument, NULL, 's'},
    {"cpus", required_argument, NULL, 'c'},
    {"env", required_argument, NULL, 'e'},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"root", required_argument, NULL, OPT_ROOT},
    {"ro", required_argument, NULL, OPT_RO},
    {"rw", required_argument, NULL, OPT_RW},
    {"cwd", required_argument, NULL, OPT_CWD},
    {"user", required_argument, NULL, OPT_USER},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"accel", required_argument, NULL, OPT_ACCEL},
    {"qemu-arg", required_argument, NULL, OPT_QEMU_ARG},
    {"policy", required_argument, NULL, OPT_POLICY},
    {"zswap", required_argument, NULL, OPT_ZSWAP},
    {"no-aslr", no_argument, NULL, OPT_NO_ASLR},
    {"stats", no_argument, NULL, OPT_STATS},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"sysctl", required_argument, NULL, OPT_SYSCTL},
    {0},
};

static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory)
        fail("this machine has no memory left");
    return memory;
}

static void set_memory(struct options *options, const char *text) {
    uint64_t bytes;
    char below[24], above[24];
    if (!size_parse(text, &bytes))
        fail("-m %s: not a size; write it as 64M or 1G", text);
    if (bytes < MEMORY_LEAST)
        fail("-m %s: too little memory; the least is %s", text, size_text(MEMORY_LEAST, below));
    if (bytes > MEMORY_MOST)
        fail("-m %s: too much memory; the most is %s", text, size_text(MEMORY_MOST, below));
    if (bytes % MEMORY_STEP) {
        uint64_t down = bytes - bytes % MEMORY_STEP;
        fail("-m %s: memory comes in multiples of 8K; the nearest are %s and %s", text, size_text(down, below),
             size_text(down + MEMORY_STEP, above));
    }
    options->memory_bytes = bytes;
}

static void set_swap(struct options *options, char *text) {
    uint64_t bytes;
    if (strcmp(text, "0") == 0)
        return;
    if (options->swap_count == SWAPS_MOST)
        fail("-s %s: too many swap areas; the most is %d", text, SWAPS_MOST);
    struct swap *swap = &options->swaps[options->swap_count++];
    if (size_parse(text, &bytes)) {
        if (bytes < SWAP_LEAST || bytes % 4096)
            fail("-s %s: a swap size is a multiple of 4K, and at least 8K: its first page is a header", text);
        swap->bytes = bytes;
        return;
    }
    struct stat st;
    bool is_file = strncmp(text, "nbd://", 6) != 0 && strncmp(text, "nbd+unix://", 11) != 0;
    if (is_file) {
        if (stat(text, &st) != 0)
            fail("-s %s: %s; give a size, a file that exists, or nbd://HOST/NAME", text, strerror(errno));
        if (access(text, R_OK | W_OK) != 0)
            fail("-s %s: %s; swap needs a file to read and write", text, strerror(errno));
        if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
            fail("-s %s: neither a file nor a block device", text);
        if (S_ISREG(st.st_mode) && st.st_size < SWAP_LEAST)
            fail("-s %s: this file is too small to swap to; make it 8K at least, with truncate -s", text);
    }
    /* To QEMU "a:b" is something of protocol a, unless a slash comes first. */
    if (is_file && *text != '/' && asprintf(&text, "./%s", text) < 0)
        fail("this machine has no memory left");
    swap->file = text;
}

static void set_cpus(struct options *options, const char *text) {
    char *end;
    unsigned long count = strtoul(text, &end, 10);
    if (*end || *text < '0' || *text > '9' || count < 1 || count > CPUS_MOST)
        fail("-c %s: a number of processors from 1 to %d", text, CPUS_MOST);
    options->cpus = (unsigned)count;
}

static void set_accel(struct options *options, const char *text) {
    if (strcmp(text, "auto") == 0)
        options->accel = ACCEL_AUTO;
    else if (strcmp(text, "kvm") == 0)
        options->accel = ACCEL_KVM;
    else if (strcmp(text, "tcg") == 0)
        options->accel = ACCEL_TCG;
    else
        fail("--accel %s: auto, kvm or tcg", text);
}

/* A directory of the host that QEMU can show: its real path. */
static char *directory(const char *option, const char *path, bool writable) {
    char *real = realpath(path, NULL);
    struct stat st;
    if (!real || stat(real, &st) != 0)
        fail("%s %s: %s", option, path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        fail("%s %s: not a directory", option, path);
    if (access(real, R_OK | X_OK | (writable ? W_OK : 0)) != 0)
        fail("%s %s: %s; choose a directory that you may %s", option, path, strerror(errno),
             writable ? "write" : "read");
    return real;
}

static void add_share(struct options *options, const char *text, bool writable) {
    const char *option = writable ? "--rw" : "--ro";
    if (options->share_count == SHARES_MOST)
        fail("%s %s: at most %d directories", option, text, SHARES_MOST);
    /* "DIR:DST" where DST is absolute; a directory may have a colon in its name. */
    char *path = strdup(text);
    char *colon = path ? strrchr(path, ':') : NULL;
    char *target = NULL;
    struct stat st;
    if (colon && colon[1] == '/' && stat(path, &st) != 0) {
        *colon = '\0';
        target = colon + 1;
    }
    char *real = directory(option, path ? path : text, writable);
    options->shares = realloc(options->shares, (options->share_count + 1) * sizeof *options->shares);
    if (!options->shares)
        fail("this machine has no memory left");
    options->shares[options->share_count++] = (struct share){real, target ? target : real, writable};
}

static bool same_name(const char *entry, const char *edit) {
    size_t n = strcspn(edit, "=");
    return strncmp(entry, edit, n) == 0 && entry[n] == '=';
}

static void edit_environment(struct options *options, char *edit) {
    if (!*edit || *edit == '=')
        fail("-e '%s': write NAME=VALUE, or NAME to take it away", edit);
    size_t count = 0, kept = 0;
    while (options->environment[count])
        count++;
    char **list = allocate((count + 2) * sizeof *list);
    for (size_t i = 0; i < count; i++)
        if (!same_name(options->environment[i], edit))
            list[kept++] = options->environment[i];
    if (strchr(edit, '='))
        list[kept++] = edit;
    options->environment = list;
}

static bool number(const char *text, unsigned *value) {
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || n >= UINT_MAX)
        return false;
    *value = (unsigned)n;
    return true;
}

static void set_user(struct options *options, const char *text) {
    char *user = strdup(text);
    if (!user)
        fail("this machine has no memory left");
    char *group = strchr(user, ':');
    if (group)
        *group++ = '\0';
    struct identity *who = &options->who;
    struct passwd *entry = getpwnam(user);
    if (!entry) {
        if (!number(user, &who->uid))
            fail("--user %s: no such user here; give a name or a number", text);
        entry = getpwuid(who->uid);
    }
    who->uid = entry ? entry->pw_uid : who->uid;
    who->gid = entry ? entry->pw_gid : who->uid;
    who->group_count = 0;
    if (group) {
        struct group *found = getgrnam(group);
        if (!found && !number(group, &who->gid))
            fail("--user %s: no such group here; give a name or a number", text);
        who->gid = found ? found->gr_gid : who->gid;
        who->groups = allocate(sizeof *who->groups);
        who->groups[who->group_count++] = who->gid;
    } else if (entry) {
        int count = NGROUPS_MAX;
        who->groups = allocate((size_t)count * sizeof *who->groups);
        getgrouplist(entry->pw_name, who->gid, who->groups, &count);
        who->group_count = count;
    }
    free(user);
}

static unsigned cpus_here(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > CPUS_DEFAULT_MOST ? CPUS_DEFAULT_MOST : (unsigned)count;
}

void options_default(struct options *options) {
    *options =
        (struct options){.memory_bytes = MEMORY_DEFAULT, .cpus = cpus_here(), .root = "/", .environment = environ};
    struct identity *who = &options->who;
    who->uid = geteuid();
    who->gid = getegid();
    who->group_count = getgroups(0, NULL);
    who->groups = allocate((size_t)who->group_count * sizeof *who->groups);
    who->group_count = getgroups(who->group_count, who->groups);
}

static void add_qemu_arg(struct options *options, char *text) {
    options->qemu_args = realloc(options->qemu_args, (options->qemu_arg_count + 1) * sizeof *options->qemu_args);
    if (!options->qemu_args)
        fail("this machine has no memory left");
    options->qemu_args[options->qemu_arg_count++] = text;
}

static void set_zswap(struct options *options, const char *text) {
    char *end;
    unsigned long percent = strtoul(text, &end, 10);
    end += *end == '%';
    if (*text < '0' || *text > '9' || *end || percent > 90)
        fail("--zswap %s: write how much of memory it may have, from 0%% to 90%%", text);
    options->zswap = (unsigned)percent;
}

static void add_sysctl(struct options *options, char *text) {
    if (!strchr(text, '=') || *text == '=')
        fail("--sysctl %s: write NAME=VALUE, like vm.overcommit_memory=2", text);
    options->sysctls = realloc(options->sysctls, (options->sysctl_count + 1) * sizeof *options->sysctls);
    if (!options->sysctls)
        fail("this machine has no memory left");
    options->sysctls[options->sysctl_count++] = text;
}

static void set_policy(struct options *options, const char *name) {
    char names[200];
    policy_names(names, sizeof names);
    if (!policy_known(name))
        fail("--policy %s: there is no such policy; there are %s", name, names);
    options->policy = name;
}

static void take(struct options *options, int option, char *value) {
    switch (option) {
    case 'm':
        set_memory(options, value);
        break;
    case 's':
        set_swap(options, value);
        break;
    case 'c':
        set_cpus(options, value);
        break;
    case 'e':
        edit_environment(options, value);
        break;
    case 'v':
        options->verbose = true;
        break;
    case 'q':
        options->quiet = true;
        break;
    case 'h':
        usage_print_run();
        exit(say_printed(0));
    case OPT_ROOT:
        options->root = directory("--root", value, false);
        break;
    case OPT_RO:
        add_share(options, value, false);
        break;
    case OPT_RW:
        add_share(options, value, true);
        break;
    case OPT_CWD:
        options->cwd = value;
        break;
    case OPT_USER:
        set_user(options, value);
        break;
    case OPT_TIMEOUT:
        if (!duration_parse(value, &options->timeout_ns))
            fail("--timeout %s: not a time; write it as 5, 2.5s, 3m or 1h", value);
        break;
    case OPT_DRY_RUN:
        options->dry_run = true;
        break;
    case OPT_ACCEL:
        set_accel(options, value);
        break;
    case OPT_QEMU_ARG:
        add_qemu_arg(options, value);
        break;
    case OPT_POLICY:
        set_policy(options, value);
        break;
    case OPT_ZSWAP:
        set_zswap(options, value);
        break;
    case OPT_NO_ASLR:
        options->no_aslr = true;
        break;
    case OPT_STATS:
        options->stats = true;
        break;
    case OPT_TRACE:
        options->trace = value;
        break;
    case OPT_SYSCTL:
        add_sysctl(options, value);
        break;
    case ':':
        fail("%s needs a value; `quire run --help` lists the options", value);
    case OPT_TOO_MUCH:
        fail("%s: this option takes no value", value);
    default:
        fail("%s: no such option; `quire run --help` lists them", value);
    }
}

/* The guest starts where we are; $PWD is not asked, it may lie. With another root, our directory means nothing there.
 */
static const char *starting_directory(const struct options *options) {
    if (strcmp(options->root, "/") != 0)
        return "/";
    char *here = getcwd(NULL, 0);
    if (!here || here[0] != '/')
        fail("the working directory cannot be named: %s; cd to one that exists, or give --cwd", strerror(errno));
    return here;
}

void options_parse(struct options *options, int argc, char **argv) {
    options_default(options);
    opterr = 0;
    optind = 1;
    for (;;) {
        char *word = argv[optind]; /* optind is past it only after its last letter */
        int option = getopt_long(argc, argv, "+:m:s:c:e:vqh", long_options, NULL);
        if (option == -1)
            break;
        bool bad = option == '?' || option == ':', is_long = bad && word[1] == '-';
        char letter[3] = {'-', (char)optopt, '\0'};
        if (option == '?' && is_long && optopt)
            option = OPT_TOO_MUCH; /* an option that is none leaves optopt 0 */
        take(options, option, !bad ? optarg : is_long || optopt <= ' ' || optopt > '~' ? word : letter);
    }
    if (optind == argc)
        fail("which program? usage: quire run [OPTIONS] [--] PROGRAM [ARGUMENTS]");
    options->program = argv + optind;
    if (!options->program[0][0])
        fail("the program's name is empty");
    if (options->share_count + options->swap_count > PLACES_MOST)
        fail("%u directories and %u swap areas are too many; together at most %d", options->share_count,
             options->swap_count, PLACES_MOST);
    if (!options->cwd)
        options->cwd = starting_directory(options);
    else if (options->cwd[0] != '/')
        fail("--cwd %s: give it from /, as the guest sees it", options->cwd);
    for (unsigned i = 0; i < options->share_count; i++)
        if (options->shares[i].target[0] != '/')
            fail("%s: give the place in the guest from /", options->shares[i].target);
        else if (!options->shares[i].writable &&
                 options->shares[i].target[strspn(options->shares[i].target, "/")] == '\0')
            fail("--ro %s: nothing could be mounted below the guest's / then; give --root %s",
                 options->shares[i].source, options->shares[i].source);
}
