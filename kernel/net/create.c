/* create.c - which kinds of sockets there are. */
#include "net/inet.h"

int socket_create(int family, int type, int protocol, struct socket **out) {
    if (family < 0 || family >= AF_MOST)
        return -EAFNOSUPPORT;
    if (type < 0 || type > SOCK_PACKET)
        return -EINVAL;
    switch (family) {
    case AF_UNIX:
        return unix_create(type, protocol, out);
    case AF_INET:
    case AF_INET6:
        return inet_create(family, type, protocol, out);
    case AF_NETLINK:
        return netlink_create(type, protocol, out);
    default:
        return -EAFNOSUPPORT;
    }
}
