/* control.h - ancillary data: what goes with a message beside its bytes (cmsg(3)): descriptors and credentials.
 *
 * An `ancillary` holds open files, counted. While it lies in a socket's inbox its files are "in flight", which flight.c
 * counts: two sockets that lie in each other's inbox have no other way to be closed. */
#pragma once

#include "net/abi.h"

struct file;
struct message;
struct packet;

struct ancillary {
    struct list link; /* in the list of those that are being dropped */
    bool in_flight;   /* its files are counted by flight.c */
    u32 count;
    struct file *files[];
};

struct socket;

/* Where a receiver is told: kernel memory, `room` bytes, of which `used` are filled. */
struct control_out {
    char *buffer;
    size_t room, used;
    bool close_on_exec; /* MSG_CMSG_CLOEXEC */
};

/* control_take: what the caller sends along, from a kernel copy of its msg_control: files, credentials and what the
 * family knows into m.
 * -EBADF, -EINVAL, -EPERM (credentials that are not its own), -ENOMEM. On error m->carried is NULL. */
int control_take(const struct socket *s, const char *buffer, size_t bytes, struct message *m);
/* control_self: the caller's credentials, as SO_PEERCRED tells them: what it may do; control_sender: as SCM_CREDENTIALS
 * does: who it is. */
struct user_credentials control_self(void);
struct user_credentials control_sender(void);
/* control_take_files: what the packet carries goes to m->carried; of one that is peeked at, the same files once more.
 */
void control_take_files(struct packet *p, struct message *m);
/* control_put: append one piece; what does not fit is cut, and m->out_flags says MSG_CTRUNC. control_put_files: open
 * descriptors for m->carried, as many as fit; the rest is dropped. */
void control_put(struct message *m, int level, int type, const void *data, size_t bytes);
void control_put_files(struct message *m);

/* ancillary_make: room for so many files. ancillary_drop: puts them, which may close them; does not recurse, however
 * many sockets lie in one another. May sleep. ancillary_copy: the same files once more, not in flight. NULL: no memory.
 */
struct ancillary *ancillary_make(u32 files);
struct ancillary *ancillary_copy(const struct ancillary *a);
void ancillary_drop(struct ancillary *a);

/* flight.c. flight_begin: the files go into an inbox; -ETOOMANYREFS: too many are in flight. flight_end: they have come
 * out of it. flight_lock is held for flight_end, and while an ancillary is taken out of a packet or looked into.
 * flight_collect: close what only reaches itself; called when a socket was closed. All may sleep. */
int flight_begin(struct ancillary *a);
void flight_end(struct ancillary *a);
void flight_lock(void);
void flight_unlock(void);
void flight_collect(void);
