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
    bool awaited;             /* [a] a client found no room in its inbox since the clients were woken last */
    struct waitq room;        /* who has no room for a datagram in its inbox sleeps here */
    u32 in_flight;            /* [F] how often its file is in flight */
    bool candidate;           /* [F] */
    u32 inside;               /* [F] how often its file lies in a candidate's inbox, while that is counted */
    struct list collect_link; /* [F] */
};

extern struct list unix_sockets; /* all of them, by all_link */
extern struct spin unix_sockets_lock;

static inline struct unix_socket *unix_of(struct socket *s) { return container_of(s, struct unix_socket, socket); }
/* unix_tells: what s sends to the other says who it is: one of them asks for it, or nobody has accepted the other yet,
 * who may ask then. */
bool unix_tells(const struct socket *s, const struct socket *to);
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
/* unix_datagram_leave: it is no more connected to the peer. lost: what lies in its inbox will not be read: a peer that
 * is connected to it hears of that. */
void unix_datagram_leave(struct socket *s, struct socket *peer, bool lost);
void unix_datagram_room(struct socket *s); /* there may be room in its inbox: wake who waits for some */
bool unix_awaits_room(struct socket *s);   /* there is none, and clients are to hear when there is */
bool unix_inbox_full(const struct socket *s);
extern u64 unix_datagrams_most; /* net.unix.max_dgram_qlen */
