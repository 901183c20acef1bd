/* sock.h - what the tables of socket calls (sock_*.c) are written with, beside abi.h. */
#include "abi.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <linux/sockios.h>

#define WAIT 20000 /* ms: only a bug waits so long */

/* CASE: one call and what came of it. */
#define CASE(call) (ask("%s", #call), (void)result(call), done())
#define CASE_NAMED(name, call) (ask("%s", name), (void)result(call), done())

/* The events of one descriptor, as poll tells them at once. */
static UNUSED void note_poll(int fd) {
    static const struct {
        int bit;
        const char *name;
    } bits[] = {{POLLIN, "IN"},         {POLLPRI, "PRI"},       {POLLOUT, "OUT"},       {POLLERR, "ERR"},
                {POLLHUP, "HUP"},       {POLLNVAL, "NVAL"},     {POLLRDNORM, "RDNORM"}, {POLLRDBAND, "RDBAND"},
                {POLLWRNORM, "WRNORM"}, {POLLWRBAND, "WRBAND"}, {POLLRDHUP, "RDHUP"}};
    struct pollfd p = {.fd = fd, .events = (short)0xffff};
    char text[200] = "";
    poll(&p, 1, 0);
    for (size_t n = 0; n < countof(bits); n++)
        if (p.revents & bits[n].bit)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", *text ? "|" : "", bits[n].name);
    note("poll %s", *text ? text : "nothing");
}
#define POLL(what, fd) (ask("%s", what), note_poll(fd), done())

/* Wait for an event: for what another thread, or Linux's own timers, are to bring about. */
static UNUSED void await_event(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    if (poll(&p, 1, WAIT) != 1)
        note("nothing came");
}

/* What recv says, and the bytes. */
static UNUSED void note_recv(int fd, size_t bytes, int flags) {
    char text[64] = "";
    ssize_t n = recv(fd, text, bytes, flags | MSG_DONTWAIT);
    if (result(n) > 0)
        note("\"%.*s\"", (int)(n < 60 ? n : 60), text);
}
#define RECV(what, fd, bytes, flags) (ask("%s", what), note_recv(fd, bytes, flags), done())

static UNUSED void note_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
        note("SO_ERROR: %s", error_name(errno));
    else
        note("SO_ERROR %s", error ? error_name(error) : "0");
}
#define ERROR(what, fd) (ask("%s", what), note_error(fd), done())

/* An int option, read. */
static UNUSED void note_option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    if (getsockopt(fd, level, name, &value, &size))
        note("%s", error_name(errno));
    else
        note("%d, %u bytes", value, size);
}
/* Set to a number, then read. */
#define OPTION(fd, level, name, number)                                                                                \
    do {                                                                                                               \
        int value_ = (number);                                                                                         \
        ask("%s = %d", #name, value_);                                                                                 \
        result(setsockopt(fd, level, name, &value_, sizeof value_));                                                   \
        note_option(fd, level, name);                                                                                  \
        done();                                                                                                        \
    } while (0)
#define OPTION_IS(what, fd, level, name) (ask("%s: %s", what, #name), note_option(fd, level, name), done())

static UNUSED void nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

static volatile int broken_pipes;
static UNUSED void count_broken(int signal) { (void)signal, broken_pipes++; }
static UNUSED void catch_broken(void) { signal(SIGPIPE, count_broken); }
/* A call, and whether it raised SIGPIPE. */
#define PIPE(what, call)                                                                                               \
    (broken_pipes = 0, ask("%s", what), (void)result(call), note("%d SIGPIPE", broken_pipes), done())
