/* sock_ping.c - ICMP's echo by sockets of datagrams (icmp(7)). What a kernel's own start leaves shut, Debian's opens.
 */
#include "sock.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

static const char *name;
static int family;
#define ASK(what) ask("%s %s", name, what)

/* The sum of all, which a right checksum makes ffff; v6's is over both addresses (::1), length and protocol too. */
static unsigned sum_of(const unsigned char *bytes, size_t count) {
    unsigned sum = family == AF_INET ? 0 : 1 + 1 + (unsigned)count + IPPROTO_ICMPV6;
    for (size_t i = 0; i < count; i++)
        sum += i % 2 ? bytes[i] : (unsigned)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static struct sockaddr_storage place(const char *ip) {
    struct sockaddr_storage a = {.ss_family = (sa_family_t)family};
    inet_pton(family, ip,
              family == AF_INET ? (void *)&((struct sockaddr_in *)&a)->sin_addr
                                : (void *)&((struct sockaddr_in6 *)&a)->sin6_addr);
    return a;
}
static socklen_t place_bytes(void) {
    return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}
static int port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t bytes = sizeof a;
    getsockname(fd, (void *)&a, &bytes);
    return family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port : ((struct sockaddr_in6 *)&a)->sin6_port;
}

static void send_one(const char *what, int fd, const char *to, int type, int code, size_t bytes) {
    unsigned char data[3000] = {(unsigned char)type, (unsigned char)code, 1, 2, 3, 4, 0, 7};
    struct sockaddr_storage a = place(to);
    for (size_t i = 8; i < sizeof data; i++)
        data[i] = (unsigned char)i;
    ASK(what);
    result(sendto(fd, data, bytes, MSG_DONTWAIT, (void *)&a, place_bytes()));
    done();
}

static void note_one(const char *what, int fd) {
    unsigned char data[4000];
    struct sockaddr_storage from = {0};
    socklen_t bytes = sizeof from;
    ASK(what);
    ssize_t n = result(recvfrom(fd, data, sizeof data, MSG_DONTWAIT, (void *)&from, &bytes));
    if (n >= 8) {
        char text[INET6_ADDRSTRLEN] = "";
        struct sockaddr_in *v4 = (void *)&from;
        struct sockaddr_in6 *v6 = (void *)&from;
        inet_ntop(family, family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr, text, sizeof text);
        note("type %d code %d %s sequence %d from %s port %d", data[0], data[1],
             (data[4] << 8 | data[5]) == ntohs((uint16_t)port_of(fd)) ? "ours" : "another's", data[6] << 8 | data[7],
             text, family == AF_INET ? v4->sin_port : v6->sin6_port);
        note("last byte %d", data[n - 1]);
        note("sum %x", sum_of(data, (size_t)n));
    }
    done();
}

static void both(int which) {
    int type = which == AF_INET ? 8 : 128, one = 1;
    const char *here = which == AF_INET ? "127.0.0.1" : "::1";
    family = which;
    name = which == AF_INET ? "v4" : "v6";
    int fd = socket(family, SOCK_DGRAM, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    ASK("socket"), result(fd < 0 ? -1 : 0), done();
    note_one("nothing yet", fd);
    send_one("request", fd, here, type, 0, 64);
    note_one("its answer", fd);
    note_one("no more", fd);
    send_one("a long one", fd, here, type, 0, 2777);
    note_one("its answer", fd);
    send_one("the header alone", fd, here, type, 0, 8);
    note_one("its answer", fd);
    send_one("too short", fd, here, type, 0, 7);
    send_one("nothing", fd, here, type, 0, 0);
    send_one("a reply", fd, here, family == AF_INET ? 0 : 129, 0, 64);
    send_one("a code", fd, here, type, 1, 64);
    send_one("elsewhere", fd, family == AF_INET ? "192.0.2.1" : "2001:db8::1", type, 0, 64);
    if (family == AF_INET) {
        send_one("another of ours", fd, "127.1.2.3", type, 0, 64);
        note_one("its answer", fd);
    }
    ASK("bind again");
    struct sockaddr_storage a = place(here);
    result(bind(fd, (void *)&a, place_bytes()));
    done();
    int second = socket(family, SOCK_DGRAM, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    ((struct sockaddr_in *)&a)->sin_port = htons(77);
    ASK("bind to 77"), result(bind(second, (void *)&a, place_bytes())), done();
    setsockopt(second, family == AF_INET ? SOL_IP : SOL_IPV6, family == AF_INET ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &one,
               sizeof one);
    send_one("request of 77", second, here, type, 0, 20);
    note_one("its answer", second);
    ((struct sockaddr_in *)&a)->sin_port = 0;
    ASK("connect"), result(connect(second, (void *)&a, place_bytes())), done();
    unsigned char data[8] = {(unsigned char)type};
    ASK("send"), result(send(second, data, sizeof data, 0)), done();
    note_one("its answer", second);
    close(fd);
    close(second);
}

int main(void) {
    int open_to_all = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);
    if (open_to_all >= 0) /* Quire has it as Debian has, and shut to changes */
        (void)!write(open_to_all, "0 2147483647", 12);
    both(AF_INET);
    both(AF_INET6);
    return 0;
}
