/* netlink.h - answers to netlink requests: netlink.c carries them, route.c says what is in them. */
#pragma once

#include <linux/netlink.h>

#include "net/socket.h"

#define REPLY_ROOM 2048

/* One datagram in the making: messages, one behind the other. */
struct reply {
    struct socket *socket; /* who asks */
    u32 port;              /* its number */
    const struct nlmsghdr *request;
    char *buffer; /* REPLY_ROOM bytes */
    size_t used;
};

/* reply_send: into the inbox of who asks, and begin anew. What the inbox does not hold is lost, and the next receive
 * says ENOBUFS. -ENOBUFS: no memory. */
int reply_send(struct reply *r);
/* route_request: answer r->request. 0, or what reply_send says. */
int route_request(struct reply *r);
