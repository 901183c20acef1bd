/* interface.c - lo, as ioctl(2) shows it: netdevice(7). It cannot be changed. */
#include "net/interface.h"

#include <linux/if_arp.h>
#include <linux/capability.h>

#include "arch/x86_64/usercopy.h"
#include "task/task.h"

static void put_ip(struct sockaddr *out, u32 ip) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {__builtin_bswap32(ip)}};
    memcpy(out, &in, sizeof(in));
}

/* SIOCGIFCONF: the list of interfaces with an IPv4 address; without a buffer, how long it is. */
static long list_interfaces(u64 argument) {
    struct ifconf conf;
    struct ifreq lo = {.ifr_name = LO_NAME};
    int error = get_user(conf, (struct ifconf __user *)argument);
    if (error)
        return error;
    put_ip(&lo.ifr_addr, INADDR_LOOPBACK);
    if (conf.ifc_req && conf.ifc_len < (int)sizeof(lo)) {
        conf.ifc_len = 0;
    } else {
        conf.ifc_len = sizeof(lo);
        error = conf.ifc_req ? copy_to_user(conf.ifc_req, &lo, sizeof(lo)) : 0;
    }
    return error ? error : put_user(conf, (struct ifconf __user *)argument);
}

/* The answer to one question, into r. */
static long answer(struct socket *s, u32 command, struct ifreq *r) {
    bool v4 = s->ops->family == AF_INET;
    switch (command) {
    case SIOCGIFFLAGS:
        r->ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
        return 0;
    case SIOCGIFINDEX:
        r->ifr_ifindex = LO_INDEX;
        return 0;
    case SIOCGIFMTU:
        r->ifr_mtu = LO_MTU;
        return 0;
    case SIOCGIFMETRIC:
        r->ifr_metric = 0;
        return 0;
    case SIOCGIFTXQLEN:
        r->ifr_qlen = LO_QUEUE;
        return 0;
    case SIOCGIFHWADDR:
        memset(&r->ifr_hwaddr, 0, sizeof(r->ifr_hwaddr));
        r->ifr_hwaddr.sa_family = ARPHRD_LOOPBACK;
        return 0;
    case SIOCGIFMAP:
        memset(&r->ifr_map, 0, sizeof(r->ifr_map));
        return 0;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
        put_ip(&r->ifr_addr, INADDR_LOOPBACK);
        return v4 ? 0 : -ENOTTY;
    case SIOCGIFBRDADDR:
        put_ip(&r->ifr_addr, INADDR_ANY);
        return v4 ? 0 : -ENOTTY;
    case SIOCGIFNETMASK:
        put_ip(&r->ifr_addr, 0xff000000);
        return v4 ? 0 : -ENOTTY;
    case SIOCETHTOOL:
        return -EOPNOTSUPP;
    default: /* what sets something */
        return capable(CAP_NET_ADMIN) ? -EOPNOTSUPP : -EPERM;
    }
}

static bool asks_by_name(u32 command) {
    return (command >= SIOCGIFFLAGS && command <= SIOCSIFHWADDR) || command == SIOCGIFINDEX ||
           command == SIOCGIFHWADDR || command == SIOCGIFTXQLEN || command == SIOCSIFTXQLEN || command == SIOCGIFMAP ||
           command == SIOCSIFMAP || command == SIOCETHTOOL;
}

long interface_ioctl(struct socket *s, u32 command, u64 argument) {
    struct ifreq r, __user *user = (struct ifreq __user *)argument;
    if (command == SIOCGIFCONF)
        return list_interfaces(argument);
    if (command != SIOCGIFNAME && !asks_by_name(command))
        return -ENOTTY;
    long error = get_user(r, user);
    if (error)
        return error;
    if (command == SIOCGIFNAME) {
        if (r.ifr_ifindex != LO_INDEX)
            return -ENODEV;
        memcpy(r.ifr_name, LO_NAME, sizeof(LO_NAME));
    } else {
        r.ifr_name[IFNAMSIZ - 1] = 0;
        error = strcmp(r.ifr_name, LO_NAME) ? -ENODEV : answer(s, command, &r);
    }
    return error ? error : copy_to_user(user, &r, sizeof(r));
}
