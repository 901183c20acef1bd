/* blockdev.h - block devices as files: /dev/vda and its kin. */
#pragma once

#include "dev/block.h"
#include "fs/vfs.h"

#define BLOCK_MAJOR 254  /* the first that Linux gives to who has none of his own: there virtio-blk's */
#define BLOCK_MINORS 16u /* of each disk: it and its partitions */

struct block_device *blockdev_of(const struct inode *inode); /* NULL: it is none of ours */
/* blockdev_open: for file_open; -ENXIO, -EACCES (to write what cannot be written), -EBUSY (O_EXCL and in use). */
int blockdev_open(struct inode *inode, struct file *file);
