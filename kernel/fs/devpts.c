/* devpts.c - /dev/pts: the names of the pseudo-terminals that there are (pty.c), and ptmx.
 *
 * Names come and go with the pairs and are never cached; a slave's inode is its pair's and keeps what chmod and chown
 * said. */
#include <linux/kdev_t.h>
#include <linux/major.h>

#include "fs/pty.h"
#include "fs/synth.h"

#define PTMX_DEVICE (TTYAUX_MAJOR << 8 | 2)

static const struct inode_ops root_ops, node_ops;
static const struct file_ops root_file_ops;
static struct inode root, ptmx;

static struct super devpts = {
    .type = "devpts",
    .dev = 22,
    .options = "rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=000",
    .made_when_read = true,
    .uncached = true,
};

/* The name as a number. */
static bool number_of(const char *name, size_t bytes, u64 *number) {
    char digits[12];
    if (bytes >= sizeof(digits) || *name < '0' || *name > '9' || (*name == '0' && bytes > 1))
        return false;
    memcpy(digits, name, bytes);
    digits[bytes] = 0;
    return parse_number(digits, number);
}

static struct inode *devpts_lookup(struct inode *dir, const char *name, size_t bytes) {
    u64 number;
    if (bytes == 4 && !memcmp(name, "ptmx", 4)) {
        inode_get(&ptmx);
        return &ptmx;
    }
    struct inode *slave = number_of(name, bytes, &number) ? pty_slave(number) : NULL;
    return slave ? slave : err_ptr(-ENOENT);
}

static bool emit(struct file *file, struct dir_sink *sink, const char *name, u64 ino, unsigned type, u64 next) {
    if (!sink->emit(sink, name, strlen(name), ino, type >> 12, next))
        return false;
    file->position = next;
    return true;
}

/* Positions: ".", "..", ptmx, then the numbers. */
static int devpts_iterate(struct file *file, struct dir_sink *sink) {
    char name[16];
    if (file->position == 0 && !emit(file, sink, ".", root.ino, S_IFDIR, 1))
        return 0;
    if (file->position == 1 && !emit(file, sink, "..", root.ino, S_IFDIR, 2))
        return 0;
    if (file->position == 2 && !emit(file, sink, "ptmx", ptmx.ino, S_IFCHR, 3))
        return 0;
    for (s64 number; (number = pty_next(file->position - 3)) >= 0;) {
        ksnprintf(name, sizeof(name), "%ld", (long)number);
        if (!emit(file, sink, name, number + 3, S_IFCHR, number + 4))
            break;
    }
    return 0;
}

static const struct inode_ops root_ops = {.lookup = devpts_lookup};
static const struct inode_ops node_ops = {0};
static const struct file_ops root_file_ops = {.iterate = devpts_iterate, .seek = synth_seek};

struct super *devpts_super(void) {
    if (!devpts.root) {
        inode_init(&root, &devpts, S_IFDIR | 0755);
        root.ops = &root_ops;
        root.file_ops = &root_file_ops;
        root.ino = 1;
        inode_init(&ptmx, &devpts, S_IFCHR);
        ptmx.ops = &node_ops;
        ptmx.ino = 2;
        ptmx.rdev = PTMX_DEVICE;
        devpts.root = &root;
    }
    return &devpts;
}
