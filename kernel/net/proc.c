/* proc.c - what /proc says of sockets: /proc/PID/net and /proc/sys/net, as tables for kernel/fs/proc.c. */
#include "fs/proc.h"
#include "net/inet.h"
#include "net/unix.h"
#include "vm/slab.h"

#define SOCKETS_MOST 4096 /* one file lists no more */

/* The sockets that a file lists, counted while their lines are written: no lock is held meanwhile. */
struct listing {
    struct socket **sockets;
    u32 count;
};

static int listing_begin(struct listing *l) {
    l->count = 0;
    l->sockets = kmalloc(SOCKETS_MOST * sizeof(struct socket *));
    return l->sockets ? 0 : -ENOMEM;
}

static void listing_clear(struct listing *l) {
    while (l->count)
        socket_put(l->sockets[--l->count]);
}

static void listing_end(struct listing *l) {
    listing_clear(l);
    kfree(l->sockets);
}

/* ---- TCP and UDP ---- */

#define TCP_COLUMNS 149 /* lines are padded to so many, as Linux does */
#define UDP_COLUMNS 127

static void inet_line(struct text *t, u32 number, struct socket *s, bool v4, bool tcp) {
    struct inet_socket *i = inet_of(s);
    char local[48], remote[48];
    place_print(local, sizeof(local), &i->local, v4);
    place_print(remote, sizeof(remote), &i->remote, v4);
    u32 received = socket_state(s) == SOCKET_LISTENING ? s->pending_count : (u32)s->inbox_bytes;
    u32 state = tcp ? tcp_state(s) : socket_state(s) == SOCKET_CONNECTED ? 1 : 7;
    text_print(t, tcp ? "%4u" : "%5u", number);
    text_print(t, ": %s %s %02X %08X:%08X 00:00000000 00000000 %5u        0 %lu ", local, remote, state, 0, received,
               s->inode.uid, (unsigned long)s->inode.ino);
    text_string(t, tcp ? "1 0000000000000000 100 0 0 10 0" : "2 0000000000000000 0");
}

static void inet_head(struct text *t, bool v4, bool tcp) {
    const char *four =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
    const char *six =
        "  sl  local_address                         remote_address                        st tx_queue rx_queue "
        "tr tm->when retrnsmt   uid  timeout inode";
    text_string(t, v4 ? four : six);
    text_string(t, tcp ? "" : " ref pointer drops");
}

/* A file's data: the family, and which table. */
#define INET_FILE(family, table) ((u64)(family) << 8 | (table))

static int show_inet(struct synth *s, struct text *t) {
    bool v4 = s->node->data >> 8 == AF_INET, tcp = (s->node->data & 0xff) == PORTS_TCP;
    size_t columns = !v4 ? 0 : tcp ? TCP_COLUMNS : UDP_COLUMNS, start = t->bytes;
    struct listing l;
    u32 number = 0;
    if (listing_begin(&l))
        return -ENOMEM;
    l.count = port_list((enum ports)(s->node->data & 0xff), l.sockets, SOCKETS_MOST);
    inet_head(t, v4, tcp);
    text_pad(t, start, columns);
    text_string(t, "\n");
    for (u32 n = 0; n < l.count; n++) {
        if (l.sockets[n]->ops->family != (v4 ? AF_INET : AF_INET6))
            continue;
        start = t->bytes;
        inet_line(t, number++, l.sockets[n], v4, tcp);
        text_pad(t, start, columns);
        text_string(t, "\n");
    }
    listing_end(&l);
    return 0;
}

/* ---- Unix sockets ---- */

static void unix_line(struct text *t, struct socket *s) {
    struct address a;
    bool listens = socket_state(s) == SOCKET_LISTENING, connected = socket_state(s) == SOCKET_CONNECTED;
    u32 state = s->file ? (connected ? 3 : 1) : connected ? 2 : 4; /* SS_* of linux/net.h */
    text_print(t, "0000000000000000: %08X %08X %08X %04X %02X %5lu", s->inode.references - 1, 0, listens ? 0x10000 : 0,
               (u32)s->type, state, (unsigned long)s->inode.ino);
    unix_copy_name(s, &a);
    if (a.bytes > sizeof(u16)) {
        u32 length = a.bytes - (u32)sizeof(u16) - (a.un.sun_path[0] != 0);
        text_string(t, " ");
        for (u32 n = 0; n < length; n++)
            text_add(t, a.un.sun_path[n] ? &a.un.sun_path[n] : "@", 1);
    }
    text_string(t, "\n");
}

static int show_unix(struct synth *s, struct text *t) {
    struct listing l;
    if (listing_begin(&l))
        return -ENOMEM;
    text_string(t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    l.count = unix_list(l.sockets, SOCKETS_MOST);
    for (u32 n = 0; n < l.count; n++)
        unix_line(t, l.sockets[n]);
    listing_end(&l);
    return 0;
}

static int show_sockstat(struct synth *s, struct text *t) {
    struct listing l;
    u32 counts[PORTS], all, pages = (u32)(packet_memory() >> PAGE_SHIFT);
    if (listing_begin(&l))
        return -ENOMEM;
    l.count = all = unix_list(l.sockets, SOCKETS_MOST);
    for (u32 table = 0; table < PORTS; table++) {
        listing_clear(&l);
        all += counts[table] = l.count = port_list(table, l.sockets, SOCKETS_MOST);
    }
    listing_end(&l);
    text_print(t, "sockets: used %u\nTCP: inuse %u orphan 0 tw 0 alloc %u mem %u\nUDP: inuse %u mem 0\n", all,
               counts[PORTS_TCP], counts[PORTS_TCP], pages, counts[PORTS_UDP]);
    text_print(t, "UDPLITE: inuse %u\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n", counts[PORTS_UDPLITE]);
    return 0;
}

/* ---- the table ---- */

static const char dev_text[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
    "compressed\n"
    "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0"
    "          0\n";
static const char route_text[] = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
                                 "                                                       \n";
static const char arp_text[] = "IP address       HW type     Flags       HW address            Mask     Device\n";
static const char raw_text[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode ref pointer drops\n";
static const char lo_inet6[] = "00000000000000000000000000000001 01 80 10 80       lo\n";
static const char netlink_text[] =
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
static const char packet_text[] = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n";

const struct synth_node proc_net_children[] = {
    {.name = "arp", .mode = S_IFREG | 0444, .content = arp_text},
    {.name = "dev", .mode = S_IFREG | 0444, .content = dev_text},
    {.name = "if_inet6", .mode = S_IFREG | 0444, .content = lo_inet6},
    {.name = "ipv6_route", .mode = S_IFREG | 0444, .content = ""},
    {.name = "netlink", .mode = S_IFREG | 0444, .content = netlink_text},
    {.name = "packet", .mode = S_IFREG | 0444, .content = packet_text},
    {.name = "raw", .mode = S_IFREG | 0444, .content = raw_text},
    {.name = "raw6", .mode = S_IFREG | 0444, .content = raw_text},
    {.name = "route", .mode = S_IFREG | 0444, .content = route_text},
    {.name = "sockstat", .mode = S_IFREG | 0444, .show = show_sockstat},
    {.name = "tcp", .mode = S_IFREG | 0444, .show = show_inet, .data = INET_FILE(AF_INET, PORTS_TCP)},
    {.name = "tcp6", .mode = S_IFREG | 0444, .show = show_inet, .data = INET_FILE(AF_INET6, PORTS_TCP)},
    {.name = "udp", .mode = S_IFREG | 0444, .show = show_inet, .data = INET_FILE(AF_INET, PORTS_UDP)},
    {.name = "udp6", .mode = S_IFREG | 0444, .show = show_inet, .data = INET_FILE(AF_INET6, PORTS_UDP)},
    {.name = "udplite", .mode = S_IFREG | 0444, .show = show_inet, .data = INET_FILE(AF_INET, PORTS_UDPLITE)},
    {.name = "udplite6", .mode = S_IFREG | 0444, .show = show_inet, .data = INET_FILE(AF_INET6, PORTS_UDPLITE)},
    {.name = "unix", .mode = S_IFREG | 0444, .show = show_unix},
    {.name = NULL},
};

/* ---- /proc/sys/net ---- */

static const struct synth_node core_children[] = {
    {.name = "rmem_default", .mode = S_IFREG | 0444, .content = "212992\n"},
    {.name = "rmem_max", .mode = S_IFREG | 0444, .content = "212992\n"},
    {.name = "somaxconn", .mode = S_IFREG | 0644, .value = &listen_most, .most = 0x7fffffff},
    {.name = "wmem_default", .mode = S_IFREG | 0444, .content = "212992\n"},
    {.name = "wmem_max", .mode = S_IFREG | 0444, .content = "212992\n"},
    {.name = NULL},
};

static const struct synth_node ipv4_children[] = {
    {.name = "ip_local_port_range", .mode = S_IFREG | 0444, .content = "32768\t60999\n"},
    {.name = "ping_group_range", .mode = S_IFREG | 0444, .content = "0\t2147483647\n"}, /* as Debian sets it */
    {.name = "tcp_fin_timeout", .mode = S_IFREG | 0444, .content = "60\n"},
    {.name = "tcp_syncookies", .mode = S_IFREG | 0444, .content = "1\n"},
    {.name = NULL},
};

static const struct synth_node unix_children[] = {
    {.name = "max_dgram_qlen", .mode = S_IFREG | 0644, .value = &unix_datagrams_most, .most = 0x7fffffff},
    {.name = NULL},
};

const struct synth_node proc_sys_net_children[] = {
    {.name = "core", .mode = S_IFDIR | 0555, .children = core_children},
    {.name = "ipv4", .mode = S_IFDIR | 0555, .children = ipv4_children},
    {.name = "unix", .mode = S_IFDIR | 0555, .children = unix_children},
    {.name = NULL},
};
