/* channel.h - the wire to the guest: whole messages in and out of one socket (kernel/lib/wire.h says what they mean).
 */
#pragma once

#include "../kernel/lib/wire.h"

#include <stdbool.h>
#include <stddef.h>

/* The longest message a guest may send: a WRITE. (STATS and FAIL are shorter.) */
#define CHANNEL_MOST WIRE_MOST

struct channel {
    int fd; /* non-blocking; -1: closed */
    /* in: bytes [0, in_used) received and not yet taken */
    char *in;
    size_t in_used;
    /* out: bytes [out_start, out_used) not yet sent */
    char *out;
    size_t out_start, out_used, out_room;
};

void channel_open(struct channel *channel, int fd);
void channel_close(struct channel *channel);

/* Queues a message, and sends what the socket takes at once. Never blocks. */
void channel_send(struct channel *channel, uint32_t type, uint32_t tag, int32_t value, const void *payload,
                  size_t bytes);

/* Sends more of what is queued. */
void channel_flush(struct channel *channel);
bool channel_wants_out(const struct channel *channel);

/* Receives once, without blocking. 1: bytes came; 0: none now; -1: the other side is gone. */
int channel_fill(struct channel *channel);

/* Takes one whole message: 1 and `*payload` valid until the next channel_fill or channel_take; 0: none yet; -1: what
 * came is no message of this protocol. */
int channel_take(struct channel *channel, struct wire_message *message, const char **payload);
