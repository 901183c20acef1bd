/* host.h - questions to the command about the three standard streams, for fs/stream.c. main.h has the rest.
 *
 * Each call is one question of lib/wire.h and sleeps until the command answers it; a signal to the sleeper cancels the
 * question, and -EINTR comes back only if the command had nothing to give. Buffers: direct map (kmalloc, pages_alloc).
 */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"

/* nowait: as O_NONBLOCK, -EAGAIN instead of waiting for the stream. most, bytes: cut to WIRE_MOST. */
ssize_t host_read_stream(unsigned stream, void *buffer, size_t most, bool nowait);
ssize_t host_write_stream(unsigned stream, const void *buffer, size_t bytes, bool nowait);
/* host_poll_now: which of the events (poll(2)) and POLLERR, POLLHUP are there now. Sleeps for the short answer only. */
u32 host_poll_now(unsigned stream, u32 events);

/* A standing POLL: wakes a queue when an event has come. Armed for one set of events at a time; ends when it has fired.
 */
struct host_watch;
struct host_watch *host_watch_create(unsigned stream,
                                     struct waitq *queue); /* NULL: no memory. For good, as the streams are */
void host_watch_arm(struct host_watch *w, u32 events);     /* may sleep, shortly */

/* host_trace: send words of a trace, in direct memory, WIRE_MOST bytes at most; returns when they may be overwritten.
 * One caller at a time. Sleeps; needs no memory once host_trace_open (false: no memory) was called. */
bool host_trace_open(void);
void host_trace(const u64 *words, u32 bytes);

/* host_stopped: tell the command that the program's process group stopped (WIRE_STOPPED). May sleep. */
void host_stopped(int signal);
