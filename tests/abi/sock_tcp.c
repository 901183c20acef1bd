/* sock_tcp.c - TCP over the loopback interface: places, connecting, both halves, resets, options; IPv4 and IPv6. */
#include "sock.h"

#include "asleep.h"
#include <pthread.h>
#include <stdatomic.h>

/* ---- places ---- */

static struct sockaddr_storage place_room;
static socklen_t place_bytes;

/* "127.0.0.1" or "::1", and a port. */
static struct sockaddr *place(const char *ip, int port) {
    struct sockaddr_in *a = (void *)&place_room;
    struct sockaddr_in6 *b = (void *)&place_room;
    memset(&place_room, 0, sizeof place_room);
    if (strchr(ip, ':')) {
        b->sin6_family = AF_INET6;
        b->sin6_port = htons((uint16_t)port);
        inet_pton(AF_INET6, ip, &b->sin6_addr);
        place_bytes = sizeof *b;
    } else {
        a->sin_family = AF_INET;
        a->sin_port = htons((uint16_t)port);
        inet_pton(AF_INET, ip, &a->sin_addr);
        place_bytes = sizeof *a;
    }
    return (struct sockaddr *)&place_room;
}
static int bind_at(int fd, const char *ip, int port) {
    return place(ip, port), bind(fd, (void *)&place_room, place_bytes);
}
static int connect_at(int fd, const char *ip, int port) {
    return place(ip, port), connect(fd, (void *)&place_room, place_bytes);
}

static int port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t bytes = sizeof a;
    getsockname(fd, (void *)&a, &bytes);
    return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                        : ((struct sockaddr_in6 *)&a)->sin6_port);
}

/* Ports that the kernel chose are said by range. */
static void note_place(const struct sockaddr_storage *a, socklen_t bytes) {
    char ip[64] = "?";
    int port = 0;
    if (a->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)a)->sin_addr, ip, sizeof ip);
        port = ntohs(((struct sockaddr_in *)a)->sin_port);
    } else if (a->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)a)->sin6_addr, ip, sizeof ip);
        port = ntohs(((struct sockaddr_in6 *)a)->sin6_port);
    }
    if (port >= 32768 && port <= 60999)
        note("%s, some port, %u bytes", ip, bytes);
    else
        note("%s, %d, %u bytes", ip, port, bytes);
}
static void note_places(int fd) {
    struct sockaddr_storage a = {0};
    socklen_t bytes = sizeof a;
    if (result(getsockname(fd, (void *)&a, &bytes)) == 0)
        note_place(&a, bytes);
    bytes = sizeof a;
    if (result(getpeername(fd, (void *)&a, &bytes)) == 0)
        note_place(&a, bytes);
}
#define PLACES(what, fd) (ask("places: %s", what), note_places(fd), done())

static int tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int tcp6(void) { return socket(AF_INET6, SOCK_STREAM, 0); }
static void reuse(int fd) { setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)); }

/* A listener and a connection to it. */
static int listener, client, server;
static int listen_at(const char *ip, int port, int backlog) {
    int fd = strchr(ip, ':') ? tcp6() : tcp();
    reuse(fd);
    if (bind_at(fd, ip, port) || listen(fd, backlog))
        note("cannot listen: %s", error_name(errno));
    return fd;
}
static void connection(void) {
    listener = listen_at("127.0.0.1", 0, 5);
    client = tcp();
    if (connect_at(client, "127.0.0.1", port_of(listener)))
        abort();
    server = accept(listener, NULL, NULL);
}
static void over(void) { close(client), close(server), close(listener); }

/* ---- making and binding ---- */

static void making(void) {
    CASE(close(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)));
    CASE(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    CASE(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
    CASE(socket(AF_INET, SOCK_SEQPACKET, 0));
    CASE(socket(AF_INET, 0, 0));
    CASE(socket(AF_INET, SOCK_STREAM, -1));
    CASE(socket(AF_INET, SOCK_STREAM, 256));
    CASE(close(socket(AF_INET6, SOCK_STREAM, 0)));
    CASE(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMP));
    int fd = tcp();
    PLACES("fresh", fd);
    POLL("fresh", fd);
    OPTION_IS("fresh", fd, SOL_SOCKET, SO_TYPE);
    OPTION_IS("fresh", fd, SOL_SOCKET, SO_PROTOCOL);
    OPTION_IS("fresh", fd, SOL_SOCKET, SO_DOMAIN);
    OPTION_IS("fresh", fd, SOL_SOCKET, SO_ACCEPTCONN);
    OPTION_IS("fresh", fd, SOL_SOCKET, SO_SNDBUF);
    OPTION_IS("fresh", fd, SOL_SOCKET, SO_RCVBUF);
    catch_broken();
    PIPE("send of a fresh one", send(fd, "x", 1, 0));
    RECV("recv of a fresh one", fd, 1, 0);
    CASE_NAMED("shutdown of a fresh one", shutdown(fd, SHUT_RDWR));
    CASE_NAMED("accept of a fresh one", accept(fd, NULL, NULL));
    ordinary();
    CASE(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    CASE_NAMED("a low port", bind_at(tcp(), "127.0.0.1", 80));
}

static void binding(void) {
    int a = tcp(), b = tcp();
    CASE(bind_at(a, "127.0.0.1", 5001));
    PLACES("bound", a);
    CASE_NAMED("bind again", bind_at(a, "127.0.0.1", 5002));
    CASE_NAMED("the same place", bind_at(b, "127.0.0.1", 5001));
    CASE_NAMED("the same port, any address", bind_at(b, "0.0.0.0", 5001));
    CASE_NAMED("the same port, another address", bind_at(b, "127.0.0.2", 5001));
    b = tcp();
    CASE_NAMED("an address of elsewhere", bind_at(b, "192.0.2.1", 5001));
    CASE_NAMED("a broadcast", bind_at(tcp(), "127.255.255.255", 5009));
    CASE_NAMED("the last of 127", bind_at(tcp(), "127.255.255.254", 5009));
    place("127.0.0.1", 5003);
    CASE_NAMED("too short", bind(b, (void *)&place_room, 15));
    place_room.ss_family = AF_UNIX;
    CASE_NAMED("another family", bind(b, (void *)&place_room, place_bytes));
    place_room.ss_family = AF_UNSPEC;
    CASE_NAMED("no family, some address", bind(b, (void *)&place_room, place_bytes));
    place("0.0.0.0", 5003), place_room.ss_family = AF_UNSPEC;
    CASE_NAMED("no family, any address", bind(b, (void *)&place_room, place_bytes));
    int c = tcp();
    CASE_NAMED("port 0", bind_at(c, "127.0.0.1", 0));
    PLACES("port 0", c);
    /* SO_REUSEADDR */
    int d = tcp(), e = tcp();
    reuse(d), reuse(e);
    CASE_NAMED("reusable", bind_at(d, "127.0.0.1", 5010));
    CASE_NAMED("reusable, the same place", bind_at(e, "127.0.0.1", 5010));
    CASE_NAMED("one listens", listen(d, 1));
    CASE_NAMED("the other too", listen(e, 1));
    int f = tcp();
    reuse(f);
    CASE_NAMED("reusable where somebody listens", bind_at(f, "127.0.0.1", 5010));
    int g = tcp(), h = tcp();
    setsockopt(g, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    setsockopt(h, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    CASE_NAMED("SO_REUSEPORT", bind_at(g, "127.0.0.1", 5020));
    CASE_NAMED("SO_REUSEPORT, the same place", bind_at(h, "127.0.0.1", 5020));
    CASE_NAMED("both listen", (listen(g, 1), listen(h, 1)));
    /* IPv6 beside IPv4 */
    int six = tcp6(), only = tcp6(), x = tcp();
    CASE_NAMED("IPv6, any", bind_at(six, "::", 5030));
    PLACES("IPv6, any", six);
    CASE_NAMED("IPv4 beside it", bind_at(x, "127.0.0.1", 5030));
    OPTION(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    CASE_NAMED("IPv6 alone", bind_at(only, "::", 5031));
    CASE_NAMED("IPv4 beside that", bind_at(x, "127.0.0.1", 5031));
    OPTION(only, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    CASE_NAMED("::1", bind_at(tcp6(), "::1", 5032));
    CASE_NAMED("IPv6 of elsewhere", bind_at(tcp6(), "2001:db8::1", 5033));
    six = tcp6();
    CASE_NAMED("mapped", bind_at(six, "::ffff:127.0.0.1", 5034));
    PLACES("mapped", six);
    place("::1", 5035);
    CASE_NAMED("IPv6, too short", bind(tcp6(), (void *)&place_room, 23));
    CASE_NAMED("an IPv4 address for IPv6", bind_at(tcp6(), "127.0.0.1", 5036));
    CASE_NAMED("an IPv6 address for IPv4", bind_at(tcp(), "::1", 5036));
}

/* ---- connecting ---- */

static void without_waiting(void) {
    int n = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CASE_NAMED("without waiting", connect_at(n, "127.0.0.1", 5101));
    await_event(n, POLLOUT);
    POLL("then", n);
    ERROR("then", n);
    CASE_NAMED("connect, the second time", connect_at(n, "127.0.0.1", 5101));
    CASE_NAMED("connect, the third time", connect_at(n, "127.0.0.1", 5101));
    close(n);
    n = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CASE_NAMED("refused without waiting", connect_at(n, "127.0.0.1", 5100));
    await_event(n, POLLOUT);
    POLL("refused without waiting", n);
    CASE_NAMED("connect after that", connect_at(n, "127.0.0.1", 5100));
    close(n);
    n = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CASE_NAMED("refused without waiting", connect_at(n, "127.0.0.1", 5100));
    await_event(n, POLLOUT);
    ERROR("the error taken first", n);
    ERROR("it is gone", n);
    CASE_NAMED("connect after that, too", connect_at(n, "127.0.0.1", 5100));
}

static void connecting(void) {
    int c = tcp();
    CASE_NAMED("nobody listens", connect_at(c, "127.0.0.1", 5100));
    POLL("refused", c);
    ERROR("refused", c);
    PLACES("refused", c);
    CASE_NAMED("elsewhere", connect_at(c, "192.0.2.1", 80));
    CASE_NAMED("a multicast group", connect_at(c, "224.0.0.1", 80));
    CASE_NAMED("IPv6 elsewhere", connect_at(tcp6(), "2001:db8::1", 80));
    place("127.0.0.1", 5100);
    CASE_NAMED("too short", connect(c, (void *)&place_room, 15));
    CASE_NAMED("length 1", connect(c, (void *)&place_room, 1));
    place_room.ss_family = AF_UNIX;
    CASE_NAMED("another family", connect(c, (void *)&place_room, place_bytes));
    CASE_NAMED("no listener on IPv6", connect_at(tcp6(), "::1", 5100));
    listener = listen_at("127.0.0.1", 5101, 1);
    POLL("listening", listener);
    PLACES("listening", listener);
    nonblocking(listener);
    CASE_NAMED("accept when nobody waits", accept(listener, NULL, NULL));
    RECV("recv of a listener", listener, 1, 0);
    CASE_NAMED("connect of a listener", connect_at(listener, "127.0.0.1", 5101));
    CASE_NAMED("listen again", listen(listener, 2));
    CASE_NAMED("connect", connect_at(c, "127.0.0.1", 5101));
    CASE_NAMED("connect again", connect_at(c, "127.0.0.1", 5101));
    CASE_NAMED("listen of a connected one", listen(c, 1));
    CASE_NAMED("bind of a connected one", bind_at(c, "127.0.0.1", 5102));
    await_event(listener, POLLIN);
    POLL("one waits", listener);
    struct sockaddr_storage a;
    socklen_t bytes = sizeof a;
    ask("accept"), result((server = accept(listener, (void *)&a, &bytes)) < 0 ? -1 : 0), note_place(&a, bytes), done();
    PLACES("the client", c);
    PLACES("the server", server);
    OPTION_IS("connected", c, SOL_SOCKET, SO_SNDBUF);
    OPTION_IS("connected", c, IPPROTO_TCP, TCP_MAXSEG);
    POLL("connected", c);
    CASE_NAMED("to an address that is not bound", connect_at(tcp(), "127.0.0.2", 5101));
    without_waiting();
    CASE_NAMED("any address is this machine", connect_at(tcp(), "0.0.0.0", 5101));
    int six = listen_at("::", 5103, 5);
    c = tcp();
    CASE_NAMED("IPv4 to IPv6, any", connect_at(c, "127.0.0.1", 5103));
    bytes = sizeof a;
    ask("accept of it"), result((server = accept(six, (void *)&a, &bytes)) < 0 ? -1 : 0), note_place(&a, bytes), done();
    PLACES("IPv4 from outside", c);
    PLACES("IPv4 from inside", server);
    c = tcp6();
    CASE_NAMED("IPv6", connect_at(c, "::1", 5103));
    PLACES("IPv6", c);
    c = tcp6();
    CASE_NAMED("mapped", connect_at(c, "::ffff:127.0.0.1", 5103));
    PLACES("mapped", c);
    c = tcp();
    bind_at(c, "127.0.0.9", 0);
    CASE_NAMED("from 127.0.0.9", connect_at(c, "127.0.0.1", 5101));
    PLACES("from 127.0.0.9", c);
    place_room.ss_family = AF_UNSPEC;
    CASE_NAMED("disconnect", connect(c, (void *)&place_room, place_bytes));
    PLACES("disconnected", c);
    CASE_NAMED("and connect again", connect_at(c, "127.0.0.1", 5103));
    shutdown(six, SHUT_RD);
    CASE_NAMED("accept after shutdown", accept(six, NULL, NULL));
    CASE_NAMED("connect after shutdown", connect_at(tcp6(), "::1", 5103));
    OPTION_IS("after shutdown", six, SOL_SOCKET, SO_ACCEPTCONN);
}

/* A socket that left its connection, and is in another one, hears nothing of the first one's other end. */
static void connected_anew(void) {
    connection();
    int port = port_of(listener), unread = server;
    send(client, "never read", 10, 0), await_event(unread, POLLIN);
    place("127.0.0.1", 0), place_room.ss_family = AF_UNSPEC;
    CASE_NAMED("disconnect from one", connect(client, (void *)&place_room, place_bytes));
    await_event(unread, POLLHUP);
    CASE_NAMED("connect anew", connect_at(client, "127.0.0.1", port));
    server = accept(listener, NULL, NULL);
    CASE_NAMED("close the first one's other end, with bytes unread", close(unread));
    POLL("still connected", client);
    RECV("nothing came", client, 1, 0);
    int ended = server;
    CASE_NAMED("disconnect again",
               (place_room.ss_family = AF_UNSPEC, connect(client, (void *)&place_room, place_bytes)));
    await_event(ended, POLLHUP);
    ERROR("the other end's", ended);
    CASE_NAMED("connect anew again", connect_at(client, "127.0.0.1", port));
    server = accept(listener, NULL, NULL);
    CASE_NAMED("close the second one's other end", close(ended));
    POLL("still connected then", client);
    CASE_NAMED("send to the new one", send(server, "new", 3, 0));
    await_event(client, POLLIN);
    RECV("it arrives", client, 9, 0);
    over();
}

/* ---- the end of a connection for who waits in it ---- */

static struct {
    int fd, port;
    _Atomic pid_t thread;
    ssize_t result;
    int error;
} waiting;

static void *wait_in_recv(void *unused) {
    char text[4];
    atomic_store(&waiting.thread, gettid());
    waiting.result = recv(waiting.fd, text, sizeof text, 0);
    waiting.error = errno;
    return unused;
}

static void *wait_in_connect(void *unused) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)waiting.port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    atomic_store(&waiting.thread, gettid());
    waiting.result = connect(waiting.fd, (void *)&a, sizeof a);
    waiting.error = errno;
    return unused;
}

static void *wait_in_send(void *unused) {
    static char much[1 << 16];
    atomic_store(&waiting.thread, gettid());
    while ((waiting.result = send(waiting.fd, much, sizeof much, 0)) > 0)
        ;
    waiting.error = errno;
    return unused;
}

static int disconnect(int fd) {
    struct sockaddr a = {.sa_family = AF_UNSPEC};
    return connect(fd, &a, sizeof a);
}

/* A thread waits in a call of the client. */
static pthread_t wait_in(void *(*call)(void *)) {
    pthread_t thread;
    waiting.fd = client, broken_pipes = 0;
    waiting.thread = 0;
    pthread_create(&thread, NULL, call, NULL);
    while (!waiting.thread)
        usleep(1000);
    await_state(getpid(), waiting.thread, 'S');
    return thread;
}

/* What came of it. */
static void waited_in(const char *what, pthread_t thread) {
    pthread_join(thread, NULL);
    ask("who waits in %s", what);
    note("%s, %d SIGPIPE", waiting.result < 0 ? error_name(waiting.error) : "ok", broken_pipes), done();
    ERROR(what, client);
}

static void disconnected_under(const char *what, void *(*call)(void *)) {
    pthread_t thread = wait_in(call);
    ask("disconnect under %s", what), result(disconnect(client)), done();
    waited_in(what, thread);
}

static void reset_under(const char *what, void *(*call)(void *)) {
    pthread_t thread = wait_in(call);
    setsockopt(server, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    ask("reset under %s", what), result(close(server)), done();
    waited_in(what, thread);
}

static void disconnecting(void) {
    catch_broken();
    connection();
    disconnected_under("recv", wait_in_recv);
    POLL("disconnected", client);
    over();
    connection();
    disconnected_under("send", wait_in_send);
    over();
    connection();
    reset_under("send", wait_in_send);
    over();
    connection();
    reset_under("recv", wait_in_recv);
    over();
    listener = listen_at("127.0.0.1", 0, 0);
    waiting.port = port_of(listener);
    client = tcp(), connect_at(client, "127.0.0.1", waiting.port);
    await_event(listener, POLLIN);
    server = client, client = tcp();
    disconnected_under("connect", wait_in_connect);
    over();
    connection();
    CASE_NAMED("disconnect", disconnect(client));
    POLL("disconnected", client);
    CASE_NAMED("connect anew with the error there", connect_at(client, "127.0.0.1", port_of(listener)));
    ERROR("connected anew", client);
    over();
    connection();
    setsockopt(server, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(server), await_event(client, POLLERR);
    CASE_NAMED("disconnect of one that was reset", disconnect(client));
    CASE_NAMED("connect anew after a reset", connect_at(client, "127.0.0.1", port_of(listener)));
    POLL("connected anew", client);
    ERROR("connected anew", client);
    over();
    listener = listen_at("127.0.0.1", 0, 5);
    CASE_NAMED("disconnect of a listener", disconnect(listener));
    POLL("no listener any more", listener);
    OPTION_IS("no listener any more", listener, SOL_SOCKET, SO_ACCEPTCONN);
    close(listener);
}

/* ---- bytes and ends ---- */

static void half_closed(void) {
    char text[100];
    int n = 0;
    catch_broken();
    connection();
    CASE_NAMED("send", send(client, "hello", 5, 0));
    await_event(server, POLLIN);
    POLL("bytes there", server);
    ask("FIONREAD"), result(ioctl(server, FIONREAD, &n)), note("%d", n), done();
    ask("SIOCATMARK"), result(ioctl(server, SIOCATMARK, &n)), note("%d", n), done();
    RECV("peek", server, 3, MSG_PEEK);
    RECV("discard three", server, 3, MSG_TRUNC);
    RECV("the rest", server, 10, 0);
    RECV("nothing there", server, 10, 0);
    RECV("urgent", server, 10, MSG_OOB);
    RECV("errors", server, 10, MSG_ERRQUEUE);
    CASE_NAMED("send of nothing", send(client, "", 0, 0));
    place("127.0.0.1", 1);
    CASE_NAMED("sendto a name", sendto(client, "x", 1, 0, (void *)&place_room, place_bytes));
    struct sockaddr_storage a;
    socklen_t bytes = sizeof a;
    await_event(server, POLLIN);
    ask("recvfrom"), result(recvfrom(server, text, 9, 0, (void *)&a, &bytes)), note("%u bytes of name", bytes), done();
    CASE_NAMED("shutdown(WR)", shutdown(client, SHUT_WR));
    await_event(server, POLLRDHUP);
    POLL("the client", client);
    POLL("the server", server);
    RECV("the end", server, 10, 0);
    PIPE("send after shutdown", send(client, "x", 1, 0));
    PIPE("the other way", send(server, "back", 4, 0));
    await_event(client, POLLIN);
    RECV("arrives", client, 10, 0);
    PLACES("half closed", client);
    CASE_NAMED("shutdown(WR) of the other", shutdown(server, SHUT_WR));
    await_event(client, POLLHUP);
    await_event(server, POLLHUP);
    POLL("both ended", client);
    POLL("both ended", server);
    RECV("the end for the client", client, 10, 0);
    PLACES("both ended", server);
    CASE_NAMED("shutdown again", shutdown(server, SHUT_RD));
    PIPE("send when both ended", send(server, "x", 1, 0));
    CASE_NAMED("connect when both ended", connect_at(server, "127.0.0.1", 1));
    over();
}

/* Bytes for one that has shut both halves, and is not closed. */
static void both_shut(void) {
    connection();
    CASE_NAMED("shutdown(RDWR)", shutdown(client, SHUT_RDWR));
    await_event(server, POLLRDHUP);
    CASE_NAMED("send to one that takes nothing", send(server, "x", 1, 0));
    await_event(server, POLLERR), await_event(client, POLLERR);
    POLL("who sent", server);
    ERROR("who sent", server);
    POLL("who took nothing", client);
    ERROR("who took nothing", client);
    CASE_NAMED("shutdown of what was reset", shutdown(client, SHUT_RDWR));
    over();
}

static void closed(void) {
    connection();
    send(server, "data", 4, 0);
    close(server);
    await_event(client, POLLRDHUP);
    POLL("closed by the other", client);
    RECV("the data", client, 10, 0);
    RECV("the end", client, 10, 0);
    PIPE("the first send to a closed one", send(client, "x", 1, 0));
    await_event(client, POLLERR);
    POLL("it was reset", client);
    PIPE("the second", send(client, "x", 1, 0));
    ERROR("no error is left", client);
    RECV("still the end", client, 10, 0);
    over();

    connection();
    send(server, "unread", 6, 0);
    await_event(client, POLLIN);
    send(client, "mine", 4, 0);
    await_event(server, POLLIN);
    close(client);
    await_event(server, POLLERR);
    POLL("closed with bytes unread", server);
    RECV("the reset", server, 10, 0);
    RECV("then the end", server, 10, 0);
    PIPE("send after a reset", send(server, "x", 1, 0));
    PLACES("after a reset", server);
    over();

    connection();
    struct linger l = {1, 0};
    send(client, "last", 4, 0);
    await_event(server, POLLIN);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(client);
    await_event(server, POLLERR);
    RECV("lingering for no time: bytes", server, 10, 0);
    RECV("lingering for no time: the reset", server, 10, 0);
    over();
}

static void ends(void) {
    half_closed();
    both_shut();
    closed();
    connection();
    CASE_NAMED("shutdown(RD)", shutdown(server, SHUT_RD));
    POLL("shutdown(RD)", server);
    RECV("nothing there", server, 10, 0);
    PIPE("the client sends", send(client, "late", 4, 0));
    await_event(server, POLLIN);
    usleep(20000);
    RECV("it arrives all the same", server, 10, 0);
    over();

    /* A listener that closes resets those that nobody accepted. */
    listener = listen_at("127.0.0.1", 0, 5);
    client = tcp();
    connect_at(client, "127.0.0.1", port_of(listener));
    close(listener);
    await_event(client, POLLERR);
    POLL("never accepted", client);
    RECV("never accepted", client, 10, 0);
}

static void amounts(void) {
    static char big[1 << 20];
    connection();
    nonblocking(client);
    ssize_t n;
    long sum = 0;
    while ((n = send(client, big, sizeof big, 0)) > 0)
        sum += n;
    ask("fill it"), result(n), note("%s", sum > 1 << 20 && sum < 16 << 20 ? "some MiB" : "other"), done();
    POLL("full", client);
    long got = 0;
    while (got < sum && (n = recv(server, big, sizeof big, 0)) > 0)
        got += n;
    await_event(client, POLLOUT);
    ask("all came"), note("%s", got == sum ? "yes" : "no"), done();
    POLL("empty", client);
    over();
    connection();
    if (fork() == 0) {
        for (int i = 0; i < 4; i++)
            if (send(client, big, sizeof big, 0) != sizeof big)
                _exit(1);
        _exit(0);
    }
    close(client);
    for (got = 0; (n = recv(server, big, sizeof big, MSG_WAITALL)) > 0; got++)
        if (n != sizeof big)
            break;
    int status;
    wait(&status);
    ask("four MiB, a MiB at a time"), note("%ld, %d", got, status), done();
}

/* ---- options ---- */

static void set_and_read(int fd, int six) {
    OPTION(fd, SOL_SOCKET, SO_REUSEADDR, 5);
    OPTION(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    OPTION(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    OPTION(fd, SOL_SOCKET, SO_BROADCAST, 1);
    OPTION(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    OPTION(fd, SOL_SOCKET, SO_DONTROUTE, 1);
    OPTION(fd, SOL_SOCKET, SO_PASSCRED, 1);
    OPTION(fd, SOL_SOCKET, SO_PRIORITY, 3);
    OPTION(fd, SOL_SOCKET, SO_SNDBUF, 10000);
    OPTION(fd, SOL_SOCKET, SO_SNDBUF, 1);
    OPTION(fd, SOL_SOCKET, SO_SNDBUF, 100000000);
    char device[16];
    socklen_t size = sizeof device;
    CASE_NAMED("SO_BINDTODEVICE, one that is not there", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth7", 4));
    ask("it is not bound"), result(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size)), note("%u", size),
        done();
    CASE_NAMED("SO_BINDTODEVICE, lo", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
    size = sizeof device;
    ask("it is bound"), result(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size)),
        note("%s, %u", device, size), done();
    CASE_NAMED("too little room", (size = 3, getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size)));
    CASE_NAMED("bound no more", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
    OPTION(fd, SOL_SOCKET, SO_RCVBUF, 10000);
    OPTION(fd, SOL_SOCKET, SO_RCVBUF, 1);
    OPTION(fd, SOL_SOCKET, SO_RCVBUF, -1);
    OPTION(fd, SOL_SOCKET, SO_RCVLOWAT, 0);
    OPTION(fd, SOL_SOCKET, SO_RCVLOWAT, 100);
    OPTION(fd, SOL_SOCKET, SO_SNDLOWAT, 1);
    OPTION(fd, SOL_SOCKET, SO_TYPE, 1);
    OPTION(fd, SOL_SOCKET, SO_ERROR, 1);
    OPTION(fd, SOL_SOCKET, 9999, 1);
    OPTION(fd, IPPROTO_TCP, TCP_NODELAY, 7);
    OPTION(fd, IPPROTO_TCP, TCP_CORK, 1);
    OPTION(fd, IPPROTO_TCP, TCP_KEEPIDLE, 100);
    OPTION(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0);
    OPTION(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    OPTION(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    OPTION(fd, IPPROTO_TCP, TCP_KEEPCNT, 128);
    OPTION(fd, IPPROTO_TCP, TCP_SYNCNT, 3);
    OPTION(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000);
    OPTION(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, -1);
    OPTION(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
    OPTION(fd, IPPROTO_TCP, 9999, 1);
    OPTION(fd, IPPROTO_IP, IP_TOS, 0x10);
    OPTION(fd, IPPROTO_IP, IP_TTL, 10);
    OPTION(fd, IPPROTO_IP, IP_TTL, 256);
    OPTION(fd, IPPROTO_IP, IP_TTL, 0);
    OPTION(fd, IPPROTO_IP, IP_TTL, -1);
    OPTION(fd, IPPROTO_IP, IP_FREEBIND, 1);
    OPTION(fd, IPPROTO_IP, IP_RECVERR, 1);
    OPTION(fd, IPPROTO_IP, IP_PKTINFO, 1);
    OPTION(fd, IPPROTO_IP, IP_MTU_DISCOVER, 2);
    OPTION(fd, IPPROTO_IP, IP_MTU_DISCOVER, 9);
    OPTION(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    OPTION(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    OPTION(six, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 5);
    OPTION(six, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 300);
    OPTION(six, IPPROTO_IPV6, IPV6_TCLASS, 5);
    OPTION(six, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    OPTION(six, IPPROTO_IP, IP_TOS, 8);
    OPTION(fd, 12345, 1, 1);
}

static void options(void) {
    int fd = tcp(), six = tcp6(), value;
    set_and_read(fd, six);
    CASE_NAMED("an int of 3 bytes", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, 3));
    CASE_NAMED("length -1", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, (socklen_t)-1));
    CASE_NAMED("from nowhere", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, (void *)8, 4));
    CASE_NAMED("a byte for IP_TOS", setsockopt(fd, IPPROTO_IP, IP_TOS, &(char){4}, 1));
    CASE_NAMED("a byte for TCP_NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(char){1}, 1));
    socklen_t bytes = 2;
    value = -1;
    ask("two bytes of an int"), result(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &bytes)),
        note("%#x, %u", value, bytes), done();
    bytes = (socklen_t)-1;
    CASE_NAMED("getsockopt, length -1", getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &bytes));
    CASE_NAMED("getsockopt, nowhere", getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, (void *)8, &(socklen_t){4}));
    struct linger l = {7, 11};
    CASE_NAMED("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
    CASE_NAMED("SO_LINGER, short", setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, 4));
    bytes = sizeof l;
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &bytes);
    ask("it reads as"), note("%d %d, %u", l.l_onoff, l.l_linger, bytes), done();
    char name[16] = "";
    bytes = sizeof name;
    ask("TCP_CONGESTION"), result(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &bytes)),
        note("%s, %u", name, bytes), done();
    CASE_NAMED("TCP_CONGESTION = reno", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    CASE_NAMED("TCP_CONGESTION = none", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "no such", 7));
    connection();
    struct tcp_info info;
    bytes = sizeof info;
    memset(&info, 0, sizeof info);
    ask("TCP_INFO"), result(getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &bytes)),
        note("state %d", info.tcpi_state), done();
    shutdown(client, SHUT_WR);
    await_event(server, POLLRDHUP);
    bytes = sizeof info;
    getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &bytes);
    ask("TCP_INFO when the peer has ended"), note("state %d", info.tcpi_state), done();
    bytes = sizeof info;
    getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &bytes);
    ask("TCP_INFO of a listener"), note("state %d, %u of %u", info.tcpi_state, info.tcpi_unacked, info.tcpi_sacked),
        done();
    over();
}

/* ---- epoll ---- */

static int ep;
static void note_wait(void) {
    struct epoll_event e[4];
    int n = epoll_wait(ep, e, 4, 0);
    result(n);
    for (int i = 0; i < n; i++)
        note("%d: %#x", e[i].data.fd, e[i].events);
}
#define EPOLL(what) (ask("epoll: %s", what), note_wait(), done())
static void watch(int operation, int fd, uint32_t events, int label) {
    struct epoll_event e = {.events = events, .data.fd = label};
    epoll_ctl(ep, operation, fd, &e);
}

static void edges(void) {
    char text[100];
    ep = epoll_create1(0);
    connection();
    watch(EPOLL_CTL_ADD, server, EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
    EPOLL("nothing");
    send(client, "ab", 2, 0), await_event(server, POLLIN);
    EPOLL("bytes");
    EPOLL("no new edge");
    if (recv(server, text, 1, 0) != 1)
        abort();
    EPOLL("one of two taken: no edge");
    send(client, "c", 1, 0), usleep(20000);
    EPOLL("more bytes");
    if (recv(server, text, 10, 0) != 2)
        abort();
    EPOLL("all taken");
    watch(EPOLL_CTL_MOD, server, EPOLLOUT | EPOLLIN | EPOLLET, 2);
    EPOLL("room");
    EPOLL("room, no new edge");
    send(client, "d", 1, 0), await_event(server, POLLIN);
    EPOLL("bytes and room");
    watch(EPOLL_CTL_MOD, server, EPOLLIN | EPOLLONESHOT, 3);
    EPOLL("one shot");
    EPOLL("one shot, again");
    watch(EPOLL_CTL_MOD, server, EPOLLIN | EPOLLRDHUP, 4);
    EPOLL("level");
    EPOLL("level, again");
    shutdown(client, SHUT_WR), await_event(server, POLLRDHUP);
    EPOLL("the end");
    watch(EPOLL_CTL_DEL, server, 0, 0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN | EPOLLEXCLUSIVE, 5);
    int c = tcp();
    connect_at(c, "127.0.0.1", port_of(listener)), await_event(listener, POLLIN);
    EPOLL("a connection");
    close(accept(listener, NULL, NULL));
    EPOLL("accepted");
    over();
}

/* ---- SO_RCVLOWAT ---- */

static void least_bytes(void) {
    connection();
    setsockopt(server, SOL_SOCKET, SO_RCVLOWAT, &(int){10}, sizeof(int));
    send(client, "12345", 5, 0), usleep(20000);
    POLL("five of ten bytes", server);
    ask("five of ten, not waiting"), note_recv(server, 20, MSG_PEEK), done();
    send(client, "67890", 5, 0), await_event(server, POLLIN);
    POLL("ten bytes", server);
    RECV("nine of them", server, 9, 0);
    POLL("one is left", server);
    shutdown(client, SHUT_WR), await_event(server, POLLRDHUP);
    POLL("and no more will come", server);
    over();
    static char big[1 << 20];
    connection();
    setsockopt(client, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
    setsockopt(server, SOL_SOCKET, SO_RCVLOWAT, &(int){60000}, sizeof(int));
    nonblocking(client);
    while (send(client, big, sizeof big, 0) > 0)
        ;
    await_event(server, POLLIN);
    POLL("no more fits", server);
    over();
}

/* ---- whose an accepted socket is ---- */

static void owners(void) {
    struct stat st;
    listener = tcp();
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    bind_at(listener, "127.0.0.1", 0), listen(listener, 5);
    int port = port_of(listener), status;
    if (fork() == 0) {
        ordinary();
        client = tcp();
        _exit(connect_at(client, "127.0.0.1", port) || recv(client, line, 1, 0) < 0);
    }
    server = accept(listener, NULL, NULL);
    fstat(server, &st);
    ask("accepted from another user"), note("of %u, %u", st.st_uid, st.st_gid), done();
    close(listener);
    listener = tcp();
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    CASE_NAMED("its port, again", bind_at(listener, "127.0.0.1", port));
    close(server);
    wait(&status);
    ask("the other user"), note("%d", status), done();
}

int main(void) {
    GROUP(making);
    GROUP(binding);
    GROUP(connecting);
    GROUP(connected_anew);
    GROUP(disconnecting);
    GROUP(ends);
    GROUP(amounts);
    GROUP(options);
    GROUP(edges);
    GROUP(least_bytes);
    GROUP(owners);
    return 0;
}
