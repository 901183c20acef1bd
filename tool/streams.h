/* streams.h - the program's stdin, stdout and stderr: the host's own descriptors 0, 1 and 2, served question by
 * question.
 *
 * Guarantee: nothing is read that the guest did not ask for, nothing is answered before the host took it, and no stream
 * waits for another. */
#pragma once

#include "../kernel/lib/wire.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* An answer that is ready to be sent. */
struct streams_answer {
    uint32_t tag;
    int32_t value;
    const void *payload;
    size_t bytes;
};

/* Before any other descriptor is opened: remembers which of 0, 1, 2 are closed, and keeps their numbers from being
 * reused. */
void streams_find(void);

/* Fills stream[] of the configuration. */
void streams_describe(struct wire_config *config);

/* Readable when answers wait for streams_next. Call once, before the first question. */
int streams_start(void);

/* Takes a READ, WRITE, POLL or SEEK. False: it is malformed. Never blocks. */
bool streams_ask(const struct wire_message *message, const void *payload);

/* The question with this tag is no longer wanted. Its answer comes soon, by the rule of WIRE_CANCEL. */
void streams_cancel(uint32_t tag);

/* Are cancelled questions still on their way out? Then streams_nudge() must be called every few milliseconds. */
bool streams_cancelling(void);
void streams_nudge(void);

/* The next answer; false when there is none. Its payload lives until the next call. */
bool streams_next(struct streams_answer *answer);

/* POLL questions for the caller's own poll(2): fills at most `most`; then tell what came back. */
unsigned streams_pollfds(struct pollfd *fds, unsigned most);
void streams_polled(const struct pollfd *fds, unsigned count);

/* Text for stderr after all that the program wrote to it. Never blocks. */
void streams_print(const char *text, unsigned long bytes);

/* The machine is gone: what it wrote to stderr and nobody took is not waited for. */
void streams_abandon(void);

/* Waits until what was printed is out. A reader that takes nothing does not keep us where a signal says that we shall
 * end (SIGINT, SIGTERM, SIGHUP, SIGQUIT), or `soon` does. */
void streams_drain(bool soon);
