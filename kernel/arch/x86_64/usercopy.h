/* usercopy.h - the only way the kernel reads or writes user memory.
 *
 * Every function checks that the range lies below USER_TOP, opens SMAP for the copy alone, and survives a fault: the
 * page fault handler makes the page present, or the copy ends with -EFAULT. They may sleep: call with no spin lock, not
 * within an epoch section, not within a space's fork exclusion. Contents before the failing byte may have been copied.
 */
#pragma once

#include "lib/base.h"

#define USER_TOP 0x00007ffffffff000UL /* the last user page is never mapped (SYSRET's canonical trap) */

must_check int copy_from_user(void *to, const void __user *from, size_t bytes);
must_check int copy_to_user(void __user *to, const void *from, size_t bytes);
must_check int clear_user(void __user *to, size_t bytes);
/* The same, but they say how many bytes at the end were not copied (0: all). For read(2) and write(2), which then
 * return short. */
must_check size_t copy_from_user_partial(void *to, const void __user *from, size_t bytes);
must_check size_t copy_to_user_partial(void __user *to, const void *from, size_t bytes);
must_check size_t clear_user_partial(void __user *to, size_t bytes);
/* strncpy_from_user: copies up to and with the final 0; returns the length without it, or -EFAULT; == size: no end
 * found. */
must_check ssize_t strncpy_from_user(char *to, const char __user *from, size_t size);
/* 32-bit words of futexes. Returns 0 or -EFAULT; *old is what was there. */
must_check int user_cmpxchg_u32(u32 __user *p, u32 expected, u32 desired, u32 *old);
must_check int user_load_u32(const u32 __user *p, u32 *value);

#define get_user(value, p) copy_from_user(&(value), (p), sizeof(value))
#define put_user(value, p)                                                                                             \
    ({                                                                                                                 \
        __typeof__(*(p)) put_ = (value);                                                                               \
        copy_to_user((p), &put_, sizeof(put_));                                                                        \
    })
