/* option.c - the options of SOL_SOCKET (socket(7)). Those of other levels are the families'. */
#include <linux/capability.h>

#include "net/interface.h"
#include "task/task.h"

#define SEND_MOST 212992    /* net.core.wmem_max; what is asked for is doubled */
#define RECEIVE_MOST 212992 /* net.core.rmem_max */
#define SEND_LEAST 4608     /* 2 * TCP_SKB_MIN_TRUESIZE */
#define RECEIVE_LEAST 2304
#define PRIORITY_MOST 6 /* without CAP_NET_ADMIN */
#define NS_PER_S 1000000000UL

int option_int(const void *value, u32 bytes, int *out) {
    if (bytes < sizeof(*out))
        return -EINVAL;
    memcpy(out, value, sizeof(*out));
    return 0;
}

void option_put(void *value, u32 *bytes, const void *from, size_t size) {
    *bytes = (u32)min((size_t)*bytes, size);
    memcpy(value, from, *bytes);
}

void option_put_int(void *value, u32 *bytes, int number) { option_put(value, bytes, &number, sizeof(number)); }

/* Options that are on or off, and only kept, or looked at by others: where. NULL: none of these. */
static u32 *switch_of(struct socket *s, int name) {
    struct socket_options *o = &s->options;
    switch (name) {
    case SO_REUSEADDR:
        return &o->reuse_address;
    case SO_REUSEPORT:
        return &o->reuse_port;
    case SO_BROADCAST:
        return &o->broadcast;
    case SO_KEEPALIVE:
        return &o->keep_alive;
    case SO_DONTROUTE:
        return &o->dont_route;
    case SO_OOBINLINE:
        return &o->oob_inline;
    case SO_PASSCRED:
        return &o->pass_credentials;
    case SO_TIMESTAMP_OLD:
        return &o->timestamp;
    case SO_NO_CHECK:
        return &o->no_check;
    case SO_RXQ_OVFL:
        return &o->overflows;
    case SO_ZEROCOPY:
        return &o->zero_copy;
    default:
        return NULL;
    }
}

/* ---- times ---- */

static int set_timeout(u64 *ns, const void *value, u32 bytes) {
    struct __kernel_old_timeval t;
    if (bytes < sizeof(t))
        return -EINVAL;
    memcpy(&t, value, sizeof(t));
    if (t.tv_usec < 0 || t.tv_usec >= 1000000)
        return -EDOM;
    if (t.tv_sec < 0)
        *ns = 0; /* as Linux: such a socket does not wait at all */
    else if ((!t.tv_sec && !t.tv_usec) || (u64)t.tv_sec > SLEEP_FOREVER / NS_PER_S / 2)
        *ns = SLEEP_FOREVER;
    else
        *ns = (u64)t.tv_sec * NS_PER_S + (u64)t.tv_usec * 1000;
    return 0;
}

static void get_timeout(u64 ns, void *value, u32 *bytes) {
    struct __kernel_old_timeval t = {0};
    if (ns != SLEEP_FOREVER) {
        t.tv_sec = (s64)(ns / NS_PER_S);
        t.tv_usec = (s64)(ns % NS_PER_S / 1000);
    }
    option_put(value, bytes, &t, sizeof(t));
}

/* ---- setting ---- */

static int set_linger(struct socket *s, const void *value, u32 bytes) {
    struct {
        s32 on, seconds;
    } l;
    if (bytes < sizeof(l))
        return -EINVAL;
    memcpy(&l, value, sizeof(l));
    s->options.linger = l.on != 0;
    if (l.on)
        s->options.linger_seconds = (u32)max(l.seconds, 0);
    return 0;
}

static int set_send_bytes(struct socket *s, u64 most, int number) {
    atomic_store(&s->options.send_bytes, (u32)max(2 * min((u64)(u32)number, most), (u64)SEND_LEAST));
    s->options.send_fixed = true;
    waitq_wake_all(&s->writers);
    return 0;
}

static int set_receive_bytes(struct socket *s, u64 most, int number) {
    s->options.receive_bytes = (u32)max(2 * min((u64)(u32)number, most), (u64)RECEIVE_LEAST);
    return 0;
}

/* SO_BINDTODEVICE: the name need not end with a 0; an empty one takes the binding back. */
static int set_device(struct socket *s, const void *value, u32 bytes) {
    char name[IFNAMSIZ] = "";
    memcpy(name, value, min(bytes, (u32)sizeof(name) - 1));
    if (*name && strcmp(name, LO_NAME))
        return -ENODEV;
    if (atomic_load(&s->options.bound) && !capable(CAP_NET_RAW))
        return -EPERM;
    atomic_store(&s->options.bound, *name != 0);
    return 0;
}

static int set_number(struct socket *s, int name, int number) {
    bool admin = capable(CAP_NET_ADMIN);
    switch (name) {
    case SO_SNDBUF:
        return set_send_bytes(s, SEND_MOST, number);
    case SO_RCVBUF:
        return set_receive_bytes(s, RECEIVE_MOST, number);
    case SO_SNDBUFFORCE:
        return admin ? set_send_bytes(s, INT32_MAX / 2, max(number, 0)) : -EPERM;
    case SO_RCVBUFFORCE:
        return admin ? set_receive_bytes(s, INT32_MAX / 2, max(number, 0)) : -EPERM;
    case SO_RCVLOWAT:
        s->options.receive_least = number < 0 ? INT32_MAX : number ? (u32)number : 1;
        return 0;
    case SO_PRIORITY:
        if ((number < 0 || number > PRIORITY_MOST) && !admin)
            return -EPERM;
        s->options.priority = (u32)number;
        return 0;
    case SO_MARK:
        s->options.mark = admin ? (u32)number : s->options.mark;
        return admin ? 0 : -EPERM;
    case SO_DEBUG:
        return number && !admin ? -EACCES : 0;
    case SO_BSDCOMPAT:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int socket_set_option(struct socket *s, int level, int name, const void *value, u32 bytes) {
    int number;
    if (level != SOL_SOCKET)
        return s->ops->set_option(s, level, name, value, bytes);
    if (name == SO_BINDTODEVICE)
        return set_device(s, value, bytes);
    int error = option_int(value, bytes, &number);
    u32 *kept = switch_of(s, name);
    if (error)
        return error;
    if (kept) {
        atomic_store(kept, number != 0);
        return 0;
    }
    switch (name) {
    case SO_LINGER:
        return set_linger(s, value, bytes);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return set_timeout(&s->options.receive_ns, value, bytes);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return set_timeout(&s->options.send_ns, value, bytes);
    default:
        return set_number(s, name, number);
    }
}

/* ---- getting ---- */

/* Options whose value is one int. -ENOPROTOOPT: it is none of these. */
static int get_number(struct socket *s, int name, int *number) {
    switch (name) {
    case SO_ERROR:
        *number = -socket_error(s);
        return 0;
    case SO_TYPE:
        *number = s->type;
        return 0;
    case SO_PROTOCOL:
        *number = s->protocol;
        return 0;
    case SO_DOMAIN:
        *number = s->ops->family;
        return 0;
    case SO_ACCEPTCONN:
        *number = socket_state(s) == SOCKET_LISTENING;
        return 0;
    case SO_SNDBUF:
        *number = (int)s->options.send_bytes;
        return 0;
    case SO_RCVBUF:
        *number = (int)s->options.receive_bytes;
        return 0;
    case SO_RCVLOWAT:
        *number = (int)s->options.receive_least;
        return 0;
    case SO_SNDLOWAT:
        *number = 1;
        return 0;
    case SO_PRIORITY:
        *number = (int)s->options.priority;
        return 0;
    case SO_MARK:
        *number = (int)s->options.mark;
        return 0;
    case SO_DEBUG:
    case SO_BSDCOMPAT:
        *number = 0;
        return 0;
    case SO_INCOMING_CPU:
        *number = (int)cpu_id();
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int get_peer_name(struct socket *s, void *value, u32 *bytes) {
    struct address a;
    int error = s->ops->name(s, PEER_NAME, &a);
    if (error)
        return error;
    if (*bytes > a.bytes || *bytes == 0)
        return -EINVAL;
    option_put(value, bytes, a.raw, a.bytes);
    return 0;
}

static int get_linger(struct socket *s, void *value, u32 *bytes) {
    u32 linger[2] = {s->options.linger, s->options.linger_seconds};
    option_put(value, bytes, linger, sizeof(linger));
    return 0;
}

static int get_device(struct socket *s, void *value, u32 *bytes) {
    bool bound = atomic_load(&s->options.bound);
    if (bound && *bytes < IFNAMSIZ)
        return -EINVAL;
    option_put(value, bytes, LO_NAME, bound ? sizeof(LO_NAME) : 0);
    return 0;
}

static void get_credentials(struct socket *s, void *value, u32 *bytes) {
    spin_lock(&s->lock);
    option_put(value, bytes, &s->peer_credentials, sizeof(s->peer_credentials));
    spin_unlock(&s->lock);
}

int socket_get_option(struct socket *s, int level, int name, void *value, u32 *bytes) {
    u32 *kept = level == SOL_SOCKET ? switch_of(s, name) : NULL;
    u64 cookie = s->inode.ino;
    int number, error = 0;
    if (level != SOL_SOCKET)
        return s->ops->get_option(s, level, name, value, bytes);
    if (kept) {
        option_put_int(value, bytes, (int)atomic_load(kept));
        return 0;
    }
    switch (name) {
    case SO_LINGER:
        return get_linger(s, value, bytes);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        get_timeout(s->options.receive_ns, value, bytes);
        return 0;
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        get_timeout(s->options.send_ns, value, bytes);
        return 0;
    case SO_PEERCRED:
        get_credentials(s, value, bytes);
        return 0;
    case SO_PEERNAME:
        return get_peer_name(s, value, bytes);
    case SO_COOKIE:
        option_put(value, bytes, &cookie, sizeof(cookie));
        return 0;
    case SO_BINDTODEVICE:
        return get_device(s, value, bytes);
    default:
        error = get_number(s, name, &number);
        if (!error)
            option_put_int(value, bytes, number);
        return error;
    }
}
