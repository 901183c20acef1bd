/* packet.h - what travels between sockets: some bytes, who sent them, and what goes with them.
 *
 * A packet is memory of the kernel that its sender pays for until it is taken: the cost counts against the sender's
 * SO_SNDBUF (socket->sent), and against a bound for all sockets together. */
#pragma once

#include "net/address.h"
#include "net/control.h"

struct socket;
struct iov;

#define PACKET_STREAM_MOST (16 * KiB) /* a stream's bytes travel in packets of at most so many */

/* Legend: [c] constant once it is sent; [i] its inbox's lock; [r] the receiver's `reading`. */
struct packet {
    struct list link;                    /* [i] in socket->inbox */
    u32 references;                      /* [a] */
    u32 bytes;                           /* [c] */
    u32 taken;                           /* [r] of a stream: the reader has had so many */
    u32 cost;                            /* [c] bytes of memory */
    struct socket *sender;               /* [c] counted: who pays; NULL: its receiver */
    struct address from;                 /* [c] as recvfrom tells */
    u8 to[16];                           /* [c] of UDP: the address it was sent to */
    u8 hops, traffic_class;              /* [c] of UDP: as IP's header would say */
    struct user_credentials credentials; /* [c] of who sent it, if has_credentials */
    bool has_credentials;
    struct ancillary *carried; /* [r] open files, or NULL */
    u32 pages;                 /* [c] pages that hold the bytes; 0: they follow the packet itself */
    char *piece[];             /* [c] the pages */
};

/* packet_make: room for `bytes`, paid for by the sender, if there is one. NULL: no memory. */
struct packet *packet_make(struct socket *sender, size_t bytes);
void packet_get(struct packet *p);
void packet_put(
    struct packet *p); /* the last one frees, files that it carries too; wakes who waits for room. May sleep */
/* packet_fill, packet_copy: move bytes between the packet, from `offset`, and a cursor. 0 or -EFAULT. */
int packet_fill(struct packet *p, struct iov *from);
int packet_copy(struct packet *p, size_t offset, size_t bytes, struct iov *to);
/* packet_piece: where byte `offset` lies, and in *here how many bytes are together from there. */
char *packet_piece(struct packet *p, size_t offset, size_t *here);
/* packet_cost: what a packet of so many bytes costs. */
u32 packet_cost(size_t bytes);
bool packet_memory_short(void); /* all sockets together hold as much as they may */
u64 packet_memory(void);        /* bytes that packets of all sockets hold now */
