/* abi.h - the numbers and layouts of socket(2) and its kin that no header of linux-libc-dev has (glibc has its own). */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/un.h>
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <asm/sockios.h>
#include <linux/sockios.h>

#include "lib/base.h"

enum { AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET, AF_MOST = 46 };
enum { SOCK_STREAM = 1, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_PACKET = 10, SOCK_TYPE_MASK = 15 };
#define SOCK_CLOEXEC 02000000
#define SOCK_NONBLOCK 00004000

enum { SHUT_RD, SHUT_WR, SHUT_RDWR };

#define MSG_OOB 1u
#define MSG_PEEK 2u
#define MSG_DONTROUTE 4u
#define MSG_CTRUNC 8u
#define MSG_TRUNC 0x20u
#define MSG_DONTWAIT 0x40u
#define MSG_EOR 0x80u
#define MSG_WAITALL 0x100u
#define MSG_ERRQUEUE 0x2000u
#define MSG_NOSIGNAL 0x4000u
#define MSG_MORE 0x8000u
#define MSG_WAITFORONE 0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u

enum { SCM_RIGHTS = 1, SCM_CREDENTIALS };
#define SCM_MAX_FD 253 /* unix(7) */

enum { SOL_IP = 0, SOL_TCP = 6, SOL_UDP = 17, SOL_IPV6 = 41, SOL_UDPLITE = 136, SOL_RAW = 255, SOL_NETLINK = 270 };

/* struct msghdr, as recvmsg(2) has it. */
struct user_message {
    void __user *name;
    s32 name_bytes;
    void __user *vector;
    u64 count;
    void __user *control;
    u64 control_bytes;
    u32 flags;
};
struct user_many { /* struct mmsghdr */
    struct user_message message;
    u32 bytes;
};
struct control_header { /* struct cmsghdr: cmsg(3) */
    u64 bytes;
    s32 level, type;
};
#define control_align(bytes) align_up(bytes, sizeof(u64))

struct user_error { /* struct sock_extended_err: ip(7), IP_RECVERR */
    u32 number;
    u8 origin, type, code, pad; /* of ICMP */
    u32 info, data;
};
enum { ORIGIN_ICMP = 2, ORIGIN_ICMP6 };

struct user_credentials { /* struct ucred */
    s32 pid;
    u32 uid, gid;
};
