/* inet.c - AF_INET and AF_INET6: making a socket, its names, binding. TCP and UDP are tcp.c and udp.c. */
#include <linux/capability.h>

#include "net/inet.h"
#include "task/task.h"

#define TCP_SEND_FIRST 16384     /* net.ipv4.tcp_wmem, until it is connected */
#define TCP_RECEIVE_FIRST 131072 /* net.ipv4.tcp_rmem */
#define PORT_FREE 1024           /* ports below it need CAP_NET_BIND_SERVICE */

struct socket *inet_make(const struct socket_ops *ops, int type, int protocol) {
    struct socket *s = socket_make(ops, type, protocol);
    if (!s)
        return NULL;
    struct inet_socket *i = inet_of(s);
    bool v4 = ops->family == AF_INET;
    ip_any(i->local.ip, v4);
    ip_any(i->remote.ip, v4);
    list_init(&i->port_link);
    list_init(&i->errors);
    list_init(&i->knocking);
    list_init(&i->knock_link);
    inet_options_begin(i);
    if (type == SOCK_STREAM) {
        s->options.send_bytes = TCP_SEND_FIRST;
        s->options.receive_bytes = TCP_RECEIVE_FIRST;
    }
    return s;
}

int inet_create(int family, int type, int protocol, struct socket **out) {
    const struct socket_ops *ops;
    if (type == SOCK_STREAM && (!protocol || protocol == IPPROTO_TCP))
        ops = family == AF_INET ? &tcp_ops : &tcp6_ops;
    else if (type == SOCK_DGRAM && (!protocol || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
                                    protocol == (family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)))
        ops = family == AF_INET ? &udp_ops : &udp6_ops;
    else if (type == SOCK_RAW)
        return capable(CAP_NET_RAW) ? -EPROTONOSUPPORT : -EPERM;
    else
        return protocol < 0 ? -EINVAL : type == SOCK_STREAM || type == SOCK_DGRAM ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
    *out = inet_make(ops, type, protocol ? protocol : type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
    return *out ? 0 : -ENOMEM;
}

int inet_name(struct socket *s, enum whose whose, struct address *out) {
    struct inet_socket *i = inet_of(s);
    if (whose != OWN_NAME && (!i->remote.port || (whose == PEER_NAME && socket_state(s) != SOCKET_CONNECTED)))
        return -ENOTCONN;
    place_give(s, whose == OWN_NAME ? &i->local : &i->remote, out);
    return 0;
}

/* May a socket be bound to this address? */
static int check_ip(const struct socket *s, const struct address *a, const u8 *ip) {
    bool v4 = ip_is_v4(ip);
    if (s->ops->family == AF_INET && a->family == AF_UNSPEC && !ip_is_any(ip))
        return -EAFNOSUPPORT;
    if (s->ops->family == AF_INET6 && v4 && inet_kept(s, SOL_IPV6, IPV6_V6ONLY))
        return -EINVAL;
    if (ip_is_any(ip) || ip_is_local(ip) || (v4 && (ip_is_multicast(ip) || ip_is_broadcast(ip))))
        return 0;
    if (!v4 && ip_is_multicast(ip) && s->type == SOCK_DGRAM)
        return 0;
    return -EADDRNOTAVAIL;
}

int inet_bind(struct socket *s, const struct address *a) {
    struct inet_socket *i = inet_of(s);
    struct place p;
    int error = place_take(s, a, &p);
    if (!error)
        error = check_ip(s, a, p.ip);
    if (!error && p.port && p.port < PORT_FREE && !is_ping(s) && !capable(CAP_NET_BIND_SERVICE))
        error = -EACCES;
    if (error)
        return error;
    mutex_lock(&s->control);
    if (s->state != SOCKET_FREE || i->listed)
        error = -EINVAL;
    else
        error = port_bind(s, &p, false);
    if (!error) {
        i->port_asked = p.port != 0;
        i->ip_asked = !ip_is_any(p.ip);
    }
    mutex_unlock(&s->control);
    return error;
}
