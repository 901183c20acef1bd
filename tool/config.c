/* config.c - the configuration message (wire.h: struct wire_config, then records). */
#include "config.h"
#include "../kernel/lib/wire.h"
#include "machine.h"
#include "say.h"
#include "streams.h"
#include "terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct text {
    char *at;
    size_t used, room;
};

static void append(struct text *text, const void *bytes, size_t count) {
    if (text->used + count > text->room) {
        text->room = 2 * (text->used + count);
        text->at = realloc(text->at, text->room);
        if (!text->at)
            fail("this machine has no memory left");
    }
    memcpy(text->at + text->used, bytes, count);
    text->used += count;
}

static void record(struct text *text, uint32_t kind, const void *bytes, size_t count) {
    uint32_t head[2] = {kind, (uint32_t)count};
    append(text, head, sizeof head);
    append(text, bytes, count);
    append(text, "\0\0\0", -count & 3);
}

static void record_text(struct text *text, uint32_t kind, const char *string) {
    record(text, kind, string, strlen(string));
}

static void record_mount(struct text *text, const char *tag, const char *target, const char *how) {
    struct text value = {0};
    append(&value, tag, strlen(tag) + 1);
    append(&value, target, strlen(target) + 1);
    append(&value, how, strlen(how));
    record(text, WIRE_MOUNT, value.at, value.used);
    free(value.at);
}

static struct wire_config head(const struct options *options, uint64_t ignored) {
    struct wire_config config = {.uid = options->who.uid, .gid = options->who.gid, .ignored = ignored};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    config.wall_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    config.umask = umask(0);
    umask((mode_t)config.umask);
    if (options->no_aslr)
        config.flags |= WIRE_NO_ASLR; /* with the seed below left 0, two runs are the same */
    else if (getrandom(config.seed, sizeof config.seed, 0) != sizeof config.seed)
        fail("no random numbers: %s", strerror(errno));
    config.flags |= options->stats ? WIRE_WANT_STATS : 0;
    config.flags |= options->trace ? WIRE_WANT_TRACE : 0;
    config.flags |= geteuid() != 0 ? WIRE_IDS_FIXED : 0;
    streams_describe(&config);
    return config;
}

char *config_make(const struct options *options, uint64_t ignored, size_t *bytes) {
    struct text text = {0};
    struct wire_config config = head(options, ignored);
    append(&text, &config, sizeof config);
    for (char **arg = options->program; *arg; arg++)
        record_text(&text, WIRE_ARG, *arg);
    for (char **entry = options->environment; *entry; entry++)
        record_text(&text, WIRE_ENV, *entry);
    record_text(&text, WIRE_CWD, options->cwd);
    for (int i = 0; i < options->who.group_count; i++)
        record(&text, WIRE_GROUP, &options->who.groups[i], sizeof options->who.groups[i]);
    record_mount(&text, "root", "/", "overlay");
    for (unsigned i = 0; i < options->share_count; i++) {
        char tag[16];
        const struct share *share = &options->shares[i];
        record_mount(&text, machine_tag(i, tag), share->target, share->writable ? "rw" : "ro");
    }
    if (options->policy) {
        char setting[256];
        snprintf(setting, sizeof setting, "vm.policy=%.200s", options->policy);
        record_text(&text, WIRE_SYSCTL, setting);
    }
    if (options->zswap) {
        char setting[64];
        snprintf(setting, sizeof setting, "vm.zswap_max_pool_percent=%u", options->zswap);
        record_text(&text, WIRE_SYSCTL, setting);
    }
    for (unsigned i = 0; i < options->sysctl_count; i++)
        record_text(&text, WIRE_SYSCTL, options->sysctls[i]);
    char name[65] = "";
    if (gethostname(name, sizeof name - 1) == 0)
        record_text(&text, WIRE_HOSTNAME, name);
    char termios[TERMIOS_BYTES];
    if (terminal_modes(termios))
        record(&text, WIRE_TERMIOS, termios, sizeof termios);
    *bytes = text.used;
    return text.at;
}
