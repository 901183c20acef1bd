/* proc.c - what /proc says of sockets: /proc/PID/net and /proc/sys/net, as tables for kernel/fs/proc.c. */
#include "fs/proc.h"
#include "net/unix.h"

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
