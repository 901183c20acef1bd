/* place.c - IP addresses and ports: what users write, what is this machine's, what can be reached. */
#include "net/inet.h"

#define IN6_SHORT 24 /* struct sockaddr_in6 without the scope: RFC 2133 */

static const u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; /* ::ffff:0.0.0.0/96 */
static const u8 zeroes[16];

bool ip_is_v4(const u8 *ip) { return !memcmp(ip, mapped, sizeof(mapped)); }
bool ip_equal(const u8 *a, const u8 *b) { return !memcmp(a, b, 16); }

bool ip_is_any(const u8 *ip) {
    return ip_is_v4(ip) ? !memcmp(ip + 12, zeroes, 4) : !memcmp(ip, zeroes, sizeof(zeroes));
}

bool ip_is_local(const u8 *ip) {
    if (ip_is_v4(ip))
        return ip[12] == 127 && !ip_is_broadcast(ip);
    return !memcmp(ip, zeroes, 15) && ip[15] == 1;
}

bool ip_is_multicast(const u8 *ip) { return ip_is_v4(ip) ? ip[12] >> 4 == 14 : ip[0] == 0xff; }

bool ip_is_broadcast(const u8 *ip) {
    return ip_is_v4(ip) && (ip[12] == 255 || ip[12] == 127) && ip[13] == 255 && ip[14] == 255 && ip[15] == 255;
}

void ip_any(u8 *ip, bool v4) {
    memset(ip, 0, 16);
    if (v4)
        memcpy(ip, mapped, sizeof(mapped));
}

void ip_loopback(u8 *ip, bool v4) {
    ip_any(ip, v4);
    ip[15] = 1;
    if (v4)
        ip[12] = 127;
}

int place_take(const struct socket *s, const struct address *a, struct place *out) {
    if (s->ops->family == AF_INET) {
        if (a->bytes < sizeof(a->in))
            return -EINVAL;
        if (a->family != AF_INET && a->family != AF_UNSPEC)
            return -EAFNOSUPPORT;
        ip_any(out->ip, true);
        memcpy(out->ip + 12, &a->in.sin_addr, 4);
        out->port = __builtin_bswap16(a->in.sin_port);
        return 0;
    }
    if (a->bytes < IN6_SHORT)
        return -EINVAL;
    if (a->family != AF_INET6)
        return -EAFNOSUPPORT;
    memcpy(out->ip, &a->in6.sin6_addr, 16);
    out->port = __builtin_bswap16(a->in6.sin6_port);
    return 0;
}

void place_give(const struct socket *s, const struct place *p, struct address *out) {
    memset(out, 0, sizeof(*out));
    if (s->ops->family == AF_INET) {
        out->bytes = sizeof(out->in);
        out->in.sin_family = AF_INET;
        out->in.sin_port = __builtin_bswap16(p->port);
        memcpy(&out->in.sin_addr, p->ip + 12, 4);
    } else {
        out->bytes = sizeof(out->in6);
        out->in6.sin6_family = AF_INET6;
        out->in6.sin6_port = __builtin_bswap16(p->port);
        memcpy(&out->in6.sin6_addr, p->ip, 16);
    }
}

int place_route(struct socket *s, struct place *to) {
    bool v4 = ip_is_v4(to->ip), only = inet_kept(s, SOL_IPV6, IPV6_V6ONLY);
    struct inet_socket *i = inet_of(s);
    if (v4 && s->ops->family == AF_INET6 && only)
        return -ENETUNREACH;
    if (!v4 && ip_is_v4(i->local.ip)) /* bound to an IPv4 address */
        return -ENETUNREACH;
    if (ip_is_any(to->ip))
        ip_loopback(to->ip, v4 || ip_is_v4(i->local.ip));
    if (v4 && ip_is_broadcast(to->ip) && to->ip[12] == 127)
        return s->options.broadcast ? 0 : -EACCES;
    return ip_is_local(to->ip) ? 0 : -ENETUNREACH;
}

void place_print(char *text, size_t bytes, const struct place *p, bool v4) {
    u32 words[4];
    memcpy(words, p->ip, sizeof(words));
    if (v4)
        ksnprintf(text, bytes, "%08X:%04X", words[3], p->port);
    else
        ksnprintf(text, bytes, "%08X%08X%08X%08X:%04X", words[0], words[1], words[2], words[3], p->port);
}
