/* machine.h - QEMU: its command line, its process. */
#pragma once

#include "options.h"

#include <stddef.h>
#include <sys/types.h>

struct machine {
    pid_t pid;  /* 0: none */
    int pidfd;  /* readable when it ended */
    int wire;   /* our end of the guest's console (channel.h) */
    int debug;  /* our end of port 0xe9: the kernel's log */
    int output; /* what QEMU itself prints */
    int status; /* as waitpid gives it, after machine_stop */
    bool kvm;
};

/* The tag by which the guest mounts share `i`. `out` has room for 16. */
const char *machine_tag(unsigned i, char *out);

/* Whether KVM can be used here; else why not in `*why`. */
bool machine_kvm(const char **why);

/* QEMU's and the kernel's path; NULL when missing. They live as long as the process. */
const char *machine_qemu(void);
const char *machine_kernel(void);

/* Starts QEMU. It dies with us, whatever ends us; it holds none of our streams; the terminal's signals do not reach it.
 * Fails (say.h) when it cannot be started at all. */
void machine_start(struct machine *machine, const struct options *options, bool kvm);

/* Ends it at once if it still runs, and reaps it. Closes everything but `wire`, which the channel owns. */
void machine_stop(struct machine *machine);

/* Prints the command line, quoted for a shell. */
void machine_print(const struct options *options, bool kvm);

/* Runs `qemu ARG` and returns the first line it prints ("" when it fails). `out` is filled. */
void machine_ask(const char *argument, const char *more, char *out, size_t room);

/* "7.2" or later? `version` is a line as `qemu --version` prints it. */
bool machine_version_ok(const char *version);
