/* id.c - the system calls on user and group ids and on capabilities: credentials(7), capabilities(7).
 *
 * A process's credentials are written by its own tasks alone; others read single fields, which are whole. */
#include <linux/capability.h>
#include <linux/securebits.h>

#include "sys/sys.h"
#include "task/family.h"

#define KEEP 0xffffffffu  /* -1: leave this id as it is */
#define GROUPS_MOST 65536 /* NGROUPS_MAX */
#define CAPABILITIES_FS                                                                                                \
    (1UL << CAP_CHOWN | 1UL << CAP_DAC_OVERRIDE | 1UL << CAP_DAC_READ_SEARCH | 1UL << CAP_FOWNER | 1UL << CAP_FSETID | \
     1UL << CAP_LINUX_IMMUTABLE | 1UL << CAP_MKNOD | 1UL << CAP_MAC_OVERRIDE)

static struct credentials *cred(void) { return &process_current()->cred; }

long sys_getuid(void) { return cred()->uid; }
long sys_geteuid(void) { return cred()->euid; }
long sys_getgid(void) { return cred()->gid; }
long sys_getegid(void) { return cred()->egid; }

/* after_uids: what a change of user ids does to capabilities (capabilities(7), "Effect of user ID changes"). */
static void after_uids(struct credentials *c, u32 uid, u32 euid, u32 suid) {
    struct process *p = process_current();
    bool had_root = uid == 0 || euid == 0 || suid == 0, has_root = c->uid == 0 || c->euid == 0 || c->suid == 0;

    if (p->securebits & SECBIT_NO_SETUID_FIXUP)
        return;
    if (had_root && !has_root) {
        if (!p->keep_caps)
            c->cap_permitted = c->cap_effective = 0;
        c->cap_ambient = 0;
    }
    if (euid == 0 && c->euid != 0)
        c->cap_effective = 0;
    if (euid != 0 && c->euid == 0)
        c->cap_effective = c->cap_permitted;
}

static bool is_own(const struct credentials *c, u32 id) { return id == c->uid || id == c->euid || id == c->suid; }
static bool is_own_group(const struct credentials *c, u32 id) { return id == c->gid || id == c->egid || id == c->sgid; }

/* other_rights: the process acts as somebody else from now on: others do not look into it, and no signal that it asked
 * for as who it was is sent when its parent ends. */
static void other_rights(void) {
    process_current()->dumpable = false;
    process_current()->parent_death_signal = 0;
}

/* set_uids: KEEP for those that stay; allowed already. */
static long set_uids(u32 real, u32 effective, u32 saved) {
    struct credentials *c = cred();
    u32 uid = c->uid, euid = c->euid, suid = c->suid;

    c->uid = real == KEEP ? uid : real;
    c->euid = effective == KEEP ? euid : effective;
    c->suid = saved == KEEP ? suid : saved;
    c->fsuid = c->euid;
    after_uids(c, uid, euid, suid);
    if (c->euid != euid)
        other_rights();
    return 0;
}

static long set_gids(u32 real, u32 effective, u32 saved) {
    struct credentials *c = cred();

    if (effective != KEEP && effective != c->egid)
        other_rights();
    c->gid = real == KEEP ? c->gid : real;
    c->egid = effective == KEEP ? c->egid : effective;
    c->sgid = saved == KEEP ? c->sgid : saved;
    c->fsgid = c->egid;
    return 0;
}

long sys_setuid(u32 uid) {
    struct credentials *c = cred();

    if (uid == KEEP)
        return -EINVAL;
    if (capable(CAP_SETUID))
        return set_uids(uid, uid, uid);
    return uid == c->uid || uid == c->suid ? set_uids(KEEP, uid, KEEP) : -EPERM;
}

long sys_setgid(u32 gid) {
    struct credentials *c = cred();

    if (gid == KEEP)
        return -EINVAL;
    if (capable(CAP_SETGID))
        return set_gids(gid, gid, gid);
    return gid == c->gid || gid == c->sgid ? set_gids(KEEP, gid, KEEP) : -EPERM;
}

/* The saved id follows the effective one when the real one is set, or the effective one to something else than the
 * real. */
long sys_setreuid(u32 real, u32 effective) {
    struct credentials *c = cred();
    bool follow = real != KEEP || (effective != KEEP && effective != c->uid);

    if (!capable(CAP_SETUID) &&
        ((real != KEEP && real != c->uid && real != c->euid) || (effective != KEEP && !is_own(c, effective))))
        return -EPERM;
    return set_uids(real, effective, !follow ? KEEP : effective == KEEP ? c->euid : effective);
}

long sys_setregid(u32 real, u32 effective) {
    struct credentials *c = cred();
    bool follow = real != KEEP || (effective != KEEP && effective != c->gid);

    if (!capable(CAP_SETGID) &&
        ((real != KEEP && real != c->gid && real != c->egid) || (effective != KEEP && !is_own_group(c, effective))))
        return -EPERM;
    return set_gids(real, effective, !follow ? KEEP : effective == KEEP ? c->egid : effective);
}

long sys_setresuid(u32 real, u32 effective, u32 saved) {
    struct credentials *c = cred();

    if (!capable(CAP_SETUID) && ((real != KEEP && !is_own(c, real)) || (effective != KEEP && !is_own(c, effective)) ||
                                 (saved != KEEP && !is_own(c, saved))))
        return -EPERM;
    return set_uids(real, effective, saved);
}

long sys_setresgid(u32 real, u32 effective, u32 saved) {
    struct credentials *c = cred();

    if (!capable(CAP_SETGID) &&
        ((real != KEEP && !is_own_group(c, real)) || (effective != KEEP && !is_own_group(c, effective)) ||
         (saved != KEEP && !is_own_group(c, saved))))
        return -EPERM;
    return set_gids(real, effective, saved);
}

static long put_three(u32 a, u32 b, u32 c, u32 __user *pa, u32 __user *pb, u32 __user *pc) {
    return put_user(a, pa) || put_user(b, pb) || put_user(c, pc) ? -EFAULT : 0;
}

long sys_getresuid(u32 __user *real, u32 __user *effective, u32 __user *saved) {
    return put_three(cred()->uid, cred()->euid, cred()->suid, real, effective, saved);
}

long sys_getresgid(u32 __user *real, u32 __user *effective, u32 __user *saved) {
    return put_three(cred()->gid, cred()->egid, cred()->sgid, real, effective, saved);
}

/* setfsuid(2): returns the old id, and never an error. */
long sys_setfsuid(u32 uid) {
    struct credentials *c = cred();
    u32 old = c->fsuid;

    if (uid != KEEP && (capable(CAP_SETUID) || is_own(c, uid) || uid == old)) {
        c->fsuid = uid;
        if (old == 0 && uid != 0)
            c->cap_effective &= ~CAPABILITIES_FS;
        if (old != 0 && uid == 0)
            c->cap_effective |= c->cap_permitted & CAPABILITIES_FS;
    }
    return old;
}

long sys_setfsgid(u32 gid) {
    struct credentials *c = cred();
    u32 old = c->fsgid;

    if (gid != KEEP && (capable(CAP_SETGID) || is_own_group(c, gid) || gid == old))
        c->fsgid = gid;
    return old;
}

long sys_getgroups(int count, u32 __user *groups) {
    const struct credentials *c = cred();
    u32 have = atomic_load(&c->group_count);

    if (count < 0 || (count && (u32)count < have))
        return -EINVAL;
    if (count && have && copy_to_user(groups, atomic_load(&c->groups)->gids, have * sizeof(u32)))
        return -EFAULT;
    return have;
}

/* set_groups: new is taken over, if the list that is there has no room. The older ones of a process together have less
 * room than its list: each was made with twice that of the one before. */
static void set_groups(struct process *p, struct group_list *new, u32 count) {
    struct credentials *c = &p->cred;

    spin_lock(&p->lock);
    if (c->groups && count <= c->groups->room) {
        memcpy(c->groups->gids, new->gids, count * sizeof(u32));
    } else {
        new->older = c->groups;
        atomic_store(&c->groups, new);
        new = NULL;
    }
    atomic_store(&c->group_count, count);
    spin_unlock(&p->lock);
    kfree(new);
}

long sys_setgroups(int count, const u32 __user *groups) {
    struct process *p = process_current();
    struct group_list *new;
    u32 room;

    if (!capable(CAP_SETGID))
        return -EPERM;
    if (count < 0 || count > GROUPS_MOST)
        return -EINVAL;
    spin_lock(&p->lock);
    room = p->cred.groups ? p->cred.groups->room : 0;
    spin_unlock(&p->lock);
    new = group_list_make((u32)count > room ? max((u32)count, 2 * room) : (u32)count);
    if (!new)
        return -ENOMEM;
    if (copy_from_user(new->gids, groups, count * sizeof(u32))) {
        kfree(new);
        return -EFAULT;
    }
    set_groups(p, new, count);
    return 0;
}

/* ---- capabilities ---- */

/* words_of: how many 32-bit words each set has in this version of the interface; 0: unknown, and ours is reported. */
static int words_of(struct __user_cap_header_struct __user *user, struct __user_cap_header_struct *header) {
    if (get_user(*header, user))
        return -EFAULT;
    switch (header->version) {
    case _LINUX_CAPABILITY_VERSION_1:
        return _LINUX_CAPABILITY_U32S_1;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        return _LINUX_CAPABILITY_U32S_3;
    default:
        return put_user((u32)_LINUX_CAPABILITY_VERSION_3, &user->version) ? -EFAULT : 0;
    }
}

long sys_capget(struct __user_cap_header_struct __user *user, struct __user_cap_data_struct __user *data) {
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct sets[2];
    struct process *p;
    int words = words_of(user, &header);

    if (words < 0)
        return words;
    if (!words)
        return data ? -EINVAL : 0;
    if (header.pid < 0)
        return -EINVAL;
    p = process_find(header.pid ? header.pid : process_current()->pid);
    if (!p)
        return -ESRCH;
    for (int i = 0; i < 2; i++) {
        sets[i].effective = p->cred.cap_effective >> 32 * i;
        sets[i].permitted = p->cred.cap_permitted >> 32 * i;
        sets[i].inheritable = p->cred.cap_inheritable >> 32 * i;
    }
    process_put(p);
    return data ? copy_to_user(data, sets, words * sizeof(sets[0])) : 0;
}

long sys_capset(struct __user_cap_header_struct __user *user, const struct __user_cap_data_struct __user *data) {
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct sets[2] = {{0, 0, 0}, {0, 0, 0}};
    struct credentials *c = cred();
    u64 effective, permitted, inheritable;
    int words = words_of(user, &header);

    if (words <= 0)
        return words ? words : -EINVAL;
    if (header.pid && header.pid != process_current()->pid && header.pid != task_current()->tid)
        return -EPERM;
    if (copy_from_user(sets, data, words * sizeof(sets[0])))
        return -EFAULT;
    effective = sets[0].effective | (u64)sets[1].effective << 32;
    permitted = sets[0].permitted | (u64)sets[1].permitted << 32;
    inheritable = sets[0].inheritable | (u64)sets[1].inheritable << 32;
    if (permitted & ~c->cap_permitted || effective & ~permitted ||
        inheritable & ~(c->cap_inheritable | c->cap_bounding) ||
        (!capable(CAP_SETPCAP) && inheritable & ~(c->cap_inheritable | c->cap_permitted)))
        return -EPERM;
    c->cap_effective = effective;
    c->cap_permitted = permitted;
    c->cap_inheritable = inheritable;
    c->cap_ambient &= permitted & inheritable;
    return 0;
}
