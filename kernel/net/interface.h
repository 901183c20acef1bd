/* interface.h - the one network interface, lo: what it is called, and what it says of itself to ioctl(2). */
#pragma once

#include "net/socket.h"

/* linux/if.h asks for glibc's sys/socket.h, for this alone: */
#define _SYS_SOCKET_H
struct sockaddr {
    u16 sa_family;
    char sa_data[14];
};
#include <linux/if.h>

#define LO_INDEX 1
#define LO_NAME "lo"
#define LO_MTU 65536
#define LO_QUEUE 1000

/* interface_ioctl: SIOCGIF* (netdevice(7)) of any socket. -ENODEV, -EPERM (to change it), -ENOTTY. */
long interface_ioctl(struct socket *s, u32 command, u64 argument);
