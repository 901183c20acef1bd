/* channel.c - cuts the byte stream of the wire into messages and back.
 *
 * What the guest sends is not trusted: a length out of range ends the run, it does not move our memory. */
#include "channel.h"
#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_ROOM (2 * (sizeof(struct wire_message) + CHANNEL_MOST))

void channel_open(struct channel *channel, int fd) {
    *channel = (struct channel){.fd = fd, .in = malloc(IN_ROOM)};
    if (!channel->in)
        fail("this machine has no memory left");
}

void channel_close(struct channel *channel) {
    if (channel->fd >= 0)
        close(channel->fd);
    free(channel->in);
    free(channel->out);
    *channel = (struct channel){.fd = -1};
}

static void append(struct channel *channel, const void *bytes, size_t count) {
    if (channel->out_start == channel->out_used)
        channel->out_start = channel->out_used = 0;
    if (channel->out_used + count > channel->out_room) {
        channel->out_room = 2 * (channel->out_used + count);
        channel->out = realloc(channel->out, channel->out_room);
        if (!channel->out)
            fail("this machine has no memory left");
    }
    memcpy(channel->out + channel->out_used, bytes, count);
    channel->out_used += count;
}

void channel_send(struct channel *channel, uint32_t type, uint32_t tag, int32_t value, const void *payload,
                  size_t bytes) {
    struct wire_message message = {.type = type, .tag = tag, .bytes = (uint32_t)bytes, .value = value};
    if (channel->fd < 0)
        return;
    append(channel, &message, sizeof message);
    if (bytes)
        append(channel, payload, bytes);
    channel_flush(channel);
}

void channel_flush(struct channel *channel) {
    while (channel_wants_out(channel)) {
        ssize_t n = send(channel->fd, channel->out + channel->out_start, channel->out_used - channel->out_start,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            channel->out_start = channel->out_used; /* gone; channel_fill or the machine's end will say so */
        if (n < 0)
            return;
        channel->out_start += (size_t)n;
    }
}

bool channel_wants_out(const struct channel *channel) {
    return channel->fd >= 0 && channel->out_start < channel->out_used;
}

int channel_fill(struct channel *channel) {
    ssize_t n = recv(channel->fd, channel->in + channel->in_used, IN_ROOM - channel->in_used, MSG_DONTWAIT);
    if (n > 0) {
        channel->in_used += (size_t)n;
        return 1;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

int channel_take(struct channel *channel, struct wire_message *message, const char **payload) {
    static char body[CHANNEL_MOST];
    if (channel->in_used < sizeof *message)
        return 0;
    memcpy(message, channel->in, sizeof *message);
    if (message->bytes > CHANNEL_MOST)
        return -1;
    size_t whole = sizeof *message + message->bytes;
    if (channel->in_used < whole)
        return 0;
    memcpy(body, channel->in + sizeof *message, message->bytes);
    channel->in_used -= whole;
    memmove(channel->in, channel->in + whole, channel->in_used);
    *payload = body;
    return 1;
}
