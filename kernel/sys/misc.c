/* misc.c - the system calls that tell of the machine or of limits: uname, sysinfo, getrandom, rlimits, host names;
 * vhangup; syslog. */
#include <linux/capability.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "arch/x86_64/usercopy.h"
#include "fs/tty.h"
#include "lib/log.h"
#include "lib/release.h"
#include "main.h"
#include "sys/mm.h"
#include "sys/sys.h"
#include "sys/vector.h"
#include "task/family.h"
#include "vm/frame.h"
#include "vm/swap.h"

#define NAME_MOST 64       /* __NEW_UTS_LEN */
#define FILES_MOST 1048576 /* fs.nr_open */
#define NS_PER_SECOND 1000000000UL
#define LOAD_SHIFT 5 /* from 11 bits of fraction to sysinfo's 16 */

/* ---- names ---- */

static char host_name[NAME_MOST + 1], domain_name[NAME_MOST + 1] = "(none)";
static struct spin names_lock; /* protects both */

const char *host_name_get(char *out, size_t bytes) {
    spin_lock(&names_lock);
    if (host_name[0])
        ksnprintf(out, bytes, "%s", host_name);
    else
        ksnprintf(out, bytes, "%s", boot_config.hostname && *boot_config.hostname ? boot_config.hostname : "quire");
    spin_unlock(&names_lock);
    return out;
}

long sys_vhangup(void) {
    struct tty *t;

    if (!capable(CAP_SYS_TTY_CONFIG))
        return -EPERM;
    t = tty_of_process(process_current());
    if (t) {
        tty_vhangup(t);
        tty_put(t);
    }
    return 0;
}

long sys_uname(struct new_utsname __user *out) {
    struct new_utsname u;

    memset(&u, 0, sizeof(u));
    ksnprintf(u.sysname, sizeof(u.sysname), RELEASE_SYSTEM);
    ksnprintf(u.release, sizeof(u.release), RELEASE_NUMBER);
    ksnprintf(u.version, sizeof(u.version), RELEASE_VERSION);
    ksnprintf(u.machine, sizeof(u.machine), RELEASE_MACHINE);
    host_name_get(u.nodename, sizeof(u.nodename));
    spin_lock(&names_lock);
    memcpy(u.domainname, domain_name, sizeof(domain_name));
    spin_unlock(&names_lock);
    return copy_to_user(out, &u, sizeof(u));
}

static long set_name(char *name, const char __user *user, int bytes) {
    char new[NAME_MOST + 1] = "";

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (bytes < 0 || bytes > NAME_MOST)
        return -EINVAL;
    if (copy_from_user(new, user, bytes))
        return -EFAULT;
    spin_lock(&names_lock);
    memcpy(name, new, sizeof(new));
    spin_unlock(&names_lock);
    return 0;
}

long sys_sethostname(const char __user *name, int bytes) { return set_name(host_name, name, bytes); }
long sys_setdomainname(const char __user *name, int bytes) { return set_name(domain_name, name, bytes); }

/* ---- the machine ---- */

long sys_sysinfo(struct sysinfo __user *out) {
    struct frame_totals totals;
    struct swap_totals swap;
    struct sysinfo s;

    frame_totals(&totals);
    swap_totals(&swap);
    memset(&s, 0, sizeof(s));
    s.uptime = clock_ns() / NS_PER_SECOND;
    for (unsigned i = 0; i < 3; i++)
        s.loads[i] = sched_load(i) << LOAD_SHIFT;
    s.totalram = (totals.given - totals.frames[FRAME_RESERVED]) * PAGE_SIZE;
    s.freeram = totals.frames[FRAME_FREE] * PAGE_SIZE;
    s.sharedram = totals.frames[FRAME_SHMEM] * PAGE_SIZE;
    s.totalswap = swap.slots * PAGE_SIZE;
    s.freeswap = (swap.slots - swap.used) * PAGE_SIZE;
    s.procs = task_count();
    s.mem_unit = 1;
    return copy_to_user(out, &s, sizeof(s));
}

long sys_getrandom(void __user *buffer, size_t bytes, u32 flags) {
    struct iov to;

    if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    iov_user(&to, buffer, min(bytes, TRANSFER_MOST));
    return iov_random(&to);
}

/* ---- limits ---- */

static int check_limit(const struct rlimit *old, const struct rlimit *new, u32 resource) {
    if (new->rlim_cur > new->rlim_max)
        return -EINVAL;
    if (resource == RLIMIT_NOFILE && new->rlim_max > FILES_MOST)
        return -EPERM;
    return new->rlim_max > old->rlim_max && !capable(CAP_SYS_RESOURCE) ? -EPERM : 0;
}

/* may_reach: another process's limits: all its ids are the caller's real ones (prlimit(2)). */
static bool may_reach(const struct process *p) {
    const struct credentials *me = cred_current(), *it = &p->cred;

    return p == process_current() || capable(CAP_SYS_RESOURCE) ||
           (me->uid == it->uid && me->uid == it->euid && me->uid == it->suid && me->gid == it->gid &&
            me->gid == it->egid && me->gid == it->sgid);
}

static int limit_swap(int pid, u32 resource, const struct rlimit *new, struct rlimit *old) {
    struct process *p;
    int error = 0;

    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    p = process_find(pid ? pid : process_current()->pid);
    if (!p)
        return -ESRCH;
    if (!may_reach(p))
        error = -EPERM;
    spin_lock(&p->lock);
    *old = p->limits[resource];
    if (!error && new)
        error = check_limit(old, new, resource);
    if (!error && new)
        p->limits[resource] = *new;
    spin_unlock(&p->lock);
    if (p == process_current())
        (void)limited_space(); /* faults look at what the space knows */
    process_put(p);
    return error;
}

long sys_prlimit64(int pid, u32 resource, const struct rlimit64 __user *user, struct rlimit64 __user *old_user) {
    struct rlimit new, old;
    int error;

    _Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "the same on 64 bits");
    if (user && copy_from_user(&new, user, sizeof(new)))
        return -EFAULT;
    error = limit_swap(pid, resource, user ? &new : NULL, &old);
    return error ? error : old_user ? copy_to_user(old_user, &old, sizeof(old)) : 0;
}

long sys_getrlimit(u32 resource, struct rlimit __user *out) { return sys_prlimit64(0, resource, NULL, (void *)out); }
long sys_setrlimit(u32 resource, const struct rlimit __user *in) {
    return sys_prlimit64(0, resource, (const void *)in, NULL);
}

/* ---- the log (syslog(2)) ---- */

enum {
    SYSLOG_CLOSE,
    SYSLOG_OPEN,
    SYSLOG_READ,
    SYSLOG_READ_ALL,
    SYSLOG_READ_CLEAR,
    SYSLOG_CLEAR,
    SYSLOG_CONSOLE_OFF,
    SYSLOG_CONSOLE_ON,
    SYSLOG_CONSOLE_LEVEL,
    SYSLOG_UNREAD,
    SYSLOG_SIZE
};

#define SHOWN_MOST (LOG_LINE + 32)

static u64 log_was_read; /* [a] SYSLOG_READ had those before it */

/* A line as it is shown: "<6>[    1.234567] text\n". */
static size_t log_show(struct log_line *l, char *out, size_t room) {
    l->text[min(l->bytes, sizeof(l->text) - 1)] = 0;
    return (size_t)ksnprintf(out, room, "<%u>[%5lu.%06lu] %s\n", l->level, (unsigned long)(l->us / 1000000),
                             (unsigned long)(l->us % 1000000), l->text);
}

/* The lines from number `from` on, as many whole ones as fit; only count them if there is no `out`. *next: the number
 * behind the last. */
static long log_copy(u64 from, char __user *out, size_t room, u64 *next) {
    struct log_line *l = kmalloc(sizeof(*l) + SHOWN_MOST);
    char *text = (char *)(l + 1);
    size_t done = 0;
    long error = l ? 0 : -ENOMEM;

    while (!error && log_line(from, l)) {
        size_t bytes = log_show(l, text, SHOWN_MOST);
        if (out && bytes > room - done)
            break;
        error = out ? copy_to_user(out + done, text, bytes) : 0;
        done += bytes;
        from = *next = l->number + 1;
    }
    kfree(l);
    return error ? error : (long)done;
}

/* The newest lines that fit: the oldest ones are left out until the rest does. */
static long log_read_all(char __user *out, size_t room) {
    struct log_line *l = kmalloc(sizeof(*l) + SHOWN_MOST);
    u64 from = atomic_load(&log_cleared), next;
    long bytes = l ? log_copy(from, NULL, 0, &next) : -ENOMEM;

    while (bytes > (long)room && log_line(from, l)) {
        bytes -= (long)log_show(l, (char *)(l + 1), SHOWN_MOST);
        from = l->number + 1;
    }
    kfree(l);
    return bytes < 0 ? bytes : log_copy(from, out, room, &next);
}

static long log_read(char __user *out, size_t room) {
    u64 next = atomic_load(&log_was_read);

    if (wait_until_interruptible(&log_readers, log_end() > next))
        return -ERESTARTSYS;
    long n = log_copy(next, out, room, &next);
    atomic_store(&log_was_read, next);
    return n;
}

long sys_syslog(int type, char __user *out, int room) {
    bool reads = type == SYSLOG_READ || type == SYSLOG_READ_ALL || type == SYSLOG_READ_CLEAR;
    u64 next;
    long n;

    if (!capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (type < SYSLOG_CLOSE || type > SYSLOG_SIZE || (reads && (!out || room < 0)) ||
        (type == SYSLOG_CONSOLE_LEVEL && (room < 1 || room > 8)))
        return -EINVAL;
    switch (type) {
    case SYSLOG_READ:
        return room ? log_read(out, (size_t)room) : 0;
    case SYSLOG_READ_ALL:
    case SYSLOG_READ_CLEAR:
        n = room ? log_read_all(out, (size_t)room) : 0;
        if (n >= 0 && type == SYSLOG_READ_CLEAR)
            atomic_store(&log_cleared, log_end());
        return n;
    case SYSLOG_CLEAR:
        atomic_store(&log_cleared, log_end());
        return 0;
    case SYSLOG_UNREAD:
        return log_copy(atomic_load(&log_was_read), NULL, 0, &next);
    case SYSLOG_SIZE:
        return LOG_RING;
    default: /* the console is the host's */
        return 0;
    }
}
