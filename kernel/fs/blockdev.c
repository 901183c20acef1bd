/* blockdev.c - block devices as files: read, written and asked for their size. Nothing of them is cached: each call
 * transfers the pages it concerns. They cannot be mapped. */
#include <linux/fs.h>
#include <linux/hdreg.h>

#include "arch/x86_64/usercopy.h"
#include "fs/blockdev.h"
#include "fs/io.h"
#include "task/task.h"

#define SECTOR 512

static struct mutex writing = MUTEX_INIT(writing); /* from reading a page to writing it, of any device */

struct block_device *blockdev_of(const struct inode *inode) {
    unsigned major = inode->rdev >> 8 & 0xfff, minor = inode->rdev & 0xff;
    if ((inode->mode & S_IFMT) != S_IFBLK || major != BLOCK_MAJOR || minor % BLOCK_MINORS)
        return NULL;
    return block_find(minor / BLOCK_MINORS);
}

static struct block_device *device_of(const struct file *f) { return f->private_data; }
static u64 size_of(const struct file *f) { return block_bytes(device_of(f)) & PAGE_MASK; }

/* Bytes moved between one page of the device and the cursor; -errno. The page is read first if it is not written whole.
 */
static ssize_t move_in_page(struct file *f, struct frame *page, struct iov *v, u64 position, size_t bytes, bool write) {
    struct block_device *d = device_of(f);
    u64 at = position & PAGE_MASK;
    char *here = (char *)frame_va(page) + position % PAGE_SIZE;
    int error = write && bytes == PAGE_SIZE ? 0 : block_transfer(d, false, at, &page, 1);
    if (error)
        return error;
    ssize_t moved = (ssize_t)(write ? iov_take(v, here, bytes) : iov_put(v, here, bytes));
    if (write && moved)
        error = moved == (ssize_t)bytes || bytes < PAGE_SIZE ? block_transfer(d, true, at, &page, 1) : -EFAULT;
    return error ? error : moved ? moved : -EFAULT;
}

/* Who writes a part of a page would undo what another wrote to the rest of it meanwhile: so one at a time. */
static ssize_t write_in_page(struct file *f, struct frame *page, struct iov *v, u64 position, size_t bytes) {
    mutex_lock(&writing);
    ssize_t n = move_in_page(f, page, v, position, bytes, true);
    mutex_unlock(&writing);
    return n;
}

static ssize_t move(struct file *f, struct iov *v, u64 *position, bool write) {
    struct frame *page = frame_alloc(0, FRAME_KERNEL, 0);
    ssize_t done = 0, n = page ? 1 : -ENOMEM;
    while (v->bytes && *position < size_of(f) && n > 0) {
        size_t here = (size_t)min((u64)v->bytes, PAGE_SIZE - *position % PAGE_SIZE);
        if (fatal_signal_pending()) /* no other: programs do not expect a disk to be interrupted */
            n = -EINTR;
        else
            n = write ? write_in_page(f, page, v, *position, here) : move_in_page(f, page, v, *position, here, false);
        done += n > 0 ? n : 0;
        *position += n > 0 ? (u64)n : 0;
        n = n > 0 && (size_t)n < here ? 0 : n;
    }
    if (page)
        frame_free(page, 0);
    if (write && !done && n > 0 && v->bytes)
        return -ENOSPC; /* at the end */
    return done || n >= 0 ? done : n;
}

static ssize_t block_read(struct file *f, struct iov *to, u64 *position) { return move(f, to, position, false); }
static ssize_t block_write(struct file *f, struct iov *from, u64 *position) { return move(f, from, position, true); }

static s64 block_seek(struct file *f, s64 offset, int whence) {
    s64 to = offset;
    if (whence == SEEK_CUR)
        to += (s64)f->position;
    else if (whence == SEEK_END)
        to += (s64)size_of(f);
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (to < 0 || (u64)to > size_of(f))
        return -EINVAL;
    f->position = (u64)to;
    return to;
}

static int block_fsync(struct file *f, bool data_only) { return 0; } /* what was written is with the host */

static long discard_range(struct file *f, const u64 __user *argument) {
    u64 range[2];
    if (!(f->mode & FILE_WRITE))
        return -EBADF;
    if (!block_can_discard(device_of(f)))
        return -EOPNOTSUPP;
    if (copy_from_user(range, argument, sizeof(range)))
        return -EFAULT;
    if (range[0] % SECTOR || range[1] % SECTOR || range[0] > size_of(f) || range[1] > size_of(f) - range[0])
        return -EINVAL;
    return block_discard(device_of(f), range[0], range[1]);
}

static long block_ioctl(struct file *f, u32 command, u64 argument) {
    void __user *out = (void __user *)argument;
    switch (command) {
    case BLKGETSIZE64:
        return put_user(size_of(f), (u64 __user *)out);
    case BLKGETSIZE:
        return put_user(size_of(f) / SECTOR, (unsigned long __user *)out);
    case BLKSSZGET:
    case BLKPBSZGET:
    case BLKIOMIN:
        return put_user(SECTOR, (int __user *)out);
    case BLKBSZGET:
        return put_user((int)PAGE_SIZE, (int __user *)out);
    case BLKIOOPT:
    case BLKALIGNOFF:
        return put_user(0, (int __user *)out);
    case BLKROGET:
        return put_user((int)block_read_only(device_of(f)), (int __user *)out);
    case BLKFLSBUF:
        return 0;
    case BLKDISCARD:
        return discard_range(f, out);
    default:
        return -ENOTTY;
    }
}

static const struct file_ops block_file_ops = {
    .read = block_read,
    .write = block_write,
    .seek = block_seek,
    .fsync = block_fsync,
    .ioctl = block_ioctl,
};

int blockdev_open(struct inode *inode, struct file *file) {
    struct block_device *d = blockdev_of(inode);
    if (!d)
        return -ENXIO;
    if ((file->mode & FILE_WRITE) && block_read_only(d))
        return -EACCES;
    if ((file->flags & O_EXCL) && block_claimed(d))
        return -EBUSY;
    file->ops = &block_file_ops;
    file->private_data = d;
    return 0;
}
