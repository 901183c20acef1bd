/* mlock.c - memory that stays: mlock(2), mlock2, munlock, mlockall, munlockall. */
#include <linux/capability.h>
#include <linux/mman.h>
#include <asm/mman.h>

#include "sys/mm.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/space.h"

bool may_lock(void) { return process_current()->limits[RLIMIT_MEMLOCK].rlim_cur || capable(CAP_IPC_LOCK); }

/* What POSIX wants to hear when the lock is there but a page is not. */
static long posix_error(int error) { return error == -EFAULT ? -ENOMEM : error == -ENOMEM ? -EAGAIN : error; }

static long lock_range(u64 address, u64 bytes, u32 lock) {
    struct space *s = limited_space();
    u64 first = address & PAGE_MASK, size = page_align_up(bytes + address % PAGE_SIZE);
    if (lock && !may_lock())
        return -EPERM;
    if (first + size < first)
        return -EINVAL;
    if (!size)
        return 0;
    long error = space_lock(s, first, size, lock);
    return error || !lock ? error : posix_error(space_fill(s, first, size));
}

long sys_mlock(u64 address, u64 bytes) { return lock_range(address, bytes, VIEW_LOCKED); }

long sys_mlock2(u64 address, u64 bytes, int flags) {
    if (flags & ~MLOCK_ONFAULT)
        return -EINVAL;
    return lock_range(address, bytes, VIEW_LOCKED | (flags ? VIEW_ONFAULT : 0));
}

long sys_munlock(u64 address, u64 bytes) { return lock_range(address, bytes, 0); }

long sys_mlockall(int flags) {
    u32 lock = VIEW_LOCKED | (flags & MCL_ONFAULT ? VIEW_ONFAULT : 0);
    struct space *s = limited_space();
    struct space_totals totals;
    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (!may_lock())
        return -EPERM;
    space_totals(s, &totals);
    if ((flags & MCL_CURRENT) && totals.total * PAGE_SIZE > space_limits(s)->locked)
        return -ENOMEM;
    space_lock_future(s, flags & MCL_FUTURE ? lock : 0);
    if (flags & MCL_CURRENT) { /* what cannot be locked or had is not an error */
        (void)space_change(s, 0, USER_TOP, lock, (VIEW_LOCKED | VIEW_ONFAULT) & ~lock);
        space_fill_all(s);
    }
    return 0;
}

long sys_munlockall(void) {
    struct space *s = process_current()->space;
    space_lock_future(s, 0);
    (void)space_change(s, 0, USER_TOP, 0, VIEW_LOCKED | VIEW_ONFAULT);
    return 0;
}
