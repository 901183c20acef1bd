/* userfault.h - userfaultfd(2): a file that hears of the faults in memory that a program watches, and answers them. */
#pragma once

#include "fs/vfs.h"

struct space;

/* userfault_create: for the current process's memory. flags: O_NONBLOCK, UFFD_USER_MODE_ONLY. err_ptr(-ENOMEM...).
 * userfault_allowed: whether the caller may have one with these flags (-EPERM is his answer else). */
struct file *userfault_create(int flags);
bool userfault_allowed(int flags);
extern u64 userfault_unprivileged;                 /* /proc/sys/vm/unprivileged_userfaultfd */
extern const struct file_ops userfault_device_ops; /* /dev/userfaultfd */

/* What a process does to its memory, told to those who watch it and asked to be told (UFFD_FEATURE_EVENT_*).
 *
 * userfault_begin: `what` is about to happen to [start, end): 0, -ENOMEM. Then exactly one of: userfault_end, it has
 * happened: returns once each has read so; userfault_cancel, it has not. Nothing held; sleep. With nobody watching the
 * space they cost a test: call them if space_is_watched. */
#define USERFAULT_WATCHERS 4 /* without an allocation */
struct userfault;
struct userfault_news {
    struct userfault **who; /* with a reference each */
    unsigned count, room;
    struct userfault *few[USERFAULT_WATCHERS];
    u64 start, end;
};
int userfault_begin(struct userfault_news *n, struct space *s, u64 start, u64 end, u64 feature);
void userfault_unmapped(struct userfault_news *n);
void userfault_removed(struct userfault_news *n);
void userfault_moved(struct userfault_news *n, u64 to);
void userfault_cancel(struct userfault_news *n);
/* userfault_forked: child is a fork of the caller's space: who follows is told. */
void userfault_forked(struct space *child);

/* The lines of /proc/PID/fdinfo; 0 bytes for other files. */
int userfault_fdinfo(struct file *f, char *text, size_t bytes);
