/* ping.c - ICMP's echo by sockets of datagrams, as ping(8) uses them: each address of this machine answers at once.
 *
 * A socket's port is the identifier of its requests, so the answer is for the socket that asked. That everybody may is
 * net.ipv4.ping_group_range as Debian sets it (icmp(7)). */
#include "net/inet.h"

#define HOPS 64 /* net.ipv4.ip_default_ttl */

struct echo { /* RFC 792, RFC 4443 4: most significant byte first */
    u8 type, code;
    u16 checksum, identifier, sequence;
};
enum { REPLY_V4 = 0, REQUEST_V4 = 8, REQUEST_V6 = 128, REPLY_V6 = 129 };

bool is_ping(const struct socket *s) { return s->protocol == IPPROTO_ICMP || s->protocol == IPPROTO_ICMPV6; }

static u32 add_bytes(u32 sum, const u8 *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        sum += i % 2 ? bytes[i] : (u32)bytes[i] << 8;
    return (sum & 0xffff) + (sum >> 16);
}

/* checksum: RFC 1071's, of IPv6 over who sends it to whom, too (RFC 4443 2.3). */
static u16 checksum(struct packet *p, const struct place *from, const struct place *to) {
    u32 sum = 0;
    size_t here;

    for (size_t at = 0; at < p->bytes; at += here) {
        const char *piece = packet_piece(p, at, &here); /* all but the last are even */
        sum = add_bytes(sum, (const u8 *)piece, here);
    }
    if (!ip_is_v4(to->ip)) {
        sum = add_bytes(sum, from->ip, sizeof(from->ip));
        sum = add_bytes(sum, to->ip, sizeof(to->ip)) + p->bytes + IPPROTO_ICMPV6;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)~sum;
}

/* answer: the request becomes its answer. -EINVAL: it is none. */
static int answer(struct packet *p, u16 identifier, const struct place *from, const struct place *to) {
    bool v4 = ip_is_v4(to->ip);
    size_t here;
    struct echo *header = (struct echo *)packet_piece(p, 0, &here);

    if (header->type != (v4 ? REQUEST_V4 : REQUEST_V6) || header->code)
        return -EINVAL;
    header->type = v4 ? REPLY_V4 : REPLY_V6;
    header->identifier = __builtin_bswap16(identifier);
    header->checksum = 0;
    header->checksum = __builtin_bswap16(checksum(p, to, from));
    return 0;
}

ssize_t ping_send(struct socket *s, struct message *m, const struct place *from, const struct place *to) {
    size_t bytes = m->data->bytes;
    struct place who = *to;
    struct packet *p;
    int error;

    if (bytes < sizeof(struct echo) || ip_is_v4(to->ip) != (s->ops->family == AF_INET))
        return -EINVAL;
    p = packet_make(NULL, bytes);
    error = p ? packet_fill(p, m->data) : -ENOBUFS;
    if (!error)
        error = answer(p, from->port, from, to);
    if (!error) {
        who.port = 0;
        place_give(s, &who, &p->from);
        memcpy(p->to, from->ip, sizeof(p->to));
        p->hops = HOPS;
        udp_deliver(s, p);
    } else if (p) {
        packet_put(p);
    }
    return error ? error : (ssize_t)bytes;
}
