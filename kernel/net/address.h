/* address.h - struct address: where a socket is, in the form that its family has for users (struct sockaddr_*). */
#pragma once

#include <linux/netlink.h>

#include "net/abi.h"

/* bytes == 0: none. Of AF_UNIX `bytes` says how long the name is, and so does not count a final 0 that is not there. */
struct address {
    u32 bytes;
    union {
        u16 family;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_nl nl;
        u8 raw[112];
    };
};
#define ADDRESS_MOST 128 /* struct sockaddr_storage: what a user may pass */
