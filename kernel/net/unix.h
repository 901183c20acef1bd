/* unix.h - AF_UNIX: what its files share. unix.c: the family's operations; unix_name.c: who is called what;
 * unix_datagram.c: sending to whoever is called so. */
#pragma once

#include "net/socket.h"

/* Legend: as in socket.h; [n] unix_names' lock, and [c]ontrol to write; [A] unix_sockets_lock; [F] flight.c's mutex. */
struct unix_socket {
    struct socket socket;
    struct address name;      /* set once, `bytes` last: atomically read */
    struct path path;         /* [n] of a socket with a name in the file system; counted */
    struct list name_link;    /* [n] in a bucket of names */
    struct list all_link;     /* [A] in unix_sockets */
    struct list clients;      /* [socket.lock] datagram sockets that are connected to it, by client_link */
    struct list client_link;  /* [peer's socket.lock] */
    struct waitq room;        /* who has no room for a datagram in its inbox sleeps here */
    u32 in_flight;            /* [F] how often its file is in flight */
    bool candidate;           /* [F] */
    struct list collect_link; /* [F] */
};

extern struct list unix_sockets; /* all of them, by all_link */
extern struct spin unix_sockets_lock;

static inline struct unix_socket *unix_of(struct socket *s) { return container_of(s, struct unix_socket, socket); }
/* unix_list: all of them, counted, as many as there is room for. Returns how many. */
u32 unix_list(struct socket **out, u32 room);
struct unix_socket *unix_of_file(const struct file *f); /* NULL: it is something else */

/* unix_name.c */
/* unix_bind: bind(2). -EINVAL (has a name; no such name), -EADDRINUSE, and what making a file may say. */
int unix_bind(struct socket *s, const struct address *a);
int unix_autobind(struct socket *s); /* gives it an abstract name of five digits, if it has none */
void unix_unbind(struct socket *s);  /* nobody finds it any more. May sleep */
/* unix_find: the socket of that name and type, counted. -ECONNREFUSED, -EPROTOTYPE, and what walking may say. */
int unix_find(const struct address *a, int type, struct socket **out);
int unix_check(const struct address *a);                    /* is it an address of this family? 0, -EINVAL */
void unix_copy_name(struct socket *s, struct address *out); /* none: only the family, two bytes */

/* unix_datagram.c: of datagram and seqpacket sockets. */
int unix_datagram_connect(struct socket *s, const struct address *a, u64 deadline_ns);
ssize_t unix_datagram_send(struct socket *s, struct message *m);
void unix_datagram_leave(struct socket *s, struct socket *peer); /* it is no more connected to the peer */
void unix_datagram_room(struct socket *s, u32 before); /* its inbox had so many packets: wake who waited for less */
bool unix_inbox_full(const struct socket *s);
extern u64 unix_datagrams_most; /* net.unix.max_dgram_qlen */
