/* inet_option.c - options of IP, IPv6, TCP and UDP. Most change what goes over a wire, which there is not: they are
 * checked, kept, and reported, by a line of the table each. */
#include <linux/capability.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "net/inet.h"
#include "task/task.h"

/* udplite.h of Linux is not for users: how much of a datagram its checksum covers, which nothing here makes. */
enum { UDPLITE_SEND_CSCOV = 10, UDPLITE_RECV_CSCOV };

#define IPV6_MTU_LEAST 1280 /* RFC 8200 */
#define SEGMENT 32741       /* TCP_MAXSEG over lo: half of what its window can be */

enum kind { ANY = 1, SWITCH }; /* SWITCH: what is not 0 is 1 */

static const struct option {
    s16 level, name;
    s32 initial, least, most;
    u8 kind;
} options[] = {
    {SOL_IP, IP_TOS, 0, 0, 255, ANY},
    {SOL_IP, IP_TTL, 64, -1, 255, ANY},
    {SOL_IP, IP_RECVOPTS, 0, 0, 0, SWITCH},
    {SOL_IP, IP_RETOPTS, 0, 0, 0, SWITCH},
    {SOL_IP, IP_PKTINFO, 0, 0, 0, SWITCH},
    {SOL_IP, IP_RECVTTL, 0, 0, 0, SWITCH},
    {SOL_IP, IP_RECVTOS, 0, 0, 0, SWITCH},
    {SOL_IP, IP_RECVERR, 0, 0, 0, SWITCH},
    {SOL_IP, IP_FREEBIND, 0, 0, 0, SWITCH},
    {SOL_IP, IP_BIND_ADDRESS_NO_PORT, 0, 0, 0, SWITCH},
    {SOL_IP, IP_MTU_DISCOVER, 1, 0, 5, ANY},
    {SOL_IP, IP_MULTICAST_TTL, 1, -1, 255, ANY},
    {SOL_IP, IP_MULTICAST_LOOP, 1, 0, 0, SWITCH},
    {SOL_IP, IP_MULTICAST_ALL, 1, 0, 1, ANY},
    {SOL_IPV6, IPV6_V6ONLY, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_UNICAST_HOPS, 64, -1, 255, ANY},
    {SOL_IPV6, IPV6_MULTICAST_HOPS, 1, -1, 255, ANY},
    {SOL_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 1, ANY},
    {SOL_IPV6, IPV6_MULTICAST_IF, 0, 0, 1, ANY},
    {SOL_IPV6, IPV6_RECVPKTINFO, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVHOPLIMIT, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVTCLASS, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVERR, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_TCLASS, 0, -1, 255, ANY},
    {SOL_IPV6, IPV6_MTU_DISCOVER, 1, 0, 5, ANY},
    {SOL_IPV6, IPV6_DONTFRAG, 0, 0, 0, SWITCH},
    {SOL_TCP, TCP_NODELAY, 0, 0, 0, SWITCH},
    {SOL_TCP, TCP_CORK, 0, 0, 0, SWITCH},
    {SOL_TCP, TCP_KEEPIDLE, 7200, 1, 32767, ANY},
    {SOL_TCP, TCP_KEEPINTVL, 75, 1, 32767, ANY},
    {SOL_TCP, TCP_KEEPCNT, 9, 1, 127, ANY},
    {SOL_TCP, TCP_SYNCNT, 6, 1, 127, ANY},
    {SOL_TCP, TCP_LINGER2, 60, INT32_MIN, INT32_MAX, ANY},
    {SOL_TCP, TCP_DEFER_ACCEPT, 0, INT32_MIN, INT32_MAX, ANY},
    {SOL_TCP, TCP_WINDOW_CLAMP, 0, 0, INT32_MAX, ANY},
    {SOL_TCP, TCP_QUICKACK, 1, 0, 0, SWITCH},
    {SOL_TCP, TCP_USER_TIMEOUT, 0, 0, INT32_MAX, ANY},
    {SOL_TCP, TCP_FASTOPEN, 0, 0, INT32_MAX, ANY},
    {SOL_TCP, TCP_FASTOPEN_CONNECT, 0, 0, 1, ANY},
    {SOL_TCP, TCP_NOTSENT_LOWAT, 0, INT32_MIN, INT32_MAX, ANY},
    {SOL_TCP, TCP_SAVE_SYN, 0, 0, 2, ANY},
    {SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0, 0, 1, ANY},
    {SOL_TCP, TCP_INQ, 0, 0, 1, ANY},
    {SOL_TCP, TCP_TX_DELAY, 0, 0, INT32_MAX, ANY},
    {SOL_UDP, UDP_CORK, 0, 0, 0, SWITCH},
    {SOL_UDP, UDP_SEGMENT, 0, 0, 65535, ANY},
    {SOL_UDP, UDP_GRO, 0, 0, 0, SWITCH},
    {SOL_UDPLITE, UDPLITE_SEND_CSCOV, 0, 0, 65535, ANY},
    {SOL_UDPLITE, UDPLITE_RECV_CSCOV, 0, 0, 65535, ANY},
    {SOL_UDP, UDP_NO_CHECK6_TX, 0, 0, 0, SWITCH},
    {SOL_UDP, UDP_NO_CHECK6_RX, 0, 0, 0, SWITCH},
    {SOL_IP, IP_PASSSEC, 0, 0, 0, SWITCH},
    {SOL_IP, IP_TRANSPARENT, 0, 0, 0, SWITCH},
    {SOL_IP, IP_ORIGDSTADDR, 0, 0, 0, SWITCH},
    {SOL_IP, IP_MINTTL, 0, 0, 255, ANY},
    {SOL_IP, IP_CHECKSUM, 0, 0, 0, SWITCH},
    {SOL_IP, IP_RECVERR_RFC4884, 0, 0, 1, ANY},
    {SOL_IPV6, IPV6_2292PKTINFO, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_2292HOPOPTS, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_2292DSTOPTS, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_2292RTHDR, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_2292HOPLIMIT, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_FLOWINFO, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_FLOWINFO_SEND, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_MULTICAST_ALL, 1, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_ROUTER_ALERT_ISOLATE, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVHOPOPTS, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVRTHDR, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVDSTOPTS, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVPATHMTU, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_AUTOFLOWLABEL, 1, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_MINHOPCOUNT, 0, 0, 255, ANY},
    {SOL_IPV6, IPV6_ORIGDSTADDR, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_TRANSPARENT, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_RECVFRAGSIZE, 0, 0, 0, SWITCH},
    {SOL_IPV6, IPV6_FREEBIND, 0, 0, 0, SWITCH},
};
_Static_assert(array_count(options) <= INET_KEPT, "a word for each");

/* Which line of the table; -1: none. */
static int find(int level, int name) {
    for (unsigned n = 0; n < array_count(options); n++) {
        if (options[n].level == level && options[n].name == name)
            return (int)n;
    }
    return -1;
}

int inet_kept(const struct socket *s, int level, int name) {
    return atomic_load_relaxed(&inet_of((struct socket *)s)->kept[find(level, name)]);
}

void inet_options_begin(struct inet_socket *i) {
    for (unsigned n = 0; n < array_count(options); n++)
        i->kept[n] = options[n].initial;
}

/* Does a socket of this kind have options of the level? */
static bool has_level(const struct socket *s, int level) {
    switch (level) {
    case SOL_IP:
        return true;
    case SOL_IPV6:
        return s->ops->family == AF_INET6;
    case SOL_TCP:
        return s->type == SOCK_STREAM;
    default:
        return level == s->protocol || (level == SOL_UDP && s->protocol == IPPROTO_UDPLITE);
    }
}

/* To receive what is for others takes the right to; to stop it does not. */
static bool may_set(const struct option *o, int number) {
    bool transparent =
        (o->level == SOL_IP && o->name == IP_TRANSPARENT) || (o->level == SOL_IPV6 && o->name == IPV6_TRANSPARENT);
    return !transparent || !number || capable(CAP_NET_RAW) || capable(CAP_NET_ADMIN);
}

static int set_kept(struct inet_socket *i, const struct option *o, int number) {
    bool type_of_service = o->name == (o->level == SOL_IP ? IP_TOS : IPV6_TCLASS) && o->level != SOL_TCP;
    if (o->level == SOL_IPV6 && o->name == IPV6_V6ONLY && i->listed)
        return -EINVAL;
    if (!may_set(o, number))
        return -EPERM;
    if (o->kind == SWITCH)
        number = number != 0;
    else if (number < o->least || number > o->most || (!number && o->level == SOL_IP && o->name == IP_TTL))
        return -EINVAL;
    else if (number == -1 && o->least == -1)
        number = o->initial; /* back to what it was */
    if (type_of_service && i->socket.type == SOCK_STREAM)
        number &= ~3; /* the two bits are TCP's own */
    atomic_store(&i->kept[o - options], number);
    return 0;
}

/* Groups are joined and left without effect: nothing is ever sent to one. */
static int set_group(struct socket *s, int level, int name, u32 bytes) {
    bool v4 = level == SOL_IP && (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP || name == IP_MULTICAST_IF);
    bool v6 = level == SOL_IPV6 && (name == IPV6_ADD_MEMBERSHIP || name == IPV6_DROP_MEMBERSHIP);
    bool any = name >= MCAST_JOIN_GROUP && name <= MCAST_LEAVE_SOURCE_GROUP;
    if (!v4 && !v6 && !any)
        return -ENOPROTOOPT;
    if (s->type == SOCK_STREAM)
        return -EPROTO;
    return bytes < (v4 ? 4u : sizeof(struct ipv6_mreq)) ? -EINVAL : 0;
}

static int set_congestion(const char *value, u32 bytes) {
    if (!bytes)
        return -EINVAL;
    bool known = (bytes >= 5 && !memcmp(value, "cubic", 5)) || (bytes >= 4 && !memcmp(value, "reno", 4));
    return known ? 0 : -ENOENT;
}

int inet_set_option(struct socket *s, int level, int name, const void *value, u32 bytes) {
    int number = 0, index = find(level, name);
    if (!has_level(s, level))
        return -ENOPROTOOPT;
    if (level == SOL_TCP && name == TCP_CONGESTION)
        return set_congestion(value, bytes);
    if (index < 0 && level != SOL_IP && level != SOL_IPV6)
        return name == TCP_MAXSEG && level == SOL_TCP ? 0 : -ENOPROTOOPT;
    if (index < 0 && (level != SOL_IPV6 || name != IPV6_MTU))
        return set_group(s, level, name, bytes);
    if (bytes >= sizeof(number))
        memcpy(&number, value, sizeof(number));
    else if (level == SOL_IP && bytes)
        number = *(const u8 *)value; /* IPv4's may be a byte */
    else
        return -EINVAL;
    if (index < 0) /* how large a fragment may be, and nothing here makes any; read, it is the path's */
        return number && number < IPV6_MTU_LEAST ? -EINVAL : 0;
    return set_kept(inet_of(s), &options[index], number);
}

/* TCP's options that are not one number that is kept. -ENOPROTOOPT. */
static int get_tcp(struct socket *s, int name, void *value, u32 *bytes) {
    static const char congestion[16] = "cubic";
    switch (name) {
    case TCP_MAXSEG:
        option_put_int(value, bytes, socket_state(s) == SOCKET_CONNECTED ? SEGMENT : 536);
        return 0;
    case TCP_CONGESTION:
        option_put(value, bytes, congestion, sizeof(congestion));
        return 0;
    case TCP_INFO:
        return tcp_information(s, value, bytes);
    default:
        return -ENOPROTOOPT;
    }
}

int inet_get_option(struct socket *s, int level, int name, void *value, u32 *bytes) {
    int index = find(level, name);
    if (!has_level(s, level))
        return -EOPNOTSUPP;
    if (index >= 0) {
        option_put_int(value, bytes, inet_of(s)->kept[index]);
        return 0;
    }
    if (level == SOL_TCP)
        return get_tcp(s, name, value, bytes);
    if ((level == SOL_IP && name == IP_MTU) || (level == SOL_IPV6 && name == IPV6_MTU)) {
        option_put_int(value, bytes, 65536);
        return socket_state(s) == SOCKET_CONNECTED ? 0 : -ENOTCONN;
    }
    if (level == SOL_IP && name == IP_OPTIONS) {
        *bytes = 0;
        return 0;
    }
    return -ENOPROTOOPT;
}
