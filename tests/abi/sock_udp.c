/* sock_udp.c - datagrams: UDP over lo, Unix datagrams and seqpackets; and netlink's questions. */
#include "sock.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

/* ---- UDP ---- */

static struct sockaddr_in at_port(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}
static struct sockaddr_in6 at_port6(int port) {
    return (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback};
}
static int udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static int udp6(void) { return socket(AF_INET6, SOCK_DGRAM, 0); }
static int bound(int port) {
    int fd = udp();
    struct sockaddr_in a = at_port(port);
    if (bind(fd, (void *)&a, sizeof a))
        note("cannot bind: %s", error_name(errno));
    return fd;
}
static ssize_t send_at(int fd, const char *text, int port) {
    struct sockaddr_in a = at_port(port);
    return sendto(fd, text, strlen(text), 0, (void *)&a, sizeof a);
}
static int connect_at(int fd, int port) {
    struct sockaddr_in a = at_port(port);
    return connect(fd, (void *)&a, sizeof a);
}

static void note_from(int fd, size_t bytes, int flags) {
    struct sockaddr_storage a = {0};
    socklen_t size = sizeof a;
    char text[64] = "";
    ssize_t n = recvfrom(fd, text, bytes, flags | MSG_DONTWAIT, (void *)&a, &size);
    if (result(n) < 0)
        return;
    int port =
        ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port : ((struct sockaddr_in6 *)&a)->sin6_port);
    note("\"%s\" family %d, %u bytes, port %s", text, a.ss_family, size,
         port >= 32768 && port < 61000 ? "some"
         : port                        ? "5200s"
                                       : "0");
}
#define FROM(what, fd, bytes, flags) (ask("%s", what), note_from(fd, bytes, flags), done())

static void note_names(int fd) {
    struct sockaddr_in a = {0};
    socklen_t size = sizeof a;
    char ip[20];
    for (int peer = 0; peer < 2; peer++) {
        size = sizeof a;
        if (result(peer ? getpeername(fd, (void *)&a, &size) : getsockname(fd, (void *)&a, &size)))
            continue;
        int port = ntohs(a.sin_port);
        note("%s, %s", inet_ntop(AF_INET, &a.sin_addr, ip, sizeof ip),
             port >= 32768 && port < 61000 ? "some port"
             : port                        ? "5200s"
                                           : "0");
    }
}
#define NAMES(what, fd) (ask("names: %s", what), note_names(fd), done())

static void basics(void) {
    int a = bound(5200), b = udp(), n = 0;
    POLL("fresh", b);
    NAMES("fresh", b);
    OPTION_IS("fresh", b, SOL_SOCKET, SO_SNDBUF);
    OPTION_IS("fresh", b, SOL_SOCKET, SO_RCVBUF);
    RECV("nothing there", b, 10, 0);
    CASE_NAMED("send without a destination", send(b, "x", 1, 0));
    CASE_NAMED("shutdown when not connected", shutdown(b, SHUT_RDWR));
    CASE_NAMED("listen", listen(b, 1));
    CASE_NAMED("accept", accept(b, NULL, NULL));
    b = udp();
    CASE_NAMED("sendto", send_at(b, "hello", 5200));
    NAMES("after sending", b);
    POLL("readable", a);
    ask("FIONREAD"), result(ioctl(a, FIONREAD, &n)), note("%d", n), done();
    FROM("peek", a, 3, MSG_PEEK);
    FROM("MSG_TRUNC", a, 3, MSG_TRUNC | MSG_PEEK);
    FROM("cut", a, 3, 0);
    RECV("the rest is gone", a, 10, 0);
    CASE_NAMED("an empty one", send_at(b, "", 5200));
    POLL("an empty one", a);
    FROM("an empty one", a, 3, 0);
    CASE_NAMED("nobody there", send_at(b, "x", 5299));
    ERROR("an unconnected socket does not hear", b);
    CASE_NAMED("port 0", send_at(b, "x", 0));
    static char big[70000];
    struct sockaddr_in to = at_port(5200),
                       other = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(0xc0000201)}};
    CASE_NAMED("65507 bytes", sendto(b, big, 65507, 0, (void *)&to, sizeof to));
    CASE_NAMED("they arrive", recv(a, big, sizeof big, MSG_DONTWAIT));
    CASE_NAMED("65508 bytes", sendto(b, big, 65508, 0, (void *)&to, sizeof to));
    CASE_NAMED("70000 bytes", sendto(b, big, 70000, 0, (void *)&to, sizeof to));
    CASE_NAMED("elsewhere", sendto(b, "x", 1, 0, (void *)&other, sizeof other));
    other.sin_addr.s_addr = htonl(0xe0000001);
    CASE_NAMED("a group", sendto(b, "x", 1, 0, (void *)&other, sizeof other));
    CASE_NAMED("a short address", sendto(b, "x", 1, 0, (void *)&to, 8));
    to.sin_family = AF_UNIX;
    CASE_NAMED("another family", sendto(b, "x", 1, 0, (void *)&to, sizeof to));
    CASE_NAMED("from nowhere", sendto(b, (void *)8, 1, 0, (void *)&to, sizeof to));
    CASE_NAMED("urgent", (to = at_port(5200), sendto(b, "x", 1, MSG_OOB, (void *)&to, sizeof to)));
}

static void connected(void) {
    int a = bound(5210), b = udp(), c = udp();
    CASE_NAMED("connect", connect_at(b, 5210));
    NAMES("connected", b);
    CASE_NAMED("send", send(b, "one", 3, 0));
    FROM("it arrives", a, 10, 0);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    getsockname(b, (void *)&name, &size);
    CASE_NAMED("from a stranger", sendto(c, "two", 3, 0, (void *)&name, sizeof name));
    RECV("it does not arrive", b, 10, 0);
    CASE_NAMED("from the peer", sendto(a, "three", 5, 0, (void *)&name, sizeof name));
    RECV("it does", b, 10, 0);
    CASE_NAMED("sendto elsewhere when connected", send_at(b, "x", 5210));
    FROM("that arrives, too", a, 10, 0);
    close(a);
    CASE_NAMED("the peer is closed: the first send", send(b, "x", 1, 0));
    POLL("refused", b);
    CASE_NAMED("the second send", send(b, "x", 1, 0));
    CASE_NAMED("the third send", send(b, "x", 1, 0));
    RECV("recv", b, 10, 0);
    RECV("recv again", b, 10, 0);
    CASE_NAMED("connect to a port where nobody is", connect_at(b, 5298));
    CASE_NAMED("send there", send(b, "x", 1, 0));
    ERROR("refused", b);
    struct sockaddr_in none = {.sin_family = AF_UNSPEC};
    CASE_NAMED("disconnect", connect(b, (void *)&none, sizeof none));
    NAMES("disconnected", b);
    a = bound(5211);
    connect_at(b, 5211);
    CASE_NAMED("shutdown(RD)", shutdown(b, SHUT_RD));
    POLL("shutdown(RD)", b);
    RECV("recv without waiting", b, 1, 0);
    char text[2];
    CASE_NAMED("recv", recv(b, text, 1, 0));
    CASE_NAMED("shutdown(WR)", shutdown(b, SHUT_WR));
    POLL("shutdown(WR)", b);
    catch_broken();
    PIPE("send", send(b, "x", 1, 0));
}

/* An inbox that is not full takes one more datagram, however long. */
static void room(void) {
    static char big[20000];
    int to = bound(5240), from = udp(), least = 1;
    setsockopt(to, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    connect_at(from, 5240);
    CASE_NAMED("send more than the room for all", send(from, big, sizeof big, 0));
    CASE_NAMED("and again", send(from, big, sizeof big, 0));
    CASE_NAMED("the first arrives", recv(to, big, sizeof big, MSG_DONTWAIT));
    CASE_NAMED("the second did not fit", recv(to, big, sizeof big, MSG_DONTWAIT));
    CASE_NAMED("send with nothing there", send(from, big, sizeof big, 0));
    CASE_NAMED("it arrives", recv(to, big, sizeof big, MSG_DONTWAIT));
    close(to), close(from);
}

/* What nobody gets is no error of a connection to somebody else. */
static void elsewhere(void) {
    int peer = bound(5241), s = udp(), on = 1;
    connect_at(s, 5241);
    CASE_NAMED("to a port where nobody is, when connected to another", send_at(s, "x", 5298));
    ERROR("no error of the connection", s);
    CASE_NAMED("to the peer", send(s, "x", 1, 0));
    setsockopt(s, SOL_IP, IP_RECVERR, &on, sizeof on);
    CASE_NAMED("the same, when errors are heard", send_at(s, "x", 5298));
    ERROR("none either", s);
    RECV("nor to read", s, 1, MSG_ERRQUEUE);
    close(peer);
    CASE_NAMED("to the peer when it is closed", send(s, "x", 1, 0));
    ERROR("that is one", s);
    close(s);
}

/* Descriptors are Unix sockets' alone: others do not look at what is sent with them. */
static void files(int protocol, int type) {
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } c = {{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_LEN(sizeof(int))};
    struct sockaddr_in a = at_port(5242);
    socklen_t bytes = sizeof a;
    int to = socket(AF_INET, type, protocol), from = socket(AF_INET, type, protocol), no_file = 999;
    if (bind(to, (void *)&a, bytes) || (type == SOCK_STREAM && listen(to, 1)) || connect(from, (void *)&a, bytes))
        note("not connected");
    memcpy(CMSG_DATA(&c.h), &no_file, sizeof no_file);
    CASE_NAMED("send a file that is not there", sendmsg(from, &m, 0));
    c.h.cmsg_len = m.msg_controllen = CMSG_LEN(3);
    CASE_NAMED("send no file", sendmsg(from, &m, 0));
    c.h.cmsg_len = m.msg_controllen = CMSG_LEN(sizeof(struct ucred));
    c.h.cmsg_type = SCM_CREDENTIALS;
    CASE_NAMED("send credentials", sendmsg(from, &m, 0));
    c.h.cmsg_type = 77;
    CASE_NAMED("send something else", sendmsg(from, &m, 0));
    close(to), close(from);
}

static void along(void) {
    files(0, SOCK_STREAM);
    files(0, SOCK_DGRAM);
    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } c = {{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&c.h), &n, sizeof n);
    CASE_NAMED("a file to netlink", sendmsg(n, &m, 0));
    close(n);
}

static void sharing(void) {
    int a = udp(), b = udp(), one = 1;
    struct sockaddr_in any = at_port(5220);
    any.sin_addr.s_addr = 0;
    CASE_NAMED("any address", bind(a, (void *)&any, sizeof any));
    any = at_port(5220);
    CASE_NAMED("one address", bind(b, (void *)&any, sizeof any));
    setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CASE_NAMED("one address, both reusable", bind(b, (void *)&any, sizeof any));
    send_at(udp(), "exact", 5220);
    RECV("the general one", a, 10, 0);
    RECV("the exact one", b, 10, 0);
    /* IPv6 and IPv4 */
    int six = udp6();
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(5221)};
    CASE_NAMED("IPv6, any", bind(six, (void *)&any6, sizeof any6));
    send_at(udp(), "four", 5221);
    FROM("IPv4 to it", six, 10, 0);
    struct sockaddr_in6 to = at_port6(5221);
    CASE_NAMED("IPv6 to it", sendto(udp6(), "six", 3, 0, (void *)&to, sizeof to));
    FROM("IPv6 to it", six, 10, 0);
    setsockopt(six, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
    sendto(udp6(), "info", 4, 0, (void *)&to, sizeof to);
    char text[10], control[100];
    struct iovec v = {text, sizeof text};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ask("IPV6_RECVPKTINFO"), result(recvmsg(six, &m, MSG_DONTWAIT));
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(h), sizeof info);
        note("level %d type %d len %zu index %u, %d", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len,
             info.ipi6_ifindex, info.ipi6_addr.s6_addr[15]);
    }
    done();
    setsockopt(b, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    send_at(udp(), "info", 5220);
    m.msg_controllen = sizeof control;
    ask("IP_PKTINFO"), result(recvmsg(b, &m, MSG_DONTWAIT));
    h = CMSG_FIRSTHDR(&m);
    if (h) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(h), sizeof info);
        note("level %d type %d len %zu index %d, %#x %#x", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len,
             info.ipi_ifindex, ntohl(info.ipi_addr.s_addr), ntohl(info.ipi_spec_dst.s_addr));
    }
    done();
    /* What does not fit is dropped. */
    int small = bound(5222), size = 5000, came = 0;
    setsockopt(small, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    static char kilobyte[1024];
    struct sockaddr_in there = at_port(5222);
    for (int n = 0; n < 100; n++)
        sendto(a, kilobyte, sizeof kilobyte, 0, (void *)&there, sizeof there);
    while (recv(small, kilobyte, sizeof kilobyte, MSG_DONTWAIT) > 0)
        came++;
    ask("a hundred for a small buffer"), note("%s", came > 0 && came < 20 ? "a few came" : "other"), done();
    struct mmsghdr many[3] = {0};
    struct iovec parts[3] = {{"a", 1}, {"bb", 2}, {"ccc", 3}};
    connect_at(a, 5222);
    for (int n = 0; n < 3; n++)
        many[n].msg_hdr = (struct msghdr){.msg_iov = &parts[n], .msg_iovlen = 1};
    ask("sendmmsg"), result(sendmmsg(a, many, 3, 0)),
        note("%u %u %u", many[0].msg_len, many[1].msg_len, many[2].msg_len), done();
    char texts[3][4] = {0};
    for (int n = 0; n < 3; n++)
        parts[n] = (struct iovec){texts[n], 4};
    ask("recvmmsg"), result(recvmmsg(small, many, 3, MSG_WAITFORONE, NULL)),
        note("%.1s %.2s %.3s", texts[0], texts[1], texts[2]), done();
    CASE_NAMED("recvmmsg, nothing there", recvmmsg(small, many, 3, MSG_DONTWAIT, NULL));
    struct timespec t = {0, 2000000000};
    CASE_NAMED("recvmmsg, a bad time", recvmmsg(small, many, 3, 0, &t));
}

/* ---- Unix datagrams and seqpackets ---- */

static int unix_bound(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    strcpy(a.sun_path + 1, name);
    if (bind(fd, (void *)&a, sizeof a))
        abort();
    return fd;
}
static ssize_t unix_send(int fd, const char *text, const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path + 1, name);
    return sendto(fd, text, strlen(text), MSG_DONTWAIT, (void *)&a, sizeof a);
}
static int unix_connect(int fd, const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path + 1, name);
    return connect(fd, (void *)&a, sizeof a);
}

static void unix_datagrams(void) {
    int a = unix_bound("a"), b = unix_bound("b"), c = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    char text[20];
    POLL("fresh", c);
    CASE_NAMED("send without a destination", send(c, "x", 1, 0));
    CASE_NAMED("to nobody", unix_send(c, "x", "nobody"));
    CASE_NAMED("to a", unix_send(c, "one", "a"));
    ask("from one without a name"), result(recvfrom(a, text, 20, 0, (void *)&name, &size)),
        note("%u bytes of name", size), done();
    unix_send(b, "two", "a");
    size = sizeof name;
    ask("from one with a name"), result(recvfrom(a, text, 20, 0, (void *)&name, &size)),
        note("%u, %s", size, name.sun_path + 1), done();
    unix_send(b, "boundaries", "a"), unix_send(b, "", "a"), unix_send(b, "are kept", "a");
    RECV("the first, cut", a, 5, 0);
    RECV("the empty one", a, 5, 0);
    RECV("the third, its length", a, 3, MSG_TRUNC);
    RECV("no more", a, 5, 0);
    CASE_NAMED("connect a to b", unix_connect(a, "b"));
    CASE_NAMED("c sends to a, which is b's", unix_send(c, "x", "a"));
    CASE_NAMED("c connects to a, which is b's", unix_connect(c, "a"));
    CASE_NAMED("b sends to a", unix_send(b, "y", "a"));
    CASE_NAMED("a sends to b", send(a, "z", 1, 0));
    close(b);
    CASE_NAMED("b is closed: a sends", send(a, "z", 1, 0));
    CASE_NAMED("and again", send(a, "z", 1, 0));
    int p[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    send(p[0], "late", 4, 0);
    close(p[0]);
    POLL("a pair, one closed", p[1]);
    RECV("what was sent", p[1], 10, 0);
    RECV("then", p[1], 10, 0);
    CASE_NAMED("send to the closed one", send(p[1], "x", 1, 0));
    static char big[300000];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    CASE_NAMED("a large one", send(p[0], big, 200000, MSG_DONTWAIT));
    CASE_NAMED("one that is too large", send(p[0], big, sizeof big, MSG_DONTWAIT));
    CASE_NAMED("shutdown", shutdown(p[1], SHUT_RD));
    CASE_NAMED("send to one that is shut", send(p[0], "x", 1, MSG_DONTWAIT));
}

static void seqpackets(void) {
    int p[2];
    catch_broken();
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p);
    POLL("a pair", p[0]);
    PIPE("send", send(p[0], "first", 5, 0));
    PIPE("send again", send(p[0], "second", 6, 0));
    RECV("cut", p[1], 3, 0);
    RECV("the second", p[1], 10, 0);
    RECV("nothing", p[1], 10, 0);
    struct iovec v = {(char[10]){0}, 10};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    send(p[0], "a long message", 14, 0);
    ask("recvmsg cuts"), result(recvmsg(p[1], &m, 0)), note("flags %#x", m.msg_flags), done();
    PIPE("an empty one", send(p[0], "", 0, 0));
    RECV("an empty one", p[1], 10, 0);
    shutdown(p[0], SHUT_WR);
    POLL("the peer is shut", p[1]);
    RECV("the end", p[1], 10, 0);
    PIPE("send when shut", send(p[0], "x", 1, 0));
    send(p[1], "unread", 6, 0);
    close(p[0]);
    POLL("closed with something unread", p[1]);
    RECV("the reset", p[1], 10, 0);
    RECV("the end", p[1], 10, 0);
    PIPE("send to a closed one", send(p[1], "x", 1, 0));
    int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    POLL("fresh", s);
    PIPE("send when not connected", send(s, "x", 1, 0));
    RECV("recv when not connected", s, 1, 0);
}

/* ---- what interfaces there are ---- */

static void interfaces(void) {
    struct ifaddrs *list = NULL;
    ask("getifaddrs"), result(getifaddrs(&list));
    for (struct ifaddrs *i = list; i; i = i->ifa_next)
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_PACKET)
            note("%s %#x family %d", i->ifa_name, i->ifa_flags, i->ifa_addr ? i->ifa_addr->sa_family : -1);
    done();
    CASE_NAMED("if_nametoindex(lo)", (int)if_nametoindex("lo") ?: -1);
    CASE_NAMED("if_nametoindex(none)", (int)if_nametoindex("none") ?: -1);
    int fd = udp();
    struct ifreq r = {.ifr_name = "lo"};
    ask("SIOCGIFFLAGS"), result(ioctl(fd, SIOCGIFFLAGS, &r)), note("%#x", r.ifr_flags), done();
    ask("SIOCGIFMTU"), result(ioctl(fd, SIOCGIFMTU, &r)), note("%d", r.ifr_mtu), done();
    ask("SIOCGIFHWADDR"), result(ioctl(fd, SIOCGIFHWADDR, &r)), note("%d", r.ifr_hwaddr.sa_family), done();
    ask("SIOCGIFADDR"), result(ioctl(fd, SIOCGIFADDR, &r)),
        note("%#x", ntohl(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr)), done();
    ask("SIOCGIFNETMASK"), result(ioctl(fd, SIOCGIFNETMASK, &r)),
        note("%#x", ntohl(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr)), done();
    ask("SIOCGIFTXQLEN"), result(ioctl(fd, SIOCGIFTXQLEN, &r)), note("%d", r.ifr_qlen), done();
    strcpy(r.ifr_name, "none");
    CASE_NAMED("SIOCGIFFLAGS of none", ioctl(fd, SIOCGIFFLAGS, &r));
    r.ifr_ifindex = 1;
    ask("SIOCGIFNAME"), result(ioctl(fd, SIOCGIFNAME, &r)), note("%s", r.ifr_name), done();
    r.ifr_ifindex = 77;
    CASE_NAMED("SIOCGIFNAME of none", ioctl(fd, SIOCGIFNAME, &r));
    int nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    struct sockaddr_nl a = {.nl_family = AF_NETLINK};
    CASE_NAMED("bind", bind(nl, (void *)&a, sizeof a));
    CASE_NAMED("bind, short", bind(nl, (void *)&a, 4));
    socklen_t size = sizeof a;
    getsockname(nl, (void *)&a, &size);
    ask("its name"), note("family %d, %u bytes, %s", a.nl_family, size, a.nl_pid ? "a number" : "0"), done();
    struct {
        struct nlmsghdr h;
        struct rtgenmsg g;
    } q = {{NLMSG_LENGTH(sizeof q.g), RTM_GETLINK, NLM_F_REQUEST, 42, 0}, {AF_UNSPEC}};
    static char reply[8192];
    CASE_NAMED("a question after no link", send(nl, &q, sizeof q, 0) == sizeof q ? 0 : -1);
    ssize_t n = recv(nl, reply, sizeof reply, 0);
    struct nlmsghdr *h = (void *)reply;
    ask("its answer"),
        note("%s, type %d, seq %u, error %d", n > 0 ? "some" : "none", h->nlmsg_type, h->nlmsg_seq,
             ((struct nlmsgerr *)NLMSG_DATA(h))->error),
        done();
    ordinary();
    q.h.nlmsg_type = RTM_DELLINK;
    send(nl, &q, sizeof q, 0);
    n = recv(nl, reply, sizeof reply, 0);
    ask("an ordinary user removes a link"),
        note("type %d, error %d", h->nlmsg_type, ((struct nlmsgerr *)NLMSG_DATA(h))->error), done();
    struct {
        struct nlmsghdr head;
        struct ifinfomsg link;
        struct rtattr name;
        char text[4];
    } by_name = {{sizeof by_name, RTM_GETLINK, NLM_F_REQUEST, 7, 0}, {0}, {sizeof by_name.name + 2, IFLA_IFNAME}, "lo"};
    struct nlmsghdr answer = {0};
    (void)send(nl, &by_name, sizeof by_name, 0), (void)recv(nl, &answer, sizeof answer, MSG_DONTWAIT);
    ask("netlink, lo by its name without a 0"), note("type %d", answer.nlmsg_type), done();
    CASE_NAMED("netlink, a request of nothing", send(nl, "", 0, 0));
    CASE_NAMED("netlink, an unknown protocol", socket(AF_NETLINK, SOCK_RAW, 29));
    int events = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT), on = 1; /* as libudev */
    struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = 1};
    char event[8];
    CASE_NAMED("netlink, devices: SO_PASSCRED", setsockopt(events, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    CASE_NAMED("netlink, devices: bind", bind(events, (struct sockaddr *)&group, sizeof group));
    CASE_NAMED("netlink, devices: receive", recv(events, event, sizeof event, 0));
    CASE_NAMED("netlink, devices: send", send(events, "nothing", 7, 0));
    CASE_NAMED("netlink, devices: receive after that", recv(events, event, sizeof event, 0));
    CASE_NAMED("netlink, devices: close", close(events));
    CASE_NAMED("netlink, a stream", socket(AF_NETLINK, SOCK_STREAM, 0));
}

/* ---- what a datagram's header says, and UDP-Lite ---- */

static void note_control(int fd) {
    char text[10], control[200];
    struct iovec v = {text, sizeof text};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (result(recvmsg(fd, &m, MSG_DONTWAIT)) < 0)
        return;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        int number = 0;
        memcpy(&number, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0) < 4 ? h->cmsg_len - CMSG_LEN(0) : 4);
        note("level %d type %d len %zu: %d", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len, number);
    }
}

/* Sends with one piece of ancillary data: an int, or its first bytes. */
static void send_saying(int from, const void *to, socklen_t size, int level, int type, int number, size_t bytes) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_name = (void *)to,
                       .msg_namelen = size,
                       .msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = CMSG_SPACE(bytes)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    *h = (struct cmsghdr){CMSG_LEN(bytes), level, type};
    memcpy(CMSG_DATA(h), &number, bytes);
    ask("level %d type %d: %d in %zu bytes", level, type, number, bytes), result(sendmsg(from, &m, 0)), done();
}

static void headers(void) {
    int a = bound(5230), six = udp6(), to_six = udp6(), from = udp(), one = 1;
    struct sockaddr_in to4 = at_port(5230), mapped_from = at_port(5231);
    struct sockaddr_in6 to6 = at_port6(5231);
    bind(six, (void *)&to6, sizeof to6);
    setsockopt(a, IPPROTO_IP, IP_RECVTTL, &one, sizeof one);
    setsockopt(a, IPPROTO_IP, IP_RECVTOS, &one, sizeof one);
    setsockopt(six, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof one);
    setsockopt(six, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof one);
    sendto(from, "x", 1, 0, (void *)&to4, sizeof to4);
    ask("IPv4, plain"), note_control(a), done();
    static const struct {
        int type, number;
        size_t bytes;
    } four[] = {{IP_TTL, 7, 4},    {IP_TTL, 0, 4}, {IP_TTL, 256, 4}, {IP_TTL, 9, 1},
                {IP_TOS, 0x10, 4}, {IP_TOS, 8, 1}, {IP_TOS, 300, 4}};
    for (unsigned n = 0; n < sizeof four / sizeof *four; n++) {
        send_saying(from, &to4, sizeof to4, IPPROTO_IP, four[n].type, four[n].number, four[n].bytes);
        ask("IPv4, then"), note_control(a), done();
    }
    int ttl = 33;
    setsockopt(from, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    sendto(from, "x", 1, 0, (void *)&to4, sizeof to4);
    ask("IPv4, the socket's own"), note_control(a), done();
    sendto(to_six, "x", 1, 0, (void *)&to6, sizeof to6);
    ask("IPv6, plain"), note_control(six), done();
    static const struct {
        int type, number;
        size_t bytes;
    } sixes[] = {{IPV6_HOPLIMIT, 7, 4}, {IPV6_HOPLIMIT, -1, 4}, {IPV6_HOPLIMIT, 256, 4},
                 {IPV6_HOPLIMIT, 1, 1}, {IPV6_TCLASS, 0x10, 4}, {IPV6_TCLASS, -2, 4}};
    for (unsigned n = 0; n < sizeof sixes / sizeof *sixes; n++) {
        send_saying(to_six, &to6, sizeof to6, IPPROTO_IPV6, sixes[n].type, sixes[n].number, sixes[n].bytes);
        ask("IPv6, then"), note_control(six), done();
    }
    CASE_NAMED("IPv4 to it", sendto(from, "x", 1, 0, (void *)&mapped_from, sizeof mapped_from));
    ask("IPv4 to it, then"), note_control(six), done();
}

static void lite(void) {
    int a = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), b = bound(5232),
        from = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
    struct sockaddr_in to = at_port(5232);
    int number = 20;
    socklen_t size = sizeof number;
    CASE_NAMED("UDP-Lite beside UDP on one port", bind(a, (void *)&to, sizeof to));
    CASE_NAMED("to UDP-Lite", sendto(from, "lite", 4, 0, (void *)&to, sizeof to));
    FROM("UDP has it", b, 10, 0);
    FROM("UDP-Lite has it", a, 10, 0);
    CASE_NAMED("coverage", setsockopt(from, 136, 10, &number, sizeof number));
    ask("coverage"), result(getsockopt(from, 136, 10, &number, &size)), note("%d", number), done();
    CASE_NAMED("an option of UDP's", setsockopt(from, IPPROTO_UDP, 1, &number, sizeof number));
    CASE_NAMED("UDP-Lite's of UDP", setsockopt(b, 136, 10, &number, sizeof number));
    ask("SO_PROTOCOL"), result(getsockopt(from, SOL_SOCKET, SO_PROTOCOL, &number, &size)), note("%d", number), done();
}

int main(void) {
    GROUP(headers);
    GROUP(lite);
    GROUP(basics);
    GROUP(connected);
    GROUP(room);
    GROUP(elsewhere);
    GROUP(along);
    GROUP(sharing);
    GROUP(unix_datagrams);
    GROUP(seqpackets);
    GROUP(interfaces);
    return 0;
}
