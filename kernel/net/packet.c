/* packet.c - the memory of packets: small ones in one piece, others by the page; and who pays for it. */
#include "net/packet.h"

#include "net/socket.h"
#include "vm/frame.h"
#include "vm/slab.h"

#define INLINE_MOST (1024 - sizeof(struct packet)) /* bytes that lie behind the packet itself */
#define MEMORY_SHARE 4                             /* all packets together may have this part of the machine's memory */

static u64 memory; /* [a] bytes that packets hold */

u64 packet_memory(void) { return atomic_load_relaxed(&memory); }
bool packet_memory_short(void) { return packet_memory() >= (frame_count << PAGE_SHIFT) / MEMORY_SHARE; }

static u32 pages_for(size_t bytes) { return bytes <= INLINE_MOST ? 0 : (u32)(page_align_up(bytes) >> PAGE_SHIFT); }

u32 packet_cost(size_t bytes) {
    u32 pages = pages_for(bytes);
    return (u32)(sizeof(struct packet) + (pages ? pages * (PAGE_SIZE + sizeof(char *)) : bytes));
}

static void pages_drop(struct packet *p, u32 count) {
    while (count)
        pages_free(p->piece[--count], 0);
}

struct packet *packet_make(struct socket *sender, size_t bytes) {
    u32 pages = pages_for(bytes);
    struct packet *p = kmalloc(sizeof(*p) + (pages ? pages * sizeof(char *) : bytes));
    if (!p)
        return NULL;
    *p = (struct packet){.references = 1, .bytes = (u32)bytes, .cost = packet_cost(bytes), .sender = sender};
    list_init(&p->link);
    for (p->pages = 0; p->pages < pages; p->pages++) {
        p->piece[p->pages] = pages_alloc(0, 0);
        if (!p->piece[p->pages]) {
            pages_drop(p, p->pages);
            kfree(p);
            return NULL;
        }
    }
    if (sender) {
        socket_get(sender);
        atomic_add(&sender->sent, p->cost);
    }
    atomic_add(&memory, p->cost);
    return p;
}

void packet_get(struct packet *p) { atomic_add(&p->references, 1); }

void packet_put(struct packet *p) {
    struct socket *sender = p->sender;
    if (atomic_sub(&p->references, 1))
        return;
    if (p->carried) {
        flight_lock();
        flight_end(p->carried);
        flight_unlock();
        ancillary_drop(p->carried);
    }
    atomic_sub(&memory, p->cost);
    if (sender)
        atomic_sub(&sender->sent, p->cost);
    pages_drop(p, p->pages);
    kfree(p);
    if (!sender)
        return;
    if (atomic_load(&sender->crowded) && socket_writable(sender)) {
        atomic_store(&sender->crowded, false);
        waitq_wake_all(&sender->writers);
    }
    socket_put(sender);
}

char *packet_piece(struct packet *p, size_t offset, size_t *here) {
    if (!p->pages) {
        *here = p->bytes - offset;
        return (char *)p->piece + offset;
    }
    *here = min(PAGE_SIZE - offset % PAGE_SIZE, p->bytes - offset);
    return p->piece[offset / PAGE_SIZE] + offset % PAGE_SIZE;
}

int packet_fill(struct packet *p, struct iov *from) {
    size_t here;
    for (size_t at = 0; at < p->bytes; at += here) {
        char *to = packet_piece(p, at, &here);
        if (iov_take(from, to, here) != here)
            return -EFAULT;
    }
    return 0;
}

int packet_copy(struct packet *p, size_t offset, size_t bytes, struct iov *to) {
    size_t here;
    for (size_t end = offset + bytes; offset < end; offset += here) {
        char *from = packet_piece(p, offset, &here);
        here = min(here, end - offset);
        if (iov_put(to, from, here) != here)
            return -EFAULT;
    }
    return 0;
}

struct packet *packet_of(struct socket *s, struct message *m, size_t bytes) {
    struct packet *p = packet_make(s, bytes);
    int error = p ? packet_fill(p, m->data) : -ENOBUFS;
    if (!error && m->carried)
        error = flight_begin(m->carried);
    if (error) {
        if (p)
            packet_put(p);
        return err_ptr(error);
    }
    p->credentials = m->credentials;
    p->has_credentials = m->has_credentials;
    p->carried = m->carried;
    m->carried = NULL;
    return p;
}
