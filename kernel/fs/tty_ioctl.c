/* tty_ioctl.c - what a terminal's ioctls ask and change: settings, window size, flow, flushing (ioctl_tty(2)).
 *
 * Job control's are tty_job.c's; a pseudo-terminal's master adds its own (pty.c). */
#include <asm/signal.h>
#include <linux/capability.h>

#include "arch/x86_64/usercopy.h"
#include "fs/tty_inner.h"
#include "task/task.h"

void tty_set_window(struct tty *t, const struct winsize *window) {
    spin_lock(&t->lock);
    bool changed = memcmp(&t->window, window, sizeof(*window)) != 0;
    t->window = *window;
    spin_unlock(&t->lock);
    if (changed)
        tty_signal_foreground(t, SIGWINCH);
}

/* Do ^S and ^Q hold and release the output? A master in packet mode, which may do that itself, is told of changes. */
static bool usual_flow(const struct termios2 *s) {
    return s->c_iflag & IXON && s->c_cc[VSTOP] == ('S' & 31) && s->c_cc[VSTART] == ('Q' & 31);
}

/* TCSETS and its kin: `bytes` of *new replace the settings. Output is always drained: writes wait for it. */
static int settings_change(struct tty *t, const void __user *new, size_t bytes, bool flush) {
    struct termios2 settings;
    spin_lock(&t->lock);
    settings = t->settings;
    spin_unlock(&t->lock);
    if (copy_from_user(&settings, new, bytes))
        return -EFAULT;
    int error = tty_foreground_check(t, SIGTTOU, 0);
    if (error)
        return error;
    spin_lock(&t->lock);
    bool changed = (settings.c_lflag ^ t->settings.c_lflag) & ICANON, flows = usual_flow(&t->settings);
    t->settings = settings;
    if (usual_flow(&settings) != flows)
        tty_status(t, flows ? TIOCPKT_NOSTOP : TIOCPKT_DOSTOP);
    if (flush)
        tty_input_drop(t);
    if (changed)
        tty_canonical_changed(t);
    if (!has_input(t, IXON))
        tty_stop(t, false);
    spin_unlock(&t->lock);
    waitq_wake_all(&t->readable);
    waitq_wake_all(&t->writable);
    tty_input_room(t);
    return 0;
}

static int settings_show(struct tty *t, void __user *to, size_t bytes) {
    struct termios2 settings;
    spin_lock(&t->lock);
    settings = t->settings;
    spin_unlock(&t->lock);
    return copy_to_user(to, &settings, bytes);
}

static long ioctl_settings(struct tty *t, u32 command, void __user *p) {
    switch (command) {
    case TCGETS:
        return settings_show(t, p, sizeof(struct termios));
    case TCGETS2:
        return settings_show(t, p, sizeof(struct termios2));
    case TCSETS:
    case TCSETSW:
        return settings_change(t, p, sizeof(struct termios), false);
    case TCSETSF:
        return settings_change(t, p, sizeof(struct termios), true);
    case TCSETS2:
    case TCSETSW2:
        return settings_change(t, p, sizeof(struct termios2), false);
    case TCSETSF2:
        return settings_change(t, p, sizeof(struct termios2), true);
    default:
        return -ENOTTY;
    }
}

static long ioctl_window(struct tty *t, u32 command, struct winsize __user *p) {
    struct winsize window;
    if (command == TIOCSWINSZ) {
        if (copy_from_user(&window, p, sizeof(window)))
            return -EFAULT;
        tty_set_window(t, &window);
        return 0;
    }
    spin_lock(&t->lock);
    window = t->window;
    spin_unlock(&t->lock);
    return copy_to_user(p, &window, sizeof(window));
}

static long ioctl_flush(struct tty *t, u64 which) {
    if (which > TCIOFLUSH)
        return -EINVAL;
    int error = tty_foreground_check(t, SIGTTOU, 0);
    if (error)
        return error;
    if (which != TCIFLUSH) /* output is never kept */
        tty_status(t, TIOCPKT_FLUSHWRITE);
    if (which != TCOFLUSH) {
        spin_lock(&t->lock);
        tty_input_drop(t);
        spin_unlock(&t->lock);
        tty_input_room(t);
    }
    return 0;
}

/* TCXONC: hold and release the output. TCIOFF and TCION would ask the other end, which is no line that could be asked.
 */
static long ioctl_flow(struct tty *t, u64 what) {
    if (what > TCION)
        return -EINVAL;
    int error = tty_foreground_check(t, SIGTTOU, 0);
    if (error)
        return error;
    if (what == TCOOFF)
        tty_stop(t, true);
    if (what == TCOON) {
        tty_stop(t, false);
        tty_output_room(t);
    }
    return 0;
}

/* TIOCSTI: as if typed. */
static long ioctl_type(struct tty *t, const u8 __user *p) {
    u8 c;
    if (atomic_load(&process_current()->tty) != t && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (get_user(c, p))
        return -EFAULT;
    (void)tty_input(t, &c, 1);
    return 0;
}

/* TIOCEXCL, TIOCNXCL, TIOCGEXCL. */
static long ioctl_exclusive(struct tty *t, u32 command, int __user *p) {
    if (command == TIOCGEXCL)
        return put_user((int)atomic_load(&t->exclusive), p);
    atomic_store(&t->exclusive, command == TIOCEXCL);
    return 0;
}

long tty_ioctl(struct tty *t, u32 command, u64 argument, bool master) {
    int __user *number = (int __user *)argument;
    switch (command) {
    case TIOCGWINSZ:
    case TIOCSWINSZ:
        return ioctl_window(t, command, (struct winsize __user *)argument);
    case FIONREAD:
        return put_user((int)tty_input_count(t), number);
    case TCFLSH:
        return ioctl_flush(t, argument);
    case TCXONC:
        return ioctl_flow(t, argument);
    case TIOCOUTQ: /* nothing waits to be sent */
    case TIOCGETD: /* N_TTY */
        return put_user(0, number);
    case TIOCSTI:
        return ioctl_type(t, (const u8 __user *)argument);
    case TIOCEXCL:
    case TIOCNXCL:
    case TIOCGEXCL:
        return ioctl_exclusive(t, command, number);
    case TCSBRK:
    case TCSBRKP:
        return tty_foreground_check(t, SIGTTOU, 0);
    case TIOCGPGRP:
    case TIOCSPGRP:
    case TIOCGSID:
    case TIOCSCTTY:
    case TIOCNOTTY:
        return tty_job_ioctl(t, command, argument, master);
    default:
        return ioctl_settings(t, command, (void __user *)argument);
    }
}
