/* options.h - what the user asked `quire run` for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG };

/* A host directory shown in the guest besides the root. */
struct share {
    const char *source; /* real path on the host */
    const char *target; /* where the guest sees it */
    bool writable;
};

#define SWAPS_MOST 8
struct swap {
    uint64_t bytes;   /* of a temporary file */
    const char *file; /* or a file or nbd:// address; then bytes is 0 */
};

/* The ids of the program. */
struct identity {
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int group_count;
};

struct options {
    uint64_t memory_bytes;
    struct swap swaps[SWAPS_MOST];
    unsigned swap_count;
    unsigned cpus;
    enum accel accel;
    const char *root; /* real path */
    struct share *shares;
    unsigned share_count;
    const char *cwd; /* in the guest */
    struct identity who;
    char **environment;  /* as the program shall see it, NULL at the end */
    uint64_t timeout_ns; /* 0: none */
    unsigned zswap;      /* percent of memory for the compressed tier; 0: none */
    const char *policy;
    const char *trace; /* file for what reclaim sees; NULL: none */
    char **qemu_args;
    unsigned qemu_arg_count;
    char **sysctls; /* "NAME=VALUE", set before the program starts */
    unsigned sysctl_count;
    bool verbose, quiet, dry_run, stats, no_aslr;
    char **program; /* argv of the program, NULL at the end */
};

/* Fills `options` from the words after `run`; everything in it lives as long as the process. Fails (say.h) on a bad
 * option; prints the help and exits 0 on --help. */
void options_parse(struct options *options, int argc, char **argv);

/* What the defaults are, for doctor. */
void options_default(struct options *options);

void usage_print(void);
void usage_print_run(void);
