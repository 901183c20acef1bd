/* port.c - who has which local place: a table each for TCP, UDP, UDP-Lite and ICMP, hashed by port.
 *
 * A socket is in its table from bind (or the first call that needs a port) until it is closed. A connection that was
 * accepted shares its listener's port. What is sent to a place is for the socket that says it most exactly: one that is
 * connected to the sender, then one bound to the address, then one bound to any; of several equal ones (SO_REUSEPORT)
 * the sender's port chooses. */
#include "lib/random.h"
#include "net/inet.h"

#define BUCKETS 128
#define PORT_FIRST 32768 /* net.ipv4.ip_local_port_range */
#define PORT_LAST 60999

static struct table {
    struct spin lock;
    struct list buckets[BUCKETS]; /* [lock]; a zero head: nothing there so far */
} tables[PORTS];

enum ports ports_of(const struct socket *s) {
    if (s->type == SOCK_STREAM)
        return PORTS_TCP;
    return is_ping(s) ? PORTS_PING : s->protocol == IPPROTO_UDPLITE ? PORTS_UDPLITE : PORTS_UDP;
}
static struct table *table_of(const struct socket *s) { return &tables[ports_of(s)]; }

static struct list *bucket(struct table *t, u16 port) {
    struct list *l = &t->buckets[port % BUCKETS];
    if (!l->next)
        list_init(l);
    return l;
}

bool port_covers(const struct inet_socket *i, const u8 *ip) {
    const u8 *own = i->local.ip;
    if (!ip_is_any(own))
        return ip_equal(own, ip);
    if (ip_is_v4(own))
        return ip_is_v4(ip);
    return !ip_is_v4(ip) || !inet_kept(&i->socket, SOL_IPV6, IPV6_V6ONLY);
}

/* ---- binding ---- */

/* Would a packet to one also be for the other, if i were at this place? */
static bool overlap(struct inet_socket *i, const struct place *p, struct inet_socket *other) {
    struct place old = i->local;
    i->local = *p;
    bool both = port_covers(i, other->local.ip) || port_covers(other, p->ip);
    i->local = old;
    return both;
}

/* May the first have the port, too? */
static bool share(struct socket *a, struct socket *b) {
    if (a->options.reuse_port && b->options.reuse_port && a->inode.uid == b->inode.uid)
        return true;
    return a->options.reuse_address && b->options.reuse_address && !inet_of(b)->listens;
}

/* Is the place somebody else's? The table is locked. */
static bool taken(struct table *t, struct socket *s, const struct place *p, bool alone) {
    struct list *l = bucket(t, p->port);
    struct inet_socket *other;
    list_for_each(other, l, port_link) {
        if (&other->socket == s || other->local.port != p->port)
            continue;
        if (alone || (overlap(inet_of(s), p, other) && !share(s, &other->socket)))
            return true;
    }
    return false;
}

/* A port that nobody has, from a random one on. 0: none. */
static u16 free_port(struct table *t, struct socket *s, const struct place *p) {
    u32 count = PORT_LAST - PORT_FIRST + 1, start = (u32)(random_u64() % count);
    struct place try = *p;
    for (u32 n = 0; n < count; n++) {
        try.port = (u16)(PORT_FIRST + (start + n) % count);
        if (!taken(t, s, &try, true))
            return try.port;
    }
    return 0;
}

static void list_it(struct table *t, struct inet_socket *i) {
    list_add(bucket(t, i->local.port), &i->port_link);
    i->listed = true;
}

int port_bind(struct socket *s, const struct place *p, bool for_connect) {
    struct inet_socket *i = inet_of(s);
    struct table *t = table_of(s);
    struct place chosen = *p;
    int error = 0;
    spin_lock(&t->lock);
    if (!chosen.port)
        chosen.port = free_port(t, s, p);
    else if (taken(t, s, p, false))
        error = -EADDRINUSE;
    if (!chosen.port)
        error = for_connect ? -EADDRNOTAVAIL : -EADDRINUSE;
    if (!error) {
        i->local = chosen;
        list_it(t, i);
    }
    spin_unlock(&t->lock);
    return error;
}

int port_listen(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    struct table *t = table_of(s);
    spin_lock(&t->lock);
    i->listens = true;
    i->listens = !taken(t, s, &i->local, false);
    bool fine = i->listens;
    spin_unlock(&t->lock);
    return fine ? 0 : -EADDRINUSE;
}

void port_unlisten(struct socket *s) {
    struct table *t = table_of(s);
    spin_lock(&t->lock);
    inet_of(s)->listens = false;
    spin_unlock(&t->lock);
}

void port_share(struct socket *s, const struct place *local, const struct place *remote) {
    struct inet_socket *i = inet_of(s);
    struct table *t = table_of(s);
    spin_lock(&t->lock);
    i->local = *local;
    i->remote = *remote;
    list_it(t, i);
    spin_unlock(&t->lock);
}

void port_connect(struct socket *s, const struct place *local, const struct place *remote) {
    struct inet_socket *i = inet_of(s);
    struct table *t = table_of(s);
    spin_lock(&t->lock);
    memcpy(i->local.ip, local->ip, sizeof(i->local.ip));
    i->remote = *remote;
    spin_unlock(&t->lock);
}

void port_leave(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    struct table *t = table_of(s);
    spin_lock(&t->lock);
    if (i->listed) {
        list_del(&i->port_link);
        i->listed = i->listens = false;
    }
    spin_unlock(&t->lock);
}

/* ---- finding ---- */

/* How exactly the socket is meant: 0: not at all. */
static unsigned score(struct inet_socket *i, enum ports table, const struct place *to, const struct place *from) {
    if (i->local.port != to->port || !port_covers(i, to->ip))
        return 0;
    if (table == PORTS_TCP && socket_state(&i->socket) != SOCKET_LISTENING)
        return 0;
    bool connected = table != PORTS_TCP && i->remote.port;
    if (connected && (i->remote.port != from->port || !ip_equal(i->remote.ip, from->ip)))
        return 0;
    return 1 + (connected ? 4 : 0) + (ip_is_any(i->local.ip) ? 0 : 2) + (ip_is_v4(to->ip) == ip_is_v4(i->local.ip));
}

struct socket *port_find(enum ports table, const struct place *to, const struct place *from) {
    struct table *t = &tables[table];
    struct inet_socket *i, *best = NULL;
    unsigned most = 0, equals = 0;
    spin_lock(&t->lock);
    struct list *l = bucket(t, to->port);
    list_for_each(i, l, port_link) {
        unsigned now = score(i, table, to, from);
        equals = now > most ? 1 : equals + (now && now == most);
        if (now > most || (now && now == most && from->port % equals == 0))
            best = i;
        most = max(most, now);
    }
    if (best)
        socket_get(&best->socket);
    spin_unlock(&t->lock);
    return best ? &best->socket : NULL;
}

u32 port_list(enum ports table, struct socket **out, u32 room) {
    struct table *t = &tables[table];
    struct inet_socket *i;
    u32 count = 0;
    spin_lock(&t->lock);
    for (u32 n = 0; n < BUCKETS; n++) {
        struct list *l = bucket(t, (u16)n);
        list_for_each(i, l, port_link) {
            if (count < room) {
                socket_get(&i->socket);
                out[count++] = &i->socket;
            }
        }
    }
    spin_unlock(&t->lock);
    return count;
}
