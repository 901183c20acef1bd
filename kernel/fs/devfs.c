/* devfs.c - character devices, by number: and /dev, the tree that names them.
 *
 * A device is a line of `devices`: opening any inode with its number (in /dev, or made by mknod elsewhere) gives the
 * file its operations. /dev is a file system in memory that begins with a name for each, as Linux's devtmpfs: a logger
 * makes its socket there, and who may can remove names. /dev/shm and /dev/pts are empty directories to mount on. */
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/poll.h>
#include <linux/random.h>

#include "arch/x86_64/usercopy.h"
#include "fs/blockdev.h"
#include "fs/io.h"
#include "fs/names.h"
#include "fs/poll.h"
#include "fs/pty.h"
#include "fs/tree.h"
#include "fs/userfault.h"
#include "lib/log.h"
#include "lib/random.h"
#include "task/task.h"
#include "vm/slab.h"

/* Device numbers as stat(2) shows them (makedev(3)), for the small ones: major in bits 8..19, minor in 0..7. */
#define DEVICE(major, minor) ((major) << 8 | (minor))
#define USERFAULTFD 126 /* the minor number that Linux 6.1 gives it, by the order of its drivers */
#define CHUNK 512       /* bytes of randomness at a time: on the stack */

/* ---- memory devices: null(4), full(4) ---- */

static ssize_t null_read(struct file *file, struct iov *to, u64 *position) { return 0; }
static ssize_t null_write(struct file *file, struct iov *from, u64 *position) {
    ssize_t bytes = from->bytes;
    from->bytes = 0;
    return bytes;
}

static ssize_t zero_read(struct file *file, struct iov *to, u64 *position) {
    size_t wanted = to->bytes, done = 0;
    while (done < wanted) {
        size_t some = min(wanted - done, 64 * KiB), moved = iov_zero(to, some);
        if (moved < align_down(some, (size_t)8))
            moved = align_down(moved, (size_t)8); /* Linux counts whole words where one faults */
        done += moved;
        if (moved < some || signal_pending()) /* reads of gigabytes can be interrupted */
            break;
    }
    return done || !wanted ? (ssize_t)done : -EFAULT;
}

static ssize_t full_write(struct file *file, struct iov *from, u64 *position) { return -ENOSPC; }

/* Every position is 0: lseek(2) on them succeeds and does nothing. */
static s64 null_seek(struct file *file, s64 offset, int whence) { return file->position = 0; }

static const struct file_ops null_ops = {.read = null_read, .write = null_write, .seek = null_seek};
static const struct file_ops zero_ops = {
    .read = zero_read,
    .write = null_write,
    .seek = null_seek,
    .maps_anonymous = true,
};
static const struct file_ops full_ops = {.read = zero_read, .write = full_write, .seek = null_seek};

/* ---- randomness: random(4) ---- */

static ssize_t random_read(struct file *file, struct iov *to, u64 *position) { return iov_random(to); }

static ssize_t random_write(struct file *file, struct iov *from, u64 *position) {
    u8 chunk[CHUNK];
    ssize_t done = 0;
    while (from->bytes) {
        size_t some = min(from->bytes, sizeof(chunk)), moved = iov_take(from, chunk, some);
        random_seed(chunk, moved);
        done += moved;
        if (moved < some)
            return done ? done : -EFAULT;
        if (signal_pending())
            break;
    }
    return done;
}

static u32 random_poll(struct file *file, struct poll_table *table) {
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
}

static long random_ioctl(struct file *file, u32 command, u64 argument) {
    if (command == RNDGETENTCNT)
        return put_user(256, (int __user *)argument); /* bits: what Linux's pool holds when it is seeded */
    return -EINVAL;
}

static s64 random_seek(struct file *file, s64 offset, int whence) { return file->position; }

static const struct file_ops random_ops = {
    .read = random_read,
    .write = random_write,
    .poll = random_poll,
    .ioctl = random_ioctl,
    .seek = random_seek,
};

/* ---- /dev/kmsg: what is written becomes a line of our log ---- */

static ssize_t kmsg_write(struct file *file, struct iov *from, u64 *position) {
    size_t bytes = from->bytes, taken;
    if (bytes > 1024 - 32) /* a record's greatest length on Linux, less its prefix */
        return -EINVAL;
    char *text = kmalloc(bytes + 1);
    if (!text)
        return -ENOMEM;
    taken = iov_take(from, text, bytes);
    text[taken] = 0;
    if (taken == bytes)
        kprintf("%s%s%s", text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>' ? "" : LOG_INFO, text,
                taken && text[taken - 1] == '\n' ? "" : "\n");
    kfree(text);
    return taken == bytes ? (ssize_t)bytes : -EFAULT;
}

/* One line a read; the position is the number of the next. */
static ssize_t kmsg_read(struct file *file, struct iov *to, u64 *position) {
    struct log_line *l = kmalloc(sizeof(*l) + 64);
    char *text = (char *)(l + 1);
    ssize_t n = l ? 0 : -ENOMEM;

    while (!n && !log_line(*position, l)) {
        if (file->flags & O_NONBLOCK)
            n = -EAGAIN;
        else if (wait_until_interruptible(&log_readers, log_end() > *position))
            n = -ERESTARTSYS;
    }
    if (!n && l->number != *position && *position) { /* what it was to have is gone */
        *position = l->number;
        n = -EPIPE;
    }
    if (!n) {
        size_t head =
            (size_t)ksnprintf(text, 64, "%u,%lu,%lu,-;", l->level, (unsigned long)l->number, (unsigned long)l->us);
        l->text[l->bytes] = '\n';
        n = (ssize_t)(head + l->bytes + 1);
        if ((size_t)n > to->bytes)
            n = -EINVAL;
        else if (iov_put(to, text, head) + iov_put(to, l->text, l->bytes + 1) != (size_t)n)
            n = -EFAULT;
        *position = n > 0 ? l->number + 1 : *position;
    }
    kfree(l);
    return n;
}

static s64 kmsg_seek(struct file *file, s64 offset, int whence) {
    if (offset)
        return -ESPIPE;
    if (whence != SEEK_SET && whence != SEEK_END && whence != SEEK_DATA)
        return -EINVAL;
    file->position = whence == SEEK_SET ? 0 : whence == SEEK_END ? log_end() : atomic_load(&log_cleared);
    return 0;
}

static u32 kmsg_poll(struct file *file, struct poll_table *table) {
    poll_wait(table, &log_readers);
    return log_end() > file->position ? POLLIN | POLLRDNORM : 0;
}

static const struct file_ops kmsg_ops = {
    .read = kmsg_read,
    .write = kmsg_write,
    .seek = kmsg_seek,
    .poll = kmsg_poll,
};

/* ---- terminals ---- */

static int open_console(struct file *file) {
    struct tty *t = tty_host();
    return t ? tty_open(t, file) : -ENXIO;
}

/* ---- by number ---- */

static const struct device {
    u32 number;
    const struct file_ops *ops;
    int (*open)(struct file *file); /* where the operations are not constant */
} devices[] = {
    {.number = DEVICE(MEM_MAJOR, 3), .ops = &null_ops},
    {.number = DEVICE(MEM_MAJOR, 5), .ops = &zero_ops},
    {.number = DEVICE(MEM_MAJOR, 7), .ops = &full_ops},
    {.number = DEVICE(MEM_MAJOR, 8), .ops = &random_ops},
    {.number = DEVICE(MEM_MAJOR, 9), .ops = &random_ops},
    {.number = DEVICE(MEM_MAJOR, 11), .ops = &kmsg_ops},
    {.number = DEVICE(MISC_MAJOR, USERFAULTFD), .ops = &userfault_device_ops},
    {.number = DEVICE(TTYAUX_MAJOR, 0), .open = tty_open_current},
    {.number = DEVICE(TTYAUX_MAJOR, 1), .open = open_console},
    {.number = DEVICE(TTYAUX_MAJOR, 2), .open = pty_open_master},
};

int chardev_open(struct inode *inode, struct file *file) {
    for (unsigned i = 0; i < array_count(devices); i++) {
        if (devices[i].number != inode->rdev)
            continue;
        file->ops = devices[i].ops;
        return devices[i].open ? devices[i].open(file) : 0;
    }
    return -ENXIO;
}

/* ---- /dev ---- */

/* What /dev begins with: a device, a directory, or a symbolic link to `target`. */
static const struct {
    const char *name, *target;
    u32 mode, number;
} dev_names[] = {
    /* the program's own terminal, whoever it runs as */
    {"/dev/console", .mode = S_IFCHR | 0666, .number = DEVICE(TTYAUX_MAJOR, 1)},
    {"/dev/fd", .target = "/proc/self/fd"},
    {"/dev/full", .mode = S_IFCHR | 0666, .number = DEVICE(MEM_MAJOR, 7)},
    {"/dev/kmsg", .mode = S_IFCHR | 0644, .number = DEVICE(MEM_MAJOR, 11)},
    {"/dev/null", .mode = S_IFCHR | 0666, .number = DEVICE(MEM_MAJOR, 3)},
    {"/dev/ptmx", .mode = S_IFCHR | 0666, .number = DEVICE(TTYAUX_MAJOR, 2)},
    {"/dev/pts", .mode = S_IFDIR | 0755},
    {"/dev/random", .mode = S_IFCHR | 0666, .number = DEVICE(MEM_MAJOR, 8)},
    {"/dev/shm", .mode = S_IFDIR | 01777},
    {"/dev/stderr", .target = "/proc/self/fd/2"},
    {"/dev/stdin", .target = "/proc/self/fd/0"},
    {"/dev/stdout", .target = "/proc/self/fd/1"},
    {"/dev/tty", .mode = S_IFCHR | 0666, .number = DEVICE(TTYAUX_MAJOR, 0)},
    {"/dev/urandom", .mode = S_IFCHR | 0666, .number = DEVICE(MEM_MAJOR, 9)},
    {"/dev/userfaultfd", .mode = S_IFCHR | 0600, .number = DEVICE(MISC_MAJOR, USERFAULTFD)},
    {"/dev/zero", .mode = S_IFCHR | 0666, .number = DEVICE(MEM_MAJOR, 5)},
};

struct super *devfs_super(void) {
    static const struct tree_options memory = {
        .mode = TREE_MEMORY, .type = "devtmpfs", .options = "rw,mode=755", .root_mode = 0755};
    static struct super *super;
    if (!super)
        super = tree_super_create(&memory);
    return super;
}

int devfs_fill(void) {
    char disk[] = "/dev/vda";
    int error = 0;
    for (unsigned n = 0; !error && n < array_count(dev_names); n++)
        error = dev_names[n].target ? name_symlink(dev_names[n].target, AT_FDCWD, dev_names[n].name)
                                    : name_make(AT_FDCWD, dev_names[n].name, dev_names[n].mode, dev_names[n].number);
    for (unsigned n = 0; !error && block_find(n); n++, disk[sizeof(disk) - 2]++)
        error = name_make(AT_FDCWD, disk, S_IFBLK | 0660, DEVICE(BLOCK_MAJOR, n * BLOCK_MINORS));
    return error;
}
