/* protect.c - mprotect(2) and protection keys: pkey_alloc(2), pkey_free, pkey_mprotect.
 *
 * A key is a number in each view, and in each entry of the page table; what the thread may do with memory of that key
 * is in a register of its own (PKRU) that the program changes without us. Which keys are in use is kept with the space.
 * Memory that may only be executed gets a key of its own, to which the caller's thread then has no access: without a
 * key the hardware would let it be read. */
#include <linux/mman.h>

#include "arch/x86_64/cpu.h"
#include "sys/mm.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/space.h"

#define KEYS 16
#define KEY_RIGHTS 3u /* PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE */

static void set_rights(int key, u32 rights) {
    arch_key_rights_set((arch_key_rights() & ~(KEY_RIGHTS << 2 * key)) | rights << 2 * key);
}

/* The lowest free key, now in use; -ENOSPC. Key 0 is in use from the start, so its bit is kept the other way round. */
static int take_key(struct space_info *info) {
    u16 keys = atomic_load(&info->keys), now;
    int key;
    if (!arch_has_keys())
        return -ENOSPC;
    do {
        key = __builtin_ctz(~(u32)(keys ^ 1));
        now = keys ^ (u16)(1u << key);
    } while (key < KEYS &&
             !__atomic_compare_exchange_n(&info->keys, &keys, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return key < KEYS ? key : -ENOSPC;
}

static bool is_taken(const struct space_info *info, int key) {
    return key >= 0 && key < KEYS && (!key || key != info->execute_key) && (atomic_load(&info->keys) ^ 1) >> key & 1;
}

u32 execute_only(struct space *s) {
    struct space_info *info = space_info(s);
    int key = atomic_load(&info->execute_key);
    if (!key && (key = take_key(info)) > 0 && !atomic_cas(&info->execute_key, 0, (u8)key)) {
        atomic_and(&info->keys, (u16) ~(1u << key)); /* another thread was first: the space has one such key */
        key = atomic_load(&info->execute_key);
    }
    if (key <= 0)
        return 0;
    if (!(arch_key_rights() >> 2 * key & PKEY_DISABLE_ACCESS))
        set_rights(key, PKEY_DISABLE_ACCESS);
    return (u32)key << VIEW_KEY_SHIFT;
}

long sys_pkey_alloc(u64 flags, u64 rights) {
    if (flags || (rights & ~(u64)KEY_RIGHTS))
        return -EINVAL;
    int key = take_key(space_info(process_current()->space));
    if (key >= 0)
        set_rights(key, rights);
    return key;
}

long sys_pkey_free(int key) {
    struct space_info *info = space_info(process_current()->space);
    if (!is_taken(info, key))
        return -EINVAL;
    if (key)
        atomic_and(&info->keys, (u16) ~(1u << key));
    else
        atomic_or(&info->keys, (u16)1);
    return 0;
}

/* The mapping that holds the first mapped page from `address` on, with its true start. */
static bool mapping_at(struct space *s, u64 address, u64 *start, u64 *end, u32 *flags) {
    struct mapping m;
    bool found = false;
    for (u64 at = 0; !found && space_walk(s, at, &m); at = m.end) {
        found = m.end > address;
        *start = m.start, *end = m.end, *flags = m.view->flags;
        space_walk_end(&m);
    }
    return found;
}

/* PROT_GROWSDOWN: the change begins where the mapping does; PROT_GROWSUP: no mapping grows up here. */
static int extend(struct space *s, u64 prot, u64 *address, u64 end) {
    u64 start = 0, stop = 0;
    u32 flags = 0;
    bool down = prot & PROT_GROWSDOWN;
    if (*address >= USER_TOP || !mapping_at(s, *address, &start, &stop, &flags) || start >= end ||
        (!down && start > *address))
        return -ENOMEM;
    if (!down || !(flags & VIEW_GROWSDOWN))
        return -EINVAL;
    *address = start;
    return 0;
}

static long protect(u64 address, u64 bytes, u64 prot, int key) {
    struct space *s = limited_space();
    struct space_info *info = space_info(s);
    u64 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP), end = address + page_align_up(bytes);
    if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || address % PAGE_SIZE)
        return -EINVAL;
    if (!bytes)
        return 0;
    if (end <= address)
        return -ENOMEM;
    if (prot & ~(u64)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP))
        return -EINVAL;
    if (key != -1 && !is_taken(info, key))
        return -EINVAL;
    int error = grows ? extend(s, prot, &address, end) : 0;
    if (error)
        return error;
    u32 wanted = view_prot(prot), set = KEY_STAYS, leaves = 0;
    if (key != -1)
        set = (u32)key << VIEW_KEY_SHIFT;
    else if (wanted == VIEW_EXEC)
        set = execute_only(s) ? execute_only(s) : KEY_STAYS;
    else if (info->execute_key)
        leaves = VIEW_EXEC | (u32)info->execute_key << VIEW_KEY_SHIFT;
    return space_protect_key(s, address, end - address, wanted, set, leaves);
}

long sys_mprotect(u64 address, u64 bytes, u64 prot) { return protect(address, bytes, prot, -1); }
long sys_pkey_mprotect(u64 address, u64 bytes, u64 prot, int key) { return protect(address, bytes, prot, key); }
