/* inet.h - TCP and UDP inside this machine, over IPv4 and IPv6: what their files share.
 *
 * Nouns. place: an IP address and a port; IPv4 addresses are kept as IPv6 has them (::ffff:a.b.c.d), so there is one
 * kind. port table (port.c): who has which local place. There is one interface, lo: an address is this machine's
 * (127.0.0.0/8, ::1) or cannot be reached. */
#pragma once

#include "net/socket.h"

struct place {
    u8 ip[16];
    u16 port; /* of this machine's byte order */
};

#define INET_KEPT 80 /* options that are only kept and reported (inet_option.c) */

/* Legend: as in socket.h; [P] its port table's lock; [c] s->control. */
struct inet_socket {
    struct socket socket;
    struct place local, remote; /* [c] and [P] to write; remote.port 0: none */
    bool listed, listens;       /* [P] in a port table: the port is its own; it listens there */
    bool port_asked, ip_asked;  /* [c] local was chosen by bind, and stays when a connection ends */
    struct list port_link;      /* [P] */
    s32 kept[INET_KEPT];        /* single words, each read and written atomically */
    struct list errors;         /* [l] UDP's: packets that found nobody, for MSG_ERRQUEUE */

    /* TCP */
    bool asked;             /* [c] connect was called, and its outcome was not told yet */
    u32 own_shut;           /* [l] what we shut ourselves; socket.shut has what the peer did too */
    bool finished;          /* [l] the peer's end of bytes has come */
    struct socket *door;    /* [c] the listener at which it knocks; counted */
    struct socket *end;     /* [door's l] the other end that it brings along; its reference is ours */
    struct list knocking;   /* [l] a listener's: those for whom there was no place in the row, by knock_link */
    struct list knock_link; /* [door's l] */
    u64 began_ns, bytes_sent, bytes_received; /* TCP_INFO */
};

static inline struct inet_socket *inet_of(struct socket *s) { return container_of(s, struct inet_socket, socket); }

/* place.c */
bool ip_is_v4(const u8 *ip);
bool ip_is_any(const u8 *ip);
bool ip_is_local(const u8 *ip); /* this machine's, and not "any" */
bool ip_is_multicast(const u8 *ip);
bool ip_is_broadcast(const u8 *ip);
bool ip_equal(const u8 *a, const u8 *b);
void ip_loopback(u8 *ip, bool v4);
void ip_any(u8 *ip, bool v4);
/* place_take: a user's address for a socket: -EINVAL (too short), -EAFNOSUPPORT. place_give: the other way. */
int place_take(const struct socket *s, const struct address *a, struct place *out);
void place_give(const struct socket *s, const struct place *p, struct address *out);
/* place_route: where to send to: "any" becomes the loopback address. -ENETUNREACH, -EACCES (broadcast). */
int place_route(struct socket *s, struct place *to);
/* place_print: as /proc/net/tcp has it. */
void place_print(char *text, size_t bytes, const struct place *p, bool v4);

/* port.c. A table for each of TCP and UDP, and for identifiers of ICMP. */
enum ports { PORTS_TCP, PORTS_UDP, PORTS_UDPLITE, PORTS_PING, PORTS };
enum ports ports_of(const struct socket *s);
/* port_bind: the place is the socket's from now on; port 0: a free one. s->control is held. -EADDRINUSE; -EADDRNOTAVAIL
 * when it was to choose for connect. port_share: a connection gets its listener's port. port_leave: may be called
 * again.
 */
int port_bind(struct socket *s, const struct place *p, bool for_connect);
int port_listen(struct socket *s); /* it has a port, and listens there from now on. -EADDRINUSE: another one does */
void port_unlisten(struct socket *s);
void port_share(struct socket *s, const struct place *local, const struct place *remote);
void port_connect(struct socket *s, const struct place *local, const struct place *remote); /* both change at once */
void port_leave(struct socket *s);
/* port_find: the socket that what comes from `from` to `to` is for, counted: a listener of TCP, any of UDP. NULL. */
struct socket *port_find(enum ports table, const struct place *to, const struct place *from);
/* port_list: the sockets of a table, counted, as many as there is room for. Returns how many. */
u32 port_list(enum ports table, struct socket **out, u32 room);
bool port_covers(const struct inet_socket *i, const u8 *ip); /* does what is sent to that address come to it? */

/* inet.c: what TCP and UDP have in common. */
int inet_bind(struct socket *s, const struct address *a);
int inet_name(struct socket *s, enum whose whose, struct address *out);
struct socket *inet_make(const struct socket_ops *ops, int type, int protocol);
int inet_create(int family, int type, int protocol, struct socket **out);
extern const struct socket_ops tcp_ops, tcp6_ops, udp_ops, udp6_ops;

/* udp_deliver: the packet's reference passes over; what SO_RCVBUF does not hold is dropped. May sleep. */
void udp_deliver(struct socket *to, struct packet *p);

/* ping.c. ping_send: a request of ICMP's echo, answered. -EINVAL: it is none. */
bool is_ping(const struct socket *s);
ssize_t ping_send(struct socket *s, struct message *m, const struct place *from, const struct place *to);

/* inet_option.c */
void inet_options_begin(struct inet_socket *i);
int inet_set_option(struct socket *s, int level, int name, const void *value, u32 bytes);
int inet_get_option(struct socket *s, int level, int name, void *value, u32 *bytes);
int inet_kept(const struct socket *s, int level, int name);     /* the value of a kept option */
u8 tcp_state(struct socket *s);                                 /* as Linux numbers it */
int tcp_information(struct socket *s, void *value, u32 *bytes); /* TCP_INFO; tcp_info.c */
