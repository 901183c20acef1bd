/* sock_room.c - who hears that there is room to send, or in a listener's row: edge-triggered epoll after EAGAIN,
 * clients of a Unix datagram socket whose inbox others have filled, connections that knock. */
#include "sock.h"

static int ep;

/* What epoll tells, within so many ms. */
static void note_epoll(int ms) {
    struct epoll_event e = {0};
    int n = epoll_wait(ep, &e, 1, ms);
    note(n != 1 ? "nothing" : e.events & EPOLLOUT ? "OUT" : "something else");
}
#define EPOLL(what, ms) (ask("%s", what), note_epoll(ms), done())

static void watch(int fd, unsigned events) {
    struct epoll_event e = {.events = events};
    ep = epoll_create1(0);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
        abort();
}

static int tcp_listener(struct sockaddr_in *a, int backlog) {
    socklen_t bytes = sizeof *a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)a, bytes) || listen(fd, backlog) || getsockname(fd, (struct sockaddr *)a, &bytes))
        abort();
    return fd;
}

static void tcp_pair(int pair[2]) {
    struct sockaddr_in a;
    int listener = tcp_listener(&a, 1);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(pair[0], (struct sockaddr *)&a, sizeof a))
        abort();
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
}

/* ---- an edge after EAGAIN ---- */

static void fill_and_drain(const char *kind, int pair[2]) {
    static char bytes[65536];
    char what[64];
    ssize_t n, in = 0, out = 0;
    nonblocking(pair[0]);
    watch(pair[0], EPOLLOUT | EPOLLET);
    snprintf(what, sizeof what, "%s: at first", kind);
    EPOLL(what, 0);
    while ((n = send(pair[0], bytes, sizeof bytes, 0)) > 0)
        in += n;
    snprintf(what, sizeof what, "%s: sent until it is full", kind);
    CASE_NAMED(what, n);
    while (out < in && (n = recv(pair[1], bytes, sizeof bytes, 0)) > 0)
        out += n;
    snprintf(what, sizeof what, "%s: all was received", kind);
    EPOLL(what, WAIT);
}

static void edges(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        abort();
    fill_and_drain("unix stream", pair);
    tcp_pair(pair);
    fill_and_drain("tcp", pair);
}

/* ---- clients of a datagram socket ---- */

/* A client, and the socket it is connected to, whose inbox others fill: it has a name, and no peer. */
static void client_of_full(int pair[2]) {
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0room"};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    socklen_t bytes = offsetof(struct sockaddr_un, sun_path) + 5;
    int other = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) || connect(pair[1], &none, sizeof none) ||
        bind(pair[1], (struct sockaddr *)&a, bytes))
        abort();
    while (sendto(other, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&a, bytes) == 1)
        ;
    watch(pair[0], EPOLLOUT);
}

static void clients(void) {
    int pair[2];
    client_of_full(pair);
    EPOLL("datagrams: others filled the inbox", 0);
    RECV("datagrams: one is taken", pair[1], 1, 0);
    EPOLL("datagrams: room again", 0);
    close(pair[1]);
    client_of_full(pair);
    EPOLL("datagrams: filled again", 0);
    close(pair[1]);
    EPOLL("datagrams: the receiver is gone", 0);
    CASE_NAMED("datagrams: to who is gone", send(pair[0], "x", 1, MSG_DONTWAIT));
}

/* ---- a longer row ---- */

static void longer_row(void) {
    struct sockaddr_in a;
    int listener = tcp_listener(&a, 0), first = socket(AF_INET, SOCK_STREAM, 0);
    int second = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CASE_NAMED("row: the first", connect(first, (struct sockaddr *)&a, sizeof a));
    CASE_NAMED("row: the second", connect(second, (struct sockaddr *)&a, sizeof a));
    watch(second, EPOLLOUT);
    EPOLL("row: full", 0);
    CASE_NAMED("row: longer", listen(listener, 5));
    EPOLL("row: a place in it", WAIT);
    ERROR("row: the second", second);
}

int main(void) {
    GROUP(edges);
    GROUP(clients);
    GROUP(longer_row);
    return 0;
}
