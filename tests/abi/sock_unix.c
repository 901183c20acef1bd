/* sock_unix.c - Unix sockets: names, connections, both halves of them, what goes along with bytes. */
#include "sock.h"
#include "asleep.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- names ---- */

static struct sockaddr_un un;
static socklen_t un_bytes;

/* The address of a path, or, with a leading @, of an abstract name. */
static const struct sockaddr *named(const char *name) {
    memset(&un, 0, sizeof un);
    un.sun_family = AF_UNIX;
    memcpy(un.sun_path, name, strlen(name));
    un_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@'));
    if (*name == '@')
        un.sun_path[0] = 0;
    return (struct sockaddr *)&un;
}
static int bind_to(int fd, const char *name) { return named(name), bind(fd, (struct sockaddr *)&un, un_bytes); }
static int connect_to(int fd, const char *name) { return named(name), connect(fd, (struct sockaddr *)&un, un_bytes); }

static void note_name(const struct sockaddr_un *a, socklen_t bytes) {
    char text[120] = "";
    for (size_t n = 0; n + 2 < bytes && n < sizeof text - 1; n++)
        text[n] = a->sun_path[n] ? a->sun_path[n] : '@';
    note("family %d, %u bytes, \"%s\"", bytes >= 2 ? a->sun_family : -1, bytes, text);
}
static void note_names(int fd) {
    struct sockaddr_un a;
    socklen_t bytes = sizeof a;
    memset(&a, 0, sizeof a);
    if (result(getsockname(fd, (struct sockaddr *)&a, &bytes)) == 0)
        note_name(&a, bytes);
    bytes = sizeof a;
    memset(&a, 0, sizeof a);
    if (result(getpeername(fd, (struct sockaddr *)&a, &bytes)) == 0)
        note_name(&a, bytes);
}
#define NAMES(what, fd) (ask("names: %s", what), note_names(fd), done())

static int stream(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int datagram(void) { return socket(AF_UNIX, SOCK_DGRAM, 0); }

static void making(void) {
    CASE_NAMED("socket(AF_UNIX, 0)", socket(AF_UNIX, 0, 0));
    CASE_NAMED("socket(AF_UNIX, 4)", socket(AF_UNIX, 4, 0));
    CASE_NAMED("socket(AF_UNIX, 15)", socket(AF_UNIX, 15, 0));
    CASE_NAMED("socket(AF_UNIX, stream, protocol 1)", socket(AF_UNIX, SOCK_STREAM, 1) >= 0 ? 0 : -1);
    CASE_NAMED("socket(AF_UNIX, stream, protocol 2)", socket(AF_UNIX, SOCK_STREAM, 2));
    CASE_NAMED("socket(AF_UNIX, unknown flag)", socket(AF_UNIX, SOCK_STREAM | 0x10, 0));
    CASE_NAMED("socket(-1)", socket(-1, SOCK_STREAM, 0));
    CASE_NAMED("socket(46)", socket(46, SOCK_STREAM, 0));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), pair[2];
    ask("flags"), note("%d %#x", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL)), done();
    CASE_NAMED("socketpair(AF_INET)", socketpair(AF_INET, SOCK_STREAM, 0, pair));
    CASE_NAMED("socketpair(NULL)", socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
    CASE_NAMED("socketpair(bad pointer)", socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8));
    struct stat st;
    fstat(fd, &st);
    ask("fstat"), note("%o %ld %ld", st.st_mode, (long)st.st_nlink, (long)st.st_size), done();
    CASE_NAMED("lseek", lseek(fd, 0, SEEK_SET));
    CASE_NAMED("pread", pread(fd, &st, 1, 0));
    CASE_NAMED("ftruncate", ftruncate(fd, 0));
    CASE_NAMED("fsync", fsync(fd));
    CASE_NAMED("mmap", mmap(NULL, 1, R, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
    CASE_NAMED("unknown ioctl", ioctl(fd, 0x1234, 0));
    CASE_NAMED("TCGETS", ioctl(fd, TCGETS, &st));
    char text[64] = "", path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ask("its name in /proc"), result(readlink(path, text, 8)), note("%.8s", text), done();
    CASE_NAMED("open of it in /proc", open(path, O_RDWR));
    int file = open("file", O_RDWR | O_CREAT, 0600);
    CASE_NAMED("listen of a file", listen(file, 1));
    CASE_NAMED("send to a file", send(file, "x", 1, 0));
    CASE_NAMED("recv of no descriptor", recv(999, text, 1, 0));
    CASE_NAMED("getsockopt of a file", getsockopt(file, SOL_SOCKET, SO_TYPE, text, &(socklen_t){4}));
}

static void binding(void) {
    int fd = stream(), other = stream();
    NAMES("fresh", fd);
    CASE(bind_to(fd, "sock"));
    NAMES("bound", fd);
    struct stat st;
    stat("sock", &st);
    ask("the file"), note("%o %ld", st.st_mode, (long)st.st_size), done();
    CASE_NAMED("open it", open("sock", O_RDWR));
    CASE_NAMED("bind it again", bind_to(fd, "sock2"));
    CASE_NAMED("bind it again where something is", bind_to(fd, "sock"));
    CASE_NAMED("bind another there", bind_to(other, "sock"));
    CASE_NAMED("no such directory", bind_to(other, "no/sock"));
    CASE_NAMED("a file as directory", bind_to(other, "sock/sock"));
    CASE_NAMED("a name that ends in a slash", bind_to(other, "new/"));
    symlink("nowhere", "link");
    CASE_NAMED("through a dangling link", bind_to(other, "link"));
    named("x");
    CASE_NAMED("length 0", bind(other, (void *)&un, 0));
    CASE_NAMED("length 1", bind(other, (void *)&un, 1));
    CASE_NAMED("length 111", bind(other, (void *)&un, 111));
    CASE_NAMED("length 200", bind(other, (void *)&un, 200));
    CASE_NAMED("length -1", bind(other, (void *)&un, (socklen_t)-1));
    CASE_NAMED("bad pointer", bind(other, (void *)8, 10));
    un.sun_family = AF_INET;
    CASE_NAMED("another family", bind(other, (void *)&un, 5));
    memset(&un, 'x', sizeof un);
    un.sun_family = AF_UNIX;
    CASE_NAMED("108 bytes without a zero", bind(other, (void *)&un, sizeof un));
    NAMES("108 bytes", other);
    int a = stream(), b = datagram(), c = stream();
    CASE(bind_to(a, "@name"));
    NAMES("abstract", a);
    CASE_NAMED("an abstract name twice", bind_to(c, "@name"));
    CASE_NAMED("of another type", bind_to(b, "@name"));
    CASE_NAMED("an abstract name, longer", bind_to(c, "@name2"));
    close(a);
    a = stream();
    CASE_NAMED("free again after close", bind_to(a, "@name"));
    int autobound = stream();
    un.sun_family = AF_UNIX;
    CASE_NAMED("autobind", bind(autobound, (void *)&un, 2));
    socklen_t bytes = sizeof un;
    getsockname(autobound, (void *)&un, &bytes);
    ask("its name"), note("%u bytes, %d", bytes, un.sun_path[0]), done();
    CASE_NAMED("autobind again", bind(autobound, (void *)&un, 2));
    bytes = 4;
    memset(&un, 0x55, sizeof un);
    ask("getsockname with little room"), result(getsockname(fd, (void *)&un, &bytes)),
        note("%u, %c%c", bytes, un.sun_path[0], un.sun_path[2]), done();
    CASE_NAMED("getsockname with -1", getsockname(fd, (void *)&un, &(socklen_t){(socklen_t)-1}));
    CASE_NAMED("getsockname to nowhere", getsockname(fd, (void *)8, &bytes));
    ordinary();
    CASE_NAMED("no right to the directory", bind_to(stream(), "/dev/sock"));
    CASE_NAMED("no right to the socket", connect_to(stream(), "sock"));
}

/* ---- connections ---- */

static void connecting(void) {
    int l = stream(), c = stream(), x;
    CASE_NAMED("listen without a name", listen(l, 1));
    bind_to(l, "listener");
    CASE_NAMED("nobody listens", connect_to(c, "listener"));
    CASE_NAMED("no such file", connect_to(c, "nothing"));
    close(open("plain", O_CREAT | O_RDWR, 0600));
    CASE_NAMED("a plain file", connect_to(c, "plain"));
    CASE_NAMED("no such abstract name", connect_to(c, "@nothing"));
    CASE_NAMED("another type", (listen(l, 1), connect_to(datagram(), "listener")));
    un.sun_family = AF_UNSPEC;
    CASE_NAMED("AF_UNSPEC", connect(c, (void *)&un, 2));
    CASE_NAMED("accept of what does not listen", accept(c, NULL, NULL));
    CASE_NAMED("accept of a datagram socket", accept(datagram(), NULL, NULL));
    CASE_NAMED("listen of a datagram socket", listen(datagram(), 1));
    CASE_NAMED("accept4 with unknown flags", accept4(l, NULL, NULL, 1));
    nonblocking(l);
    CASE_NAMED("accept when nobody waits", accept(l, NULL, NULL));
    POLL("listening", l);
    CASE_NAMED("connect to itself", connect_to(l, "listener"));
    CASE(connect_to(c, "listener"));
    POLL("one waits", l);
    POLL("connected, not accepted", c);
    CASE_NAMED("connect again", connect_to(c, "listener"));
    CASE_NAMED("listen when connected", listen(c, 1));
    CASE_NAMED("send before accept", send(c, "early", 5, 0));
    struct sockaddr_un a;
    socklen_t bytes = sizeof a;
    ask("accept"), result((x = accept4(l, (void *)&a, &bytes, SOCK_NONBLOCK)) < 0 ? -1 : 0), note_name(&a, bytes),
        done();
    NAMES("the client", c);
    NAMES("accepted", x);
    RECV("what was sent early", x, 10, 0);
    POLL("listening again", l);
    CASE_NAMED("recv of a listener", recv(l, &a, 1, 0));
    CASE_NAMED("send to a listener", send(l, &a, 1, 0));
    int row[4];
    for (int n = 0; n < 4; n++) {
        row[n] = stream();
        nonblocking(row[n]);
        ask("backlog 1, connection %d", n), result(connect_to(row[n], "listener")), done();
    }
    CASE_NAMED("accept makes room", accept(l, NULL, NULL) < 0 ? -1 : 0);
    CASE_NAMED("the next", connect_to(row[2], "listener"));
    unlink("listener");
    CASE_NAMED("after unlink", connect_to(row[3], "listener"));
    close(l);
    RECV("the listener closed: not accepted", row[1], 10, 0);
    ERROR("then", row[1]);
    RECV("again", row[1], 10, 0);
    POLL("of it", row[1]);
    CASE_NAMED("the accepted one lives", send(x, "y", 1, 0));
    RECV("and hears", c, 10, 0);
}

static void credentials(void) {
    struct ucred u;
    socklen_t bytes = sizeof u;
    int pair[2], l = stream(), c = stream();
    getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &bytes);
    ask("SO_PEERCRED of a fresh socket"), note("%d %d %d, %u bytes", u.pid, (int)u.uid, (int)u.gid, bytes), done();
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &u, &bytes);
    ask("SO_PEERCRED of a pair"), note("%s %d %d", u.pid == getpid() ? "me" : "other", u.uid, u.gid), done();
    bind_to(l, "server"), listen(l, 5), connect_to(c, "server");
    getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &bytes);
    ask("SO_PEERCRED of a client"), note("%s %d %d", u.pid == getpid() ? "me" : "other", u.uid, u.gid), done();
    int on = 1;
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    char text[10], control[100];
    struct iovec v = {text, sizeof text};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    send(pair[0], "abc", 3, 0);
    ask("SO_PASSCRED"), result(recvmsg(pair[1], &m, 0));
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    memcpy(&u, CMSG_DATA(h), sizeof u);
    note("level %d type %d len %zu: %s %d %d; flags %#x", h->cmsg_level, h->cmsg_type, h->cmsg_len,
         u.pid == getpid() ? "me" : "other", u.uid, u.gid, m.msg_flags),
        done();
    send(pair[0], "abc", 3, 0);
    m.msg_control = NULL, m.msg_controllen = 0;
    ask("without room for them"), result(recvmsg(pair[1], &m, 0)), note("flags %#x", m.msg_flags), done();
    send(pair[0], "abc", 3, 0);
    m.msg_control = control, m.msg_controllen = 20;
    ask("with little room"), result(recvmsg(pair[1], &m, 0)),
        note("flags %#x, %zu", m.msg_flags, (size_t)m.msg_controllen), done();
    /* What is sent as credentials. */
    struct {
        struct cmsghdr h;
        struct ucred u;
    } sent = {{CMSG_LEN(sizeof u), SOL_SOCKET, SCM_CREDENTIALS}, {getpid(), 0, 0}};
    struct msghdr s = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &sent, .msg_controllen = sizeof sent};
    v.iov_len = 3;
    CASE_NAMED("one's own credentials", sendmsg(pair[0], &s, 0));
    sent.u.uid = 77;
    CASE_NAMED("root says 77", sendmsg(pair[0], &s, 0));
    sent.u.pid = 99999;
    CASE_NAMED("no such process", sendmsg(pair[0], &s, 0));
    sent.h.cmsg_len = 20;
    CASE_NAMED("too short", sendmsg(pair[0], &s, 0));
    sent.h.cmsg_len = 2;
    CASE_NAMED("shorter than a header", sendmsg(pair[0], &s, 0));
    sent.h.cmsg_type = 99, sent.h.cmsg_len = 28;
    CASE_NAMED("an unknown type", sendmsg(pair[0], &s, 0));
    sent.h.cmsg_level = 99;
    CASE_NAMED("an unknown level", sendmsg(pair[0], &s, 0));
    ordinary();
    sent.h = (struct cmsghdr){CMSG_LEN(sizeof u), SOL_SOCKET, SCM_CREDENTIALS};
    sent.u = (struct ucred){getpid(), 0, 1000};
    CASE_NAMED("an ordinary user says root", sendmsg(pair[0], &s, 0));
}

/* Who is said to have sent the next message. */
static void note_sender(int fd) {
    char text[10], control[100];
    struct ucred u = {0};
    struct iovec v = {text, sizeof text};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (result(recvmsg(fd, &m, MSG_DONTWAIT)) < 0 || !CMSG_FIRSTHDR(&m))
        return;
    memcpy(&u, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof u);
    note("%s %d %d", u.pid == getpid() ? "me" : u.pid ? "other" : "nobody", u.uid, u.gid);
}
#define SENDER(what, fd) (ask("%s", what), note_sender(fd), done())
static void tell_senders(int fd) { setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)); }

static void senders(void) {
    int p[2], to = socket(AF_UNIX, SOCK_DGRAM, 0), from = socket(AF_UNIX, SOCK_DGRAM, 0), l = stream(), c = stream();
    bind_to(to, "@to");
    CASE_NAMED("to a name, before it asks", sendto(from, "x", 1, 0, named("@to"), un_bytes));
    tell_senders(to);
    SENDER("it was not said", to);
    CASE_NAMED("to a name that asks", sendto(from, "x", 1, 0, named("@to"), un_bytes));
    SENDER("it is said", to);
    connect_to(from, "@to");
    CASE_NAMED("to a peer that asks", send(from, "x", 1, 0));
    SENDER("it is said, too", to);
    bind_to(l, "@asks later"), listen(l, 5), connect_to(c, "@asks later");
    CASE_NAMED("to one that nobody has accepted", send(c, "x", 1, 0));
    int accepted = accept(l, NULL, NULL);
    CASE_NAMED("to one that was accepted, before it asks", send(c, "y", 1, 0));
    tell_senders(accepted);
    SENDER("before accept", accepted);
    SENDER("behind it", accepted);
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    tell_senders(p[1]);
    if (setresgid(1, 2, 3) || setresuid(4, 5, 0))
        abort();
    send(p[0], "x", 1, 0), send(from, "x", 1, 0);
    SENDER("of the real and the effective user, the real one", p[1]);
    SENDER("and by a datagram", to);
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    struct ucred u;
    socklen_t bytes = sizeof u;
    getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &u, &bytes);
    ask("SO_PEERCRED: the effective one"), note("%d %d", u.uid, u.gid), done();
}

/* ---- bytes ---- */

static void bytes_of(void) {
    int p[2];
    char text[100];
    catch_broken();
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    NAMES("a pair", p[0]);
    POLL("a pair", p[0]);
    RECV("nothing there", p[0], 5, 0);
    CASE_NAMED("send nothing", send(p[1], "", 0, 0));
    RECV("nothing there still", p[0], 5, 0);
    CASE_NAMED("read nothing", read(p[0], text, 0));
    RECV("recv of 0 bytes", p[0], 0, 0);
    CASE_NAMED("send", send(p[1], "hello", 5, 0));
    RECV("recv of 0 bytes when there are some", p[0], 0, 0);
    RECV("peek", p[0], 3, MSG_PEEK);
    RECV("take three", p[0], 3, 0);
    CASE_NAMED("send more", send(p[1], " world", 6, 0));
    RECV("peek over both", p[0], 20, MSG_PEEK);
    int n = 0;
    ask("FIONREAD"), result(ioctl(p[0], FIONREAD, &n)), note("%d", n), done();
    POLL("readable", p[0]);
    RECV("both at once", p[0], 20, 0);
    RECV("MSG_TRUNC", (send(p[1], "abcdef", 6, 0), p[0]), 2, MSG_TRUNC);
    RECV("the rest", p[0], 20, 0);
    RECV("MSG_OOB", p[0], 20, MSG_OOB | MSG_PEEK);
    RECV("MSG_ERRQUEUE", p[0], 20, MSG_ERRQUEUE);
    named("sock");
    CASE_NAMED("sendto a name when connected", sendto(p[0], "x", 1, 0, (void *)&un, un_bytes));
    CASE_NAMED("sendto a name when not connected", sendto(stream(), "x", 1, 0, (void *)&un, un_bytes));
    PIPE("send when not connected", send(stream(), "x", 1, 0));
    CASE_NAMED("recv when not connected", recv(stream(), text, 1, MSG_DONTWAIT));
    CASE_NAMED("recv to nowhere, nothing there", recv(p[0], (void *)8, 1, MSG_DONTWAIT));
    CASE_NAMED("recv to nowhere", (send(p[1], "zz", 2, 0), recv(p[0], (void *)8, 1, MSG_DONTWAIT)));
    RECV("it is still there", p[0], 10, 0);
    CASE_NAMED("send from nowhere", send(p[0], (void *)8, 1, 0));
    struct iovec v[3] = {{"a", 1}, {"", 0}, {"bc", 2}};
    CASE_NAMED("writev", writev(p[0], v, 3));
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2000};
    CASE_NAMED("sendmsg of too many", sendmsg(p[0], &m, 0));
    CASE_NAMED("recvmsg of too many", recvmsg(p[0], &m, 0));
    CASE_NAMED("sendmsg of nowhere", sendmsg(p[0], (void *)8, 0));
    send(p[0], "def", 3, 0);
    char one[2], two[10];
    v[0] = (struct iovec){one, 2}, v[1] = (struct iovec){two, 10};
    m.msg_iovlen = 2;
    m.msg_name = &un, m.msg_namelen = sizeof un;
    ask("recvmsg in two pieces"), result(recvmsg(p[1], &m, 0)),
        note("%.2s %.4s, name %u, flags %#x", one, two, m.msg_namelen, m.msg_flags), done();
    nonblocking(p[0]);
    long sum = 0;
    ssize_t got;
    static char big[65536];
    while ((got = send(p[0], big, sizeof big, 0)) > 0)
        sum += got;
    ask("fill it"), result(got), note("%s", sum > 100000 && sum < 1000000 ? "some hundred KiB" : "other"), done();
    POLL("full", p[0]);
    ask("SIOCOUTQ"), result(ioctl(p[0], SIOCOUTQ, &n)), note("%s", n > 100000 ? "much" : "little"), done();
    while (recv(p[1], big, sizeof big, MSG_DONTWAIT) > 0)
        ;
    POLL("empty again", p[0]);
    ask("SIOCOUTQ when empty"), result(ioctl(p[0], SIOCOUTQ, &n)), note("%d", n), done();
}

static void halves(void) {
    int p[2];
    char text[100];
    catch_broken();
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    CASE_NAMED("shutdown(3)", shutdown(p[0], 3));
    send(p[0], "last", 4, 0);
    CASE_NAMED("shutdown(WR)", shutdown(p[0], SHUT_WR));
    POLL("own write half shut", p[0]);
    POLL("the peer's", p[1]);
    RECV("the last bytes", p[1], 10, 0);
    RECV("the end", p[1], 10, 0);
    PIPE("send after shutdown", send(p[0], "x", 1, 0));
    PIPE("the same, quietly", send(p[0], "x", 1, MSG_NOSIGNAL));
    PIPE("send of nothing", send(p[0], "", 0, 0));
    CASE_NAMED("the other way", send(p[1], "back", 4, 0));
    RECV("arrives", p[0], 10, 0);
    CASE_NAMED("shutdown(RD)", shutdown(p[0], SHUT_RD));
    POLL("both halves shut", p[0]);
    POLL("the peer", p[1]);
    PIPE("the peer sends", send(p[1], "x", 1, 0));
    RECV("recv after both", p[0], 10, 0);
    close(p[0]);
    POLL("the peer is closed", p[1]);
    close(p[1]);

    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    send(p[0], "data", 4, 0);
    close(p[0]);
    POLL("closed with data on the way", p[1]);
    RECV("the data", p[1], 10, 0);
    RECV("the end of it", p[1], 10, 0);
    PIPE("send to a closed peer", send(p[1], "x", 1, 0));
    ERROR("no error is left", p[1]);
    NAMES("the peer is closed", p[1]);
    close(p[1]);

    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    send(p[0], "unread", 6, 0);
    send(p[1], "mine", 4, 0);
    close(p[1]);
    POLL("closed with unread data", p[0]);
    RECV("what it had sent", p[0], 10, 0);
    RECV("then the reset", p[0], 10, 0);
    RECV("then the end", p[0], 10, 0);
    PIPE("and no sending", write(p[0], "x", 1));
    CASE_NAMED("shutdown when not connected", shutdown(stream(), SHUT_RDWR));
    int fresh = stream();
    POLL("fresh", fresh);
    (void)text;
}

/* One of two that are connected to each other goes to another peer. */
static void leaving(void) {
    int p[2], q[2], other = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    bind_to(other, "@other");
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    CASE_NAMED("one leaves, and has read all", connect_to(p[0], "@other"));
    ERROR("the one that was left", p[1]);
    CASE_NAMED("it sends", send(p[1], "x", 1, 0));
    socketpair(AF_UNIX, SOCK_DGRAM, 0, q);
    send(q[1], "unread", 6, 0);
    CASE_NAMED("one leaves, and has not", connect_to(q[0], "@other"));
    ERROR("the one that was left then", q[1]);
    RECV("what was unread is gone", q[0], 10, 0);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    send(p[1], "unread", 6, 0);
    CASE_NAMED("one leaves for nobody", connect(p[0], &none, sizeof none));
    POLL("the one that was left last", p[1]);
    CASE_NAMED("it may send again", send(p[1], "x", 1, 0));
    CASE_NAMED("and again", send(p[1], "x", 1, 0));
    /* A name without a length is none. */
    named("@other");
    CASE_NAMED("sendto of a pair, a name of no bytes", sendto(p[1], "x", 1, 0, (void *)&un, 0));
    socketpair(AF_UNIX, SOCK_STREAM, 0, q);
    CASE_NAMED("sendto of a stream, a name of no bytes", sendto(q[1], "x", 1, 0, (void *)&un, 0));
    close(p[0]);
    ERROR("closed is not left", p[1]);
}

/* ---- descriptors along with bytes ---- */

static int send_files_by(int to, const char *text, const int *fds, size_t count, int flags) {
    static union {
        struct cmsghdr h;
        char room[CMSG_SPACE(300 * sizeof(int))];
    } c;
    struct iovec v = {(char *)text, strlen(text)};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_LEN(count * sizeof(int))};
    c.h = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&c.h), fds, count * sizeof(int));
    return (int)sendmsg(to, &m, flags);
}
static int send_files(int to, const char *text, const int *fds, size_t count) {
    return send_files_by(to, text, fds, count, MSG_DONTWAIT);
}

/* Says what came, and closes what came along. */
static void note_files(int from, size_t bytes, size_t room, int flags) {
    static char control[1300];
    char text[40] = "";
    struct iovec v = {text, bytes};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room ? control : NULL, .msg_controllen = room};
    memset(control, 0, sizeof control);
    ssize_t n = recvmsg(from, &m, flags | MSG_DONTWAIT);
    if (result(n) < 0)
        return;
    note("\"%s\" flags %#x control %zu", text, m.msg_flags & ~MSG_CMSG_CLOEXEC, (size_t)m.msg_controllen);
    struct cmsghdr *h = m.msg_controllen ? CMSG_FIRSTHDR(&m) : NULL;
    if (!h)
        return;
    size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    note("%zu files, len %zu", count, (size_t)h->cmsg_len);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
        if (i == 0)
            note("FD_CLOEXEC %d", fcntl(fd, F_GETFD));
        if (close(fd))
            note("it is not open");
    }
}
#define FILES(what, from, bytes, room, flags) (ask("%s", what), note_files(from, bytes, room, flags), done())

/* The one file that comes with the next message. */
static int take_file(int from) {
    static char control[CMSG_SPACE(sizeof(int))];
    char text[10];
    int fd = -1;
    struct iovec v = {text, sizeof text};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(from, &m, 0) > 0 && CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

static void passing(void) {
    int p[2], pipes[2];
    char text[20];
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    if (pipe(pipes))
        abort();
    CASE_NAMED("send one file", send_files(p[0], "one", pipes, 1));
    FILES("receive it", p[1], 10, 100, 0);
    send_files(p[0], "two", pipes, 2);
    FILES("two, close on exec", p[1], 10, 100, MSG_CMSG_CLOEXEC);
    send_files(p[0], "cut", pipes, 2);
    FILES("room for one", p[1], 10, CMSG_LEN(sizeof(int)), 0);
    send_files(p[0], "none", pipes, 2);
    FILES("room for none", p[1], 10, 0, 0);
    send_files(p[0], "small", pipes, 2);
    FILES("room for less than a header", p[1], 10, 10, 0);
    send_files(p[0], "peek", pipes, 1);
    FILES("peek", p[1], 10, 100, MSG_PEEK);
    FILES("and take", p[1], 10, 100, 0);
    send(p[0], "a", 1, 0), send_files(p[0], "b", pipes, 1), send(p[0], "c", 1, 0);
    FILES("plain, with files, plain: a call ends behind the files", p[1], 10, 100, 0);
    FILES("what is left", p[1], 10, 100, 0);
    send_files(p[0], "long", pipes, 1);
    FILES("half of it", p[1], 2, 100, 0);
    FILES("the other half", p[1], 10, 100, 0);
    send_files(p[0], "read", pipes, 1);
    CASE_NAMED("read drops files", read(p[1], text, 10));
    CASE_NAMED("no such file", send_files(p[0], "x", (int[]){pipes[0], 999}, 2));
    int many[254];
    for (int n = 0; n < 254; n++)
        many[n] = pipes[0];
    CASE_NAMED("253 files", send_files(p[0], "x", many, 253));
    FILES("receive them", p[1], 10, 1200, 0);
    CASE_NAMED("254 files", send_files(p[0], "x", many, 254));
    CASE_NAMED("no files at all", send_files(p[0], "x", many, 0));
    FILES("nothing came along", p[1], 10, 100, 0);
    /* A file lives while it is on the way. */
    send_files(p[0], "x", &pipes[1], 1);
    close(pipes[1]);
    POLL("the reader: a writer is on the way", pipes[0]);
    close(p[1]);
    POLL("the reader: the way is closed", pipes[0]);
}

/* Sockets that hold only each other are closed. */
static void cycles(void) {
    int p[2], q[2], pipes[2];
    if (pipe(pipes))
        abort();
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    send_files(p[0], "x", (int[]){p[0], p[1], pipes[1]}, 3);
    send_files(p[1], "x", (int[]){p[0], p[1]}, 2);
    close(pipes[1]);
    POLL("the cycle is held by us", pipes[0]);
    close(p[0]), close(p[1]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, q);
    close(q[0]), close(q[1]);
    struct pollfd f = {pipes[0], POLLIN, 0};
    ask("the cycle is closed"), note("%d", poll(&f, 1, WAIT)), note_poll(pipes[0]), done();
    /* One that can still be had through a socket of ours. */
    if (pipe(pipes))
        abort();
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, q);
    send_files(p[0], "x", (int[]){p[0], p[1], pipes[1]}, 3);
    send_files(q[0], "x", (int[]){p[1]}, 1);
    close(p[0]), close(p[1]), close(pipes[1]), close(q[0]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    close(p[0]), close(p[1]);
    POLL("it is alive", pipes[0]);
    close(q[1]);
    f.fd = pipes[0];
    ask("and now it is not"), note("%d", poll(&f, 1, WAIT)), note_poll(pipes[0]), done();
    /* A long chain: each socket holds the next. */
    int last = stream();
    for (int n = 0; n < 400; n++) {
        int next[2];
        socketpair(AF_UNIX, SOCK_DGRAM, 0, next);
        send_files(next[0], "x", &last, 1);
        close(last), close(next[0]);
        last = next[1];
    }
    CASE_NAMED("the end of a long chain", close(last));
}

/* A socket whose only reference is in a message that waits for room: what lies in its inbox stays there. */
static struct {
    int sender, passed;
    _Atomic pid_t thread;
} blocked;

static void *send_blocked(void *unused) {
    blocked.thread = gettid();
    send_files_by(blocked.sender, "here", &blocked.passed, 1, 0);
    return unused;
}

static void under_way(void) {
    int p[2], x[2], pipes[2], full = socket(AF_UNIX, SOCK_DGRAM, 0),
                              filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    char text[20] = "";
    pthread_t thread;
    if (pipe(pipes))
        abort();
    socketpair(AF_UNIX, SOCK_STREAM, 0, x);
    send_files(x[1], "x", pipes, 1);
    blocked.sender = socket(AF_UNIX, SOCK_DGRAM, 0), blocked.passed = x[0];
    bind_to(full, "@full"), connect_to(filler, "@full"), connect_to(blocked.sender, "@full");
    while (send(filler, "filler", 6, 0) == 6)
        ;
    pthread_create(&thread, NULL, send_blocked, NULL);
    while (!blocked.thread)
        usleep(1000);
    await_state(getpid(), blocked.thread, 'S');
    close(x[0]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    close(p[0]), close(p[1]); /* looks for cycles */
    while (recv(full, text, sizeof text, MSG_PEEK) == 6)
        recv(full, text, sizeof text, 0);
    int received = take_file(full);
    pthread_join(thread, NULL);
    FILES("what lay in the inbox of a socket under way", received, 10, 100, 0);
}

/* ---- waiting ---- */

static void interrupted(int number) { (void)number; }

static void waiting(void) {
    int p[2];
    char text[10];
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    struct timeval t = {0, 20000};
    socklen_t bytes = sizeof t;
    CASE_NAMED("SO_RCVTIMEO", setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    CASE_NAMED("recv with a timeout", recv(p[0], text, 1, 0));
    t = (struct timeval){0};
    getsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, &bytes);
    ask("it reads as"), note("%ld.%06ld, %u", t.tv_sec, t.tv_usec, bytes), done();
    t.tv_usec = 1000000;
    CASE_NAMED("a bad time", setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    CASE_NAMED("a short one", setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, 8));
    struct sigaction a = {.sa_handler = interrupted};
    struct itimerval often = {{0, 30000}, {0, 30000}};
    sigaction(SIGALRM, &a, NULL);
    pid_t poker = signal_sleeper(SIGALRM, 1);
    CASE_NAMED("interrupted", recv(p[1], text, 1, 0));
    waitpid(poker, NULL, 0);
    a.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &a, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    if (fork() == 0) {
        struct itimerval off = {0};
        setitimer(ITIMER_REAL, &off, NULL);
        usleep(100000);
        _exit(send(p[0], "z", 1, 0) != 1);
    }
    CASE_NAMED("interrupted and restarted", recv(p[1], text, 1, 0));
    t = (struct timeval){WAIT / 1000, 0};
    setsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    CASE_NAMED("interrupted with a timeout: not restarted", recv(p[1], text, 1, 0));
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    wait(NULL);
    /* MSG_WAITALL waits for all. */
    int go[2];
    if (pipe(go))
        abort();
    if (fork() == 0) {
        send(p[0], "abc", 3, 0);
        if (read(go[0], text, 1) != 1)
            _exit(1);
        send(p[0], "defg", 4, 0);
        _exit(0);
    }
    if (write(go[1], "x", 1) != 1)
        abort();
    ask("MSG_WAITALL"), result(recv(p[1], text, 7, MSG_WAITALL)), note("%.7s", text), done();
    wait(NULL);
    send(p[0], "abc", 3, 0), shutdown(p[0], SHUT_WR);
    CASE_NAMED("MSG_WAITALL at the end", recv(p[1], text, 7, MSG_WAITALL));
}

int main(void) {
    GROUP(making);
    GROUP(binding);
    GROUP(connecting);
    GROUP(credentials);
    GROUP(senders);
    GROUP(bytes_of);
    GROUP(halves);
    GROUP(leaving);
    GROUP(passing);
    GROUP(cycles);
    GROUP(under_way);
    GROUP(waiting);
    return 0;
}
