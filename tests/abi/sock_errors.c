/* sock_errors.c - what a sender of UDP hears when nobody is there: the pending error, and the error queue
 * (IP_RECVERR, MSG_ERRQUEUE). */
#include "sock.h"

#include <linux/errqueue.h>

static int family;
static struct sockaddr_storage nobody; /* a place that was somebody's, and is not any more */
static socklen_t nobody_bytes;

static void note_address(const void *address) {
    const struct sockaddr_in *v4 = address;
    const struct sockaddr_in6 *v6 = address;
    const struct sockaddr_in6 *there = (void *)&nobody;
    char text[INET6_ADDRSTRLEN] = "";
    in_port_t port = v4->sin_family == AF_INET6 ? v6->sin6_port : v4->sin_port;
    inet_ntop(v4->sin_family, v4->sin_family == AF_INET6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr, text,
              sizeof text);
    note("family %d %s port %s", v4->sin_family, text, !port ? "0" : port == there->sin6_port ? "theirs" : "other");
}

static void note_queue(int fd, size_t bytes, size_t control) {
    char data[4096], room[512];
    struct sockaddr_storage from = {0};
    struct iovec v = {data, bytes};
    struct msghdr m = {&from, sizeof from, &v, 1, room, control, 0};
    ssize_t n = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (result(n) < 0)
        return;
    note("flags %#x name %u", m.msg_flags, m.msg_namelen);
    if (m.msg_namelen)
        note_address(&from);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        struct sock_extended_err *e = (void *)CMSG_DATA(c);
        note("level %d type %d bytes %zu", c->cmsg_level, c->cmsg_type, c->cmsg_len);
        if (c->cmsg_len < CMSG_LEN(sizeof *e + sizeof(struct sockaddr_in)))
            continue;
        note("%s origin %u type %u code %u info %u data %u", error_name((int)e->ee_errno), e->ee_origin, e->ee_type,
             e->ee_code, e->ee_info, e->ee_data);
        note_address(SO_EE_OFFENDER(e));
    }
}
#define QUEUE(what, fd) (ask("%s %s", family == AF_INET ? "v4" : "v6", what), note_queue(fd, 4096, 512), done())
#define ASK(what) ask("%s %s", family == AF_INET ? "v4" : "v6", what)
/* Sent, and what came of it. ICMP's answer is there at once over lo. */
#define SENT(what, call) (ASK(what), (void)result(call), note_poll(fd), done())

static int udp(void) {
    int fd = socket(family, SOCK_DGRAM, 0);
    if (fd < 0)
        abort();
    return fd;
}

static int hearing(void) {
    int fd = udp(), on = 1;
    if (family == AF_INET ? setsockopt(fd, SOL_IP, IP_RECVERR, &on, sizeof on)
                          : setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &on, sizeof on))
        abort();
    return fd;
}

static void find_nobody(void) {
    int fd = udp();
    nobody_bytes = sizeof nobody;
    memset(&nobody, 0, sizeof nobody);
    nobody.ss_family = (sa_family_t)family;
    if (family == AF_INET)
        ((struct sockaddr_in *)&nobody)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)&nobody)->sin6_addr = in6addr_loopback;
    if (bind(fd, (void *)&nobody, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) ||
        getsockname(fd, (void *)&nobody, &nobody_bytes))
        abort();
    close(fd);
}

static void cases(void) {
    char big[4096];
    memset(big, 'b', sizeof big);
    find_nobody();
    int fd = udp();
    SENT("not connected", sendto(fd, "x", 1, 0, (void *)&nobody, nobody_bytes));
    QUEUE("no queue", fd);
    if (connect(fd, (void *)&nobody, nobody_bytes))
        abort();
    SENT("connected", send(fd, "x", 1, 0));
    ASK("receive"), note_recv(fd, 10, 0), note_poll(fd), done();
    SENT("connected, again", send(fd, "x", 1, 0));
    SENT("the next send hears", send(fd, "x", 1, 0));
    ASK("SO_ERROR"), note_error(fd), note_poll(fd), done();
    close(fd);
    fd = hearing();
    SENT("hearing", sendto(fd, "hello", 5, 0, (void *)&nobody, nobody_bytes));
    ASK("peek"), note_recv(fd, 10, MSG_PEEK), note_poll(fd), done();
    QUEUE("the queue", fd);
    ASK("after it"), note_poll(fd), note_error(fd), done();
    QUEUE("the queue, empty", fd);
    SENT("one", sendto(fd, "one", 3, 0, (void *)&nobody, nobody_bytes));
    ASK("SO_ERROR"), note_error(fd), note_poll(fd), done();
    SENT("two", sendto(fd, "two22", 5, 0, (void *)&nobody, nobody_bytes));
    QUEUE("first", fd);
    ASK("between"), note_poll(fd), note_error(fd), note_poll(fd), done();
    QUEUE("second", fd);
    SENT("long", sendto(fd, big, sizeof big, 0, (void *)&nobody, nobody_bytes));
    QUEUE("long in the queue", fd);
    SENT("short", sendto(fd, "hello", 5, 0, (void *)&nobody, nobody_bytes));
    ASK("cut"), note_queue(fd, 3, 512), done();
    SENT("short", sendto(fd, "hello", 5, 0, (void *)&nobody, nobody_bytes));
    ASK("control cut"), note_queue(fd, 10, 20), done();
    SENT("short", sendto(fd, "hello", 5, 0, (void *)&nobody, nobody_bytes));
    ASK("no control"), note_queue(fd, 10, 0), done();
    SENT("left at the end", sendto(fd, "hello", 5, 0, (void *)&nobody, nobody_bytes));
    close(fd);
}

static void v4(void) { family = AF_INET, cases(); }
static void v6(void) { family = AF_INET6, cases(); }

int main(void) {
    GROUP(v4);
    GROUP(v6);
    return 0;
}
