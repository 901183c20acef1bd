/* sock_options.c - every option of a socket by its number: a fresh socket is asked for it, told 1, and asked again.
 * What no kind of socket knows has no line. */
#include "sock.h"

/* Of these the value is the machine's own, or what was set says nothing. */
static int is_own(int level, int name) {
    return (level == SOL_SOCKET && (name == SO_COOKIE || name == SO_INCOMING_CPU || name == 56 /* NAPI_ID */)) ||
           (level == IPPROTO_TCP && (name == TCP_INFO || name == TCP_TIMESTAMP || name == TCP_CC_INFO));
}

static void read_one(int fd, int level, int name) {
    char value[512] = "";
    socklen_t bytes = sizeof value;
    if (getsockopt(fd, level, name, value, &bytes))
        note("%s", error_name(errno));
    else if (bytes == sizeof(int) && !is_own(level, name))
        note("%d", *(int *)value);
    else
        note("%u bytes", is_own(level, name) ? 0 : bytes);
}

static void one(const char *kind, int family, int type, int level, int name) {
    static const int one = 1;
    char value[512];
    socklen_t bytes = sizeof value;
    int fd = socket(family, type, 0), error = setsockopt(fd, level, name, &one, sizeof one) ? errno : 0;
    if ((error != ENOPROTOOPT && error != EOPNOTSUPP) || !getsockopt(fd, level, name, value, &bytes)) {
        close(fd);
        fd = socket(family, type, 0);
        ask("%s, level %d, option %d", kind, level, name);
        read_one(fd, level, name);
        note("set: %s", setsockopt(fd, level, name, &one, sizeof one) ? error_name(errno) : "0");
        read_one(fd, level, name);
        done();
    }
    close(fd);
}

static void all_of(const char *kind, int family, int type) {
    static const struct {
        int level, most;
    } levels[] = {{SOL_SOCKET, 80}, {IPPROTO_IP, 60}, {IPPROTO_IPV6, 90}, {IPPROTO_TCP, 45}, {IPPROTO_UDP, 110}};
    for (size_t n = 0; n < countof(levels); n++)
        for (int name = 0; name <= levels[n].most; name++)
            one(kind, family, type, levels[n].level, name);
}

static void tcp4(void) { all_of("TCP", AF_INET, SOCK_STREAM); }
static void tcp6(void) { all_of("TCP over IPv6", AF_INET6, SOCK_STREAM); }
static void udp4(void) { all_of("UDP", AF_INET, SOCK_DGRAM); }
static void udp6(void) { all_of("UDP over IPv6", AF_INET6, SOCK_DGRAM); }
static void streams(void) { all_of("Unix stream", AF_UNIX, SOCK_STREAM); }
static void datagrams(void) { all_of("Unix datagram", AF_UNIX, SOCK_DGRAM); }

int main(void) {
    GROUP(tcp4);
    GROUP(tcp6);
    GROUP(udp4);
    GROUP(udp6);
    GROUP(streams);
    GROUP(datagrams);
    return 0;
}
