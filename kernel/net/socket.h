/* socket.h - sockets: what those of all families have, and what a family adds.
 *
 * Nouns. socket: one end of a conversation; its memory lives with its inode, whose references are the socket's. file:
 * what a descriptor refers to; a socket that waits to be accepted has none yet. inbox: the packets that have come and
 * were not taken. peer: the other end, counted. family: the functions behind one kind of socket (struct socket_ops).
 *
 *       A  send --> packet --> B's inbox --> receive  B        A->peer == B, and B->peer == A until one is closed
 *
 * Locks: docs/locks.md. control (sleeping): bind, listen, connect, one at a time. reading (sleeping): who takes bytes
 * of a stream. lock (spin): the rest; of two sockets only a listener's is held while another's is taken. */
#pragma once

#include <linux/time_types.h>

#include "fs/io.h"
#include "fs/vfs.h"
#include "net/packet.h"

struct socket;
struct text;

/* One call's worth of sending or receiving, in kernel memory. */
struct message {
    struct iov *data;
    u32 flags;                           /* MSG_* as asked */
    u32 out_flags;                       /* receiving: what msg_flags will say */
    u64 deadline_ns;                     /* SO_SNDTIMEO or SO_RCVTIMEO; 0: do not wait */
    struct address *name;                /* sending: to whom, or NULL; receiving: room for from whom, or NULL */
    struct user_credentials credentials; /* of who sends, if has_credentials */
    bool has_credentials;
    struct header_field {
        bool set; /* otherwise the socket's option says it */
        u8 value;
    } hops, traffic_class;       /* sending, of UDP */
    struct ancillary *carried;   /* files: sending: taken over when they are on the way; receiving: the caller drops */
    struct control_out *control; /* receiving: or NULL */
};

enum whose { OWN_NAME, PEER_NAME, ACCEPTED_NAME }; /* accepted: the peer's, even if the connection is over */

struct socket_ops {
    u16 family;
    u16 bytes;     /* of the whole socket: struct socket and what the family adds */
    bool connects; /* streams and seqpackets: listen, accept, hang-ups */
    /* Of streams. takes: would the socket take bytes now? Its lock is held, or the answer is a hint. refused: bytes for
     * the peer were not taken: what now? NULL: sending says so at once. source: where bytes come from; or NULL. */
    bool (*takes)(const struct socket *s);
    void (*refused)(struct socket *s, struct socket *peer);
    void (*source)(struct socket *s, struct address *out);
    bool (*ended)(const struct socket *s); /* nothing but the end can come, whatever the error; or NULL */
    void (*room)(struct socket *listener); /* there is a place in the row again; or NULL */
    int (*bind)(struct socket *s, const struct address *a);
    int (*connect)(struct socket *s, const struct address *a, u64 deadline_ns);
    int (*listen)(struct socket *s); /* may it? s->control is held; NULL: -EOPNOTSUPP */
    int (*name)(struct socket *s, enum whose whose, struct address *out);
    ssize_t (*send)(struct socket *s, struct message *m);
    ssize_t (*receive)(struct socket *s, struct message *m);
    int (*shutdown)(struct socket *s, u32 how); /* SHUT_RECEIVE, SHUT_SEND */
    u32 (*poll)(struct socket *s);
    long (*ioctl)(struct socket *s, u32 command, u64 argument); /* NULL: -ENOTTY */
    /* options of the family's levels, in kernel memory; *bytes is how many there are, and room for. -ENOPROTOOPT. */
    int (*set_option)(struct socket *s, int level, int name, const void *value, u32 bytes);
    int (*get_option)(struct socket *s, int level, int name, void *value, u32 *bytes);
    /* control: ancillary data of the family's levels, in kernel memory: into the message, or -EINVAL. NULL: ignored */
    int (*control)(int level, int type, const void *data, size_t bytes, struct message *m);
    /* describe: tell the receiver of a datagram what else is known of it (m->control is there); or NULL */
    void (*describe)(struct socket *s, const struct packet *p, struct message *m);
    void (*close)(struct socket *s);   /* its file is gone, or it was never accepted: tell the peer. May sleep */
    void (*destroy)(struct socket *s); /* its last reference is gone: what the family added; or NULL */
};

enum socket_state { SOCKET_FREE, SOCKET_CONNECTING, SOCKET_CONNECTED, SOCKET_LISTENING, SOCKET_CLOSED };

#define SHUT_RECEIVE 1u
#define SHUT_SEND 2u
#define SHUT_BOTH 3u

/* SOL_SOCKET: kept, and reported; those that are obeyed say by whom. */
struct socket_options {
    u32 reuse_address, reuse_port; /* port.c */
    u32 broadcast, keep_alive, dont_route, oob_inline, priority, timestamp, mark, no_check, overflows, zero_copy;
    u32 bound;                     /* SO_BINDTODEVICE: to lo, the one that there is */
    u32 pass_credentials;          /* the receive of AF_UNIX */
    u32 linger, linger_seconds;    /* tcp.c */
    u32 send_bytes, receive_bytes; /* what packets may cost */
    bool send_fixed;               /* SO_SNDBUF was set */
    u32 receive_least;
    u64 send_ns, receive_ns; /* SO_SNDTIMEO, SO_RCVTIMEO; SLEEP_FOREVER */
};

/* Legend: [c] constant; [l] ->lock; [a] atomic; [f] set before it can be found by others, then constant. */
struct socket {
    struct inode inode;
    const struct socket_ops *ops; /* [c] */
    int type, protocol;           /* [c] */
    struct mutex control, reading;
    struct spin lock;
    enum socket_state state;                  /* [l] to write, atomically read */
    u32 shut;                                 /* [l] to write, atomically read: SHUT_* */
    int error;                                /* [a] SO_ERROR: an errno, or 0 */
    bool dead;                                /* [l] closed: nothing comes in any more */
    bool crowded;                             /* [a] somebody found no room to send since the last wake */
    struct socket *peer;                      /* [l] counted, or NULL */
    struct file *file;                        /* [a] or NULL; not counted */
    u32 left;                                 /* [a] connections that it left itself: who waits in one does not go on */
    bool opened;                              /* it has or had a file: it was accepted */
    struct list inbox;                        /* [l] of packets */
    u32 inbox_packets;                        /* [l] to write, atomically read */
    u64 inbox_bytes, inbox_cost;              /* [l] bytes not taken yet; what they cost */
    struct packet *urgent;                    /* [l] the newest out-of-band byte, while its packet is in the inbox */
    bool urgent_taken;                        /* [l] MSG_OOB had it */
    u64 sent;                                 /* [a] cost of its packets that were not taken yet */
    struct waitq readers;                     /* something came, or will not come any more */
    struct waitq writers;                     /* there is room, or there is no sense in waiting for it */
    struct list pending;                      /* [l] a listener's: connections that nobody accepted, by pending_link */
    struct list pending_link;                 /* [listener's l] */
    u32 pending_count, backlog;               /* [l] */
    struct user_credentials peer_credentials; /* [l] SO_PEERCRED */
    struct socket_options options;            /* single words, each set and read atomically */
};

static inline enum socket_state socket_state(const struct socket *s) { return atomic_load(&s->state); }
static inline u32 socket_shut(const struct socket *s) { return atomic_load(&s->shut); }
static inline bool socket_has_packets(const struct socket *s) { return atomic_load(&s->inbox_packets) != 0; }
/* stream_has_bytes: some that a read would give; an out-of-band byte is not among them. A hint, without the lock. */
static inline bool stream_has_bytes(const struct socket *s) {
    return atomic_load(&s->inbox_packets) > (atomic_load(&s->urgent) && !s->options.oob_inline);
}

/* packet_of: the message's next bytes, with its credentials and the files that it carries, which pass over.
 * err_ptr(-ENOBUFS, -EFAULT, -ETOOMANYREFS). May sleep. */
struct packet *packet_of(struct socket *s, struct message *m, size_t bytes);

/* socket_make: with one reference, no file. NULL: no memory. socket_pair_up: the two are each other's peer from now
 * on, connected; neither can be found by others yet. */
struct socket *socket_make(const struct socket_ops *ops, int type, int protocol);
/* socket_open: its file: the socket's reference passes over. err_ptr(-ENOMEM, -ENFILE). */
struct file *socket_open(struct socket *s, int flags);
/* socket_die: from its family's close: nothing comes in any more, and its peer (counted, or NULL) is no more its peer.
 * *unread: it had bytes that nobody took. */
struct socket *socket_die(struct socket *s, bool *unread);
/* socket_drop: one that has no file, and gets none: closed and put. */
void socket_drop(struct socket *s);
void socket_get(struct socket *s);
void socket_put(struct socket *s);            /* may sleep */
struct socket *socket_peer(struct socket *s); /* counted, or NULL */
/* socket_of: of a descriptor's file, not counted itself; NULL: no socket. */
struct socket *socket_of(const struct file *f);
/* socket_create: socket(2): -EAFNOSUPPORT, -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -EINVAL, -EPERM, -ENOMEM. */
int socket_create(int family, int type, int protocol, struct socket **out);
/* socket_listen, socket_accept (listen.c): listen(2), accept(2). The accepted socket has a reference for the caller. */
int socket_listen(struct socket *s, int backlog);
extern u64 listen_most; /* net.core.somaxconn */
int socket_accept(struct socket *s, u64 deadline_ns, struct socket **out);
/* listener_offer: a connection that waits to be accepted; the listener's lock is held, and it listens. The reference
 * passes over. listener_full: no more fit. */
void listener_offer(struct socket *listener, struct socket *connection);
bool listener_full(const struct socket *listener);
/* listener_return: what socket_accept gave could not be told to the program (no memory): the next accept gets it,
 * unless s listens no more. May sleep. */
void listener_return(struct socket *s, struct socket *connection);
void listener_clear(struct socket *s); /* nobody will accept: close what waits. May sleep */

/* Sending and receiving. message_deadline: from O_NONBLOCK, MSG_DONTWAIT and the socket's timeout. */
u64 socket_deadline(const struct socket *s, const struct file *f, u32 flags, bool sending);
/* socket_wait: until the condition holds: 0; -EAGAIN at the deadline; -ERESTARTSYS or -EINTR for a signal. */
#define socket_wait(q, condition, deadline_ns)                                                                         \
    socket_wait_error((deadline_ns) ? wait_until_deadline(q, condition, true, deadline_ns) : -ETIMEDOUT, deadline_ns)
int socket_wait_error(int error, u64 deadline_ns);
/* socket_deliver: put a packet into the inbox, and wake. s->lock is held; it is neither dead nor shut. */
void socket_deliver(struct socket *s, struct packet *p);
struct packet *socket_take(struct socket *s); /* the oldest packet, out of the inbox; NULL. s->lock is held */
void socket_take_out(struct socket *s, struct packet *p); /* any one; s->lock is held */
void socket_clear(struct socket *s);                      /* what came and will not be taken: freed. May sleep */
int socket_error(struct socket *s);                       /* the pending error, taken: -errno or 0 */
void socket_fail(struct socket *s, int error);            /* a pending error (errno), and wake all */
void socket_wake(struct socket *s);                       /* all who wait for anything */
void socket_readable(struct socket *s);                   /* something came */
/* Room to send. socket_has_room: for one more packet. socket_await_room: 0: there is, or the socket was shut or failed;
 * or as socket_wait. socket_writable: enough that it is worth waking for; socket_poll_room: the same, and if there is
 * not, who polls will be woken. */
bool socket_has_room(const struct socket *s);
int socket_await_room(struct socket *s, u64 deadline_ns);
bool socket_writable(const struct socket *s);
bool socket_poll_room(struct socket *s);
ssize_t socket_broken(const struct message *m); /* -EPIPE, with SIGPIPE unless the caller does not want it */

/* stream.c: bytes in order, to a peer. stream_receive's end of what came is 0, or -ENOTCONN when never connected; with
 * MSG_OOB the out-of-band byte, -EINVAL: there is none. stream_at_mark: that byte is the next. stream_ahead: bytes up
 * to it, or all. */
ssize_t stream_send(struct socket *s, struct socket *peer, struct message *m);
ssize_t stream_receive(struct socket *s, struct message *m);
bool stream_at_mark(struct socket *s);
int stream_ahead(struct socket *s);

/* datagram.c: whole messages. */
ssize_t datagram_receive(struct socket *s, struct message *m);

/* option.c: setsockopt(2), getsockopt(2), on kernel memory. *bytes: the room, then what is there. OPTION_MOST: no value
 * is longer. option_int: -EINVAL: shorter than an int. */
#define OPTION_MOST 512
int socket_set_option(struct socket *s, int level, int name, const void *value, u32 bytes);
int socket_get_option(struct socket *s, int level, int name, void *value, u32 *bytes);
int option_int(const void *value, u32 bytes, int *out);
void option_put(void *value, u32 *bytes, const void *from, size_t size);
void option_put_int(void *value, u32 *bytes, int number);

/* The families' entries: a new socket of a type and protocol. 0, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EPERM, -ENOMEM.
 */
int unix_create(int type, int protocol, struct socket **out);
int netlink_create(int type, int protocol, struct socket **out);
int unix_pair(struct socket *a, struct socket *b); /* socketpair(2) */
