/* sock_urgent.c - out-of-band bytes (MSG_OOB) of TCP and of streams of AF_UNIX: where reads stop, the mark, SIGURG. */
#include "sock.h"

static int s[2]; /* s[0] sends */

static void tcp(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    bind(l, (void *)&a, sizeof a);
    getsockname(l, (void *)&a, &bytes);
    listen(l, 5);
    if (connect(s[0], (void *)&a, sizeof a))
        abort();
    s[1] = accept(l, NULL, NULL);
    close(l);
    prctl(PR_SET_NAME, "tcp");
}

static void local(void) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
        abort();
    prctl(PR_SET_NAME, "unix");
}

static void at_mark(void) {
    int at = -1, bytes = -1;
    if (ioctl(s[1], SIOCATMARK, &at))
        note("mark: %s", error_name(errno));
    else
        note("mark %d", at);
    if (ioctl(s[1], FIONREAD, &bytes))
        note("%s", error_name(errno));
    note("%d bytes", bytes);
}

static void again(void (*make)(void)) {
    close(s[0]), close(s[1]);
    make();
}

#define ASK(format, what) (prctl(PR_GET_NAME, name), ask(format, name, what))
static char name[16];
#define SAY(what, call) (ASK("%s: %s", what), (void)(call), done())
#define SEND(text, flags)                                                                                              \
    (ASK("%s: send %s" #flags, text " "), (void)result(send(s[0], text, strlen(text), flags)), done())
#define GET(bytes, flags) (ASK("%s: %s", "recv " #bytes " " #flags), note_recv(s[1], bytes, flags), at_mark(), done())
#define STATE(what) (ASK("%s: %s", what), await_event(s[1], POLLIN | POLLPRI), note_poll(s[1]), at_mark(), done())

static void marks(void (*make)(void)) {
    int on = 1;
    char b[1];
    make();
    SAY("none", note_recv(s[1], 1, MSG_OOB));
    SEND("abC", MSG_OOB);
    STATE("three with an urgent one");
    GET(10, MSG_PEEK);
    GET(10, 0);
    GET(1, MSG_OOB | MSG_PEEK);
    GET(1, MSG_OOB);
    GET(1, MSG_OOB);
    GET(10, 0);
    again(make);
    SEND("D", MSG_OOB);
    STATE("only an urgent one");
    GET(10, MSG_PEEK);
    GET(0, MSG_OOB);
    GET(10, 0);
    GET(1, MSG_OOB);
    again(make);
    SEND("abC", MSG_OOB);
    SEND("def", 0);
    STATE("more behind it");
    GET(10, 0);
    GET(10, 0);
    GET(1, MSG_OOB);
    again(make);
    SEND("abC", MSG_OOB);
    SEND("def", 0);
    GET(1, MSG_OOB);
    SAY("taken before its turn", note_poll(s[1]));
    GET(10, 0);
    GET(10, 0);
    again(make);
    SEND("abC", MSG_OOB);
    SEND("deF", MSG_OOB);
    STATE("a second one");
    GET(10, 0);
    GET(10, 0);
    GET(1, MSG_OOB);
    again(make);
    setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
    SEND("abC", MSG_OOB);
    SEND("d", 0);
    STATE("inline");
    GET(1, MSG_OOB);
    GET(10, 0);
    GET(10, 0);
    again(make);
    SEND("abC", MSG_OOB);
    shutdown(s[0], SHUT_WR);
    STATE("and the end");
    GET(10, 0);
    GET(10, 0);
    GET(10, 0);
    again(make);
    SEND("abC", MSG_OOB);
    ASK("%s: %s", "a read that wants more is not satisfied by it"), note_recv(s[1], 10, MSG_WAITALL), at_mark(), done();
    SAY("sending nothing urgent", result(send(s[0], b, 0, MSG_OOB)));
    again(make);
    SEND("abC", MSG_OOB);
    struct iovec v = {b, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    ASK("%s: %s", "flags of recvmsg"), result(recvmsg(s[1], &m, MSG_OOB | MSG_DONTWAIT)), note("%#x", m.msg_flags),
        done();
    m.msg_iovlen = 0;
}

static volatile int urgent;
static void count(int signal) { (void)signal, urgent++; }

static void signals(void (*make)(void)) {
    make();
    signal(SIGURG, count);
    SEND("a", MSG_OOB);
    SAY("no owner", note("%d SIGURG", urgent));
    fcntl(s[1], F_SETOWN, getpid());
    SEND("b", MSG_OOB);
    while (make == tcp && !urgent)
        pause();
    SAY("an owner", note("%d SIGURG", urgent));
}

static void marks_tcp(void) { marks(tcp); }
static void marks_unix(void) { marks(local); }
static void signals_tcp(void) { signals(tcp); }
static void signals_unix(void) { signals(local); }

static void others(void) {
    int p[2], u = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p))
        abort();
    CASE_NAMED("UDP", sendto(u, "x", 1, MSG_OOB, (void *)&a, sizeof a));
    CASE_NAMED("seqpackets", send(p[0], "x", 1, MSG_OOB));
    CASE_NAMED("seqpackets receive", recv(p[1], p, 1, MSG_OOB | MSG_DONTWAIT));
}

int main(void) {
    GROUP(marks_tcp);
    GROUP(marks_unix);
    GROUP(signals_tcp);
    GROUP(signals_unix);
    GROUP(others);
    return 0;
}
