/* pidfd.h - a descriptor that stands for a process: pidfd_open(2). */
#pragma once

#include "fs/vfs.h"

struct process;

struct file *pidfd_create(struct process *p, int flags); /* counted; takes its own reference on p. err_ptr(-ENOMEM) */
/* pidfd_process: the process it stands for, counted; NULL: f is no such file. It may have ended, even been waited for.
 */
struct process *pidfd_process(const struct file *f);
/* pidfd_fdinfo: the lines of /proc/PID/fdinfo that say whose it is, -1 once that was waited for; 0 bytes for other
 * files.
 */
int pidfd_fdinfo(const struct file *f, char *text, size_t bytes);
/* proc_directory_process: the same for a directory /proc/PID, which pidfd_send_signal(2) takes too. */
struct process *proc_directory_process(const struct file *f);
