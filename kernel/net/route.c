/* route.c - what NETLINK_ROUTE answers: one link, its two addresses, no routes; and that nothing can be changed. */
#include <linux/capability.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "net/interface.h"
#include "net/netlink.h"
#include <linux/if_arp.h>
#include "task/task.h"

#define LOWER_UP (1u << 16) /* IFF_LOWER_UP: of the headers that exclude each other, linux/if.h and net/if.h */

/* ---- putting messages together ---- */

static void *add_bytes(struct reply *r, size_t bytes) {
    void *at = r->buffer + r->used;
    assert(r->used + NLMSG_ALIGN(bytes) <= REPLY_ROOM);
    memset(at, 0, NLMSG_ALIGN(bytes));
    r->used += NLMSG_ALIGN(bytes);
    return at;
}

static struct nlmsghdr *message_begin(struct reply *r, u16 type, u16 flags) {
    struct nlmsghdr *h = add_bytes(r, sizeof(*h));
    h->nlmsg_type = type;
    h->nlmsg_flags = flags;
    h->nlmsg_seq = r->request->nlmsg_seq;
    h->nlmsg_pid = r->port;
    return h;
}

static void message_end(struct reply *r, struct nlmsghdr *h) { h->nlmsg_len = (u32)(r->buffer + r->used - (char *)h); }

static void add_attribute(struct reply *r, u16 type, const void *data, size_t bytes) {
    struct rtattr *a = add_bytes(r, RTA_LENGTH(bytes));
    a->rta_type = type;
    a->rta_len = (u16)RTA_LENGTH(bytes);
    memcpy(RTA_DATA(a), data, bytes);
}

static void add_u32(struct reply *r, u16 type, u32 value) { add_attribute(r, type, &value, sizeof(value)); }
static void add_u8(struct reply *r, u16 type, u8 value) { add_attribute(r, type, &value, sizeof(value)); }

/* ---- what there is ---- */

static void add_link(struct reply *r, u16 flags) {
    static const u8 nowhere[6];
    static const struct rtnl_link_stats64 counts;
    struct nlmsghdr *h = message_begin(r, RTM_NEWLINK, flags);
    struct ifinfomsg *i = add_bytes(r, sizeof(*i));
    i->ifi_type = ARPHRD_LOOPBACK;
    i->ifi_index = LO_INDEX;
    i->ifi_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING | LOWER_UP;
    add_attribute(r, IFLA_IFNAME, LO_NAME, sizeof(LO_NAME));
    add_u32(r, IFLA_TXQLEN, LO_QUEUE);
    add_u8(r, IFLA_OPERSTATE, 0);
    add_u8(r, IFLA_LINKMODE, 0);
    add_u32(r, IFLA_MTU, LO_MTU);
    add_u32(r, IFLA_GROUP, 0);
    add_u32(r, IFLA_PROMISCUITY, 0);
    add_u32(r, IFLA_NUM_TX_QUEUES, 1);
    add_u32(r, IFLA_NUM_RX_QUEUES, 1);
    add_u8(r, IFLA_CARRIER, 1);
    add_attribute(r, IFLA_QDISC, "noqueue", sizeof("noqueue"));
    add_attribute(r, IFLA_ADDRESS, nowhere, sizeof(nowhere));
    add_attribute(r, IFLA_BROADCAST, nowhere, sizeof(nowhere));
    add_attribute(r, IFLA_STATS64, &counts, sizeof(counts));
    message_end(r, h);
}

static void add_address(struct reply *r, u8 family) {
    static const u8 v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    struct ifa_cacheinfo forever = {.ifa_prefered = ~0u, .ifa_valid = ~0u};
    struct nlmsghdr *h = message_begin(r, RTM_NEWADDR, NLM_F_MULTI);
    struct ifaddrmsg *a = add_bytes(r, sizeof(*a));
    a->ifa_family = family;
    a->ifa_prefixlen = family == AF_INET ? 8 : 128;
    a->ifa_flags = IFA_F_PERMANENT;
    a->ifa_scope = RT_SCOPE_HOST;
    a->ifa_index = LO_INDEX;
    if (family == AF_INET) {
        add_attribute(r, IFA_ADDRESS, v4, sizeof(v4));
        add_attribute(r, IFA_LOCAL, v4, sizeof(v4));
        add_attribute(r, IFA_LABEL, LO_NAME, sizeof(LO_NAME));
    } else {
        add_attribute(r, IFA_ADDRESS, v6, sizeof(v6));
    }
    add_u32(r, IFA_FLAGS, IFA_F_PERMANENT);
    add_attribute(r, IFA_CACHEINFO, &forever, sizeof(forever));
    message_end(r, h);
}

static void add_error(struct reply *r, int error) {
    struct nlmsghdr *h = message_begin(r, NLMSG_ERROR, 0);
    struct nlmsgerr *e = add_bytes(r, sizeof(*e));
    e->error = error;
    e->msg = *r->request;
    message_end(r, h);
}

/* ---- requests ---- */

/* A list: what there is of it, and, in a datagram of its own, that this is the end. */
static int dump(struct reply *r, u8 family) {
    u16 type = r->request->nlmsg_type;
    int error = 0;
    if (type == RTM_GETLINK)
        add_link(r, NLM_F_MULTI);
    if (type == RTM_GETADDR && family != AF_INET6)
        add_address(r, AF_INET);
    if (type == RTM_GETADDR && family != AF_INET)
        add_address(r, AF_INET6);
    if (r->used)
        error = reply_send(r);
    if (error)
        return error;
    struct nlmsghdr *h = message_begin(r, NLMSG_DONE, NLM_F_MULTI);
    (void)add_bytes(r, sizeof(int));
    message_end(r, h);
    return reply_send(r);
}

/* Is lo the link that is asked for, by number or by name? 0, -ENODEV; -EINVAL: by neither. */
static int asks_for_lo(const struct nlmsghdr *h) {
    const struct ifinfomsg *i = NLMSG_DATA(h);
    const struct rtattr *a = (const struct rtattr *)((const char *)i + NLMSG_ALIGN(sizeof(*i)));
    int left = (int)h->nlmsg_len - (int)NLMSG_SPACE(sizeof(*i));
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
        return -EINVAL;
    if (i->ifi_index)
        return i->ifi_index == LO_INDEX ? 0 : -ENODEV;
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        size_t bytes = strnlen(RTA_DATA(a), RTA_PAYLOAD(a)); /* it need not end with a 0 */
        bool named = bytes == strlen(LO_NAME) && !memcmp(RTA_DATA(a), LO_NAME, bytes);
        if (a->rta_type == IFLA_IFNAME)
            return named ? 0 : -ENODEV;
    }
    return -EINVAL;
}

int route_request(struct reply *r) {
    const struct nlmsghdr *h = r->request;
    bool gets = ((h->nlmsg_type - RTM_BASE) & 3) == 2; /* types come in fours: new, delete, get, set */
    u8 family = h->nlmsg_len > NLMSG_HDRLEN ? *(const u8 *)NLMSG_DATA(h) : AF_UNSPEC;
    int error = 0;
    if ((h->nlmsg_flags & NLM_F_REQUEST) && h->nlmsg_type >= RTM_BASE) { /* others are only acknowledged */
        if (h->nlmsg_type > RTM_MAX)
            error = -EOPNOTSUPP;
        else if (!gets)
            error = capable(CAP_NET_ADMIN) ? -EOPNOTSUPP : -EPERM;
        else if ((h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
            return dump(r, family);
        else if (h->nlmsg_type == RTM_GETLINK)
            error = asks_for_lo(h);
        else
            error = h->nlmsg_type == RTM_GETROUTE ? -ENETUNREACH : -EOPNOTSUPP;
        if (!error && h->nlmsg_type == RTM_GETLINK)
            add_link(r, 0);
    }
    if (error || (h->nlmsg_flags & NLM_F_ACK))
        add_error(r, error);
    return r->used ? reply_send(r) : 0;
}
