/* main.c - the command `quire`: picks the sub-command. */
#include "doctor.h"
#include "machine.h"
#include "options.h"
#include "run.h"
#include "say.h"
#include "sim.h"
#include "streams.h"

#include <stdio.h>
#include <string.h>

#define QUIRE_VERSION "0.1"

static int command_run(int argc, char **argv) {
    struct options options;
    const char *why;
    options_parse(&options, argc, argv);
    if (!options.dry_run)
        return run(&options);
    machine_print(&options, options.accel == ACCEL_KVM || (options.accel == ACCEL_AUTO && machine_kvm(&why)));
    return say_printed(0);
}

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    streams_find();
    if (strcmp(word, "run") == 0)
        return command_run(argc - 1, argv + 1);
    if (strcmp(word, "doctor") == 0 && argc > 2)
        fail("%s: `quire doctor` takes no options", argv[2]);
    if (strcmp(word, "doctor") == 0)
        return say_printed(doctor());
    if (strcmp(word, "sim") == 0)
        return say_printed(sim_main(argc - 1, argv + 1));
    if (strcmp(word, "--version") == 0) {
        puts("quire " QUIRE_VERSION);
        return say_printed(0);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        usage_print();
        return say_printed(0);
    }
    if (*word)
        fail("%s: no such command; try quire --help", word);
    fail("what to do? try quire --help");
}
