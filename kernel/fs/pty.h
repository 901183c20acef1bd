/* pty.h - pseudo-terminals: pairs of a master (an open file of /dev/ptmx) and a slave (a terminal in /dev/pts). */
#pragma once

#include "fs/tty.h"

int pty_open_master(struct file *file); /* for chardev_open: a new pair. -ENOMEM, -ENOSPC */
struct inode *pty_slave(u64 number);    /* counted; NULL: there is none, or its master is closed */
s64 pty_next(u64 from);                 /* the first number >= from of those that pty_slave knows, or -1 */
extern u64 pty_most, pty_count;         /* /proc/sys/kernel/pty */
