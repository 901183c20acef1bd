/* mempolicy.c - on which memory nodes pages shall be: set_mempolicy(2), mbind(2) and their kin, for a machine of one
 * node.
 *
 * A policy can change nothing here, but it is checked, kept and told as on Linux: a thread's in its task, a mapping's
 * in its view. So a set of nodes is node 0 or empty, but for what was asked for by STATIC, RELATIVE or NUMA_BALANCING.
 */
#include <linux/capability.h>
#include <linux/mempolicy.h>

#include "fs/synth.h"
#include "sys/mm.h"
#include "sys/sys.h"
#include "task/nodes.h"
#include "task/task.h"
#include "vm/space.h"

#define NODES_MOST 1024 /* that Debian's kernels are built for */
#define USER_NODES (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)

/* get_nodes: the first word of the user's mask, and whether any node above it is named. -EINVAL: more than there can
 * be; -EFAULT. */
static int get_nodes(const u64 __user *mask, u64 count, u64 *nodes, bool *more) {
    *nodes = 0;
    *more = false;
    count--;
    if (!count || !mask)
        return 0;
    if (count > PAGE_SIZE * 8)
        return -EINVAL;
    for (u64 i = 0; i * 64 < count; i++) {
        u64 word;
        if (get_user(word, mask + i))
            return -EFAULT;
        if (count - i * 64 < 64)
            word &= (1UL << (count - i * 64)) - 1;
        if (word && i * 64 >= NODES_MOST)
            return -EINVAL;
        if (i)
            *more |= word != 0;
        else
            *nodes = word;
    }
    return 0;
}

/* A policy from what the user said: mempolicy(7). -EINVAL. */
static int make_policy(int mode, const u64 __user *mask, u64 count, struct memory_policy *out) {
    u32 flags = (u32)mode & MPOL_MODE_FLAGS, user = flags & USER_NODES;
    u64 nodes;
    bool more;
    mode &= ~MPOL_MODE_FLAGS;
    if ((u32)mode >= MPOL_MAX || user == USER_NODES || ((flags & MPOL_F_NUMA_BALANCING) && mode != MPOL_BIND))
        return -EINVAL;
    int error = get_nodes(mask, count, &nodes, &more);
    if (error)
        return error;
    bool empty = !nodes && !more;
    if (mode == MPOL_DEFAULT && empty) {
        *out = (struct memory_policy){.mode = MPOL_DEFAULT};
        return 0;
    }
    if (mode == MPOL_PREFERRED && empty && !user)
        mode = MPOL_LOCAL;
    if (mode == MPOL_DEFAULT || empty != (mode == MPOL_LOCAL) || (mode == MPOL_LOCAL && user))
        return -EINVAL;
    if (mode != MPOL_LOCAL && !(nodes & 1) && !(flags & MPOL_F_RELATIVE_NODES))
        return -EINVAL; /* only nodes that there are not */
    *out = (struct memory_policy){.mode = mode, .flags = flags, .nodes = flags ? nodes : nodes & 1};
    return 0;
}

/* ---- of a mapping: in the view's flags (task/nodes.c) ---- */

/* What covers [start, end), until `visit` says otherwise than 0. -EFAULT: a hole. */
static long each_covering(u64 start, u64 end, bool holes, long (*visit)(const struct mapping *m)) {
    struct mapping m;
    long result = 0;
    for (u64 at = start; at < end && !result; at = m.end) {
        if (at >= USER_TOP || !space_walk(process_current()->space, at, &m))
            return holes ? 0 : -EFAULT;
        if (m.start > at && !holes)
            result = -EFAULT;
        else if (m.start < end && visit)
            result = visit(&m);
        space_walk_end(&m);
    }
    return result;
}

static int page_range(u64 start, u64 bytes, u64 *end) {
    *end = start + page_align_up(bytes);
    return start % PAGE_SIZE || *end < start ? -EINVAL : 0;
}

static long is_there(const struct mapping *m) { return 1; }

long sys_mbind(u64 start, u64 bytes, int mode, const u64 __user *mask, u64 count, u32 flags) {
    struct memory_policy p;
    u64 end;
    int checked = (mode & ~MPOL_MODE_FLAGS) == MPOL_DEFAULT && !mask ? 0 : make_policy(mode, mask, count, &p);
    if (checked == -EFAULT || (u32)(mode & ~MPOL_MODE_FLAGS) >= MPOL_MAX)
        return checked ? checked : -EINVAL;
    if (flags & ~(u32)MPOL_MF_VALID)
        return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE))
        return -EPERM;
    if (page_range(start, bytes, &end))
        return -EINVAL;
    if (end == start)
        return 0;
    checked = make_policy(mode, mask, count, &p);
    if (checked)
        return checked;
    bool holes = p.mode == MPOL_DEFAULT; /* they have it, if something else is mapped */
    long result = each_covering(start, end, holes, holes ? is_there : NULL);
    result = holes ? (result > 0 ? 0 : -EFAULT) : result;
    long bits = result ? 0 : policy_view_bits(&p);
    if (bits < 0)
        return bits;
    if (!result)
        result = space_change(process_current()->space, start, min(end, USER_TOP) - start, bits,
                              VIEW_POLICY & ~(u32)bits); /* what lies above is one more hole */
    return result == -ENOMEM && holes ? 0 : result;
}

static long takes_home(const struct mapping *m) {
    u32 mode = policy_of_view(m->view).mode;
    return mode == MPOL_DEFAULT ? 0 : mode == MPOL_BIND || mode == MPOL_PREFERRED_MANY ? 1 : -EOPNOTSUPP;
}

long sys_set_mempolicy_home_node(u64 start, u64 bytes, u64 node, u64 flags) {
    u64 end;
    if (start % PAGE_SIZE || flags || node || page_range(start, bytes, &end))
        return -EINVAL;
    if (end == start)
        return 0;
    long result = each_covering(start, end, true, takes_home); /* there is only one home */
    return result > 0 ? 0 : result ? result : -ENOENT;
}

/* ---- of a thread ---- */

long sys_set_mempolicy(int mode, const u64 __user *mask, u64 count) {
    struct memory_policy p;
    int error = make_policy(mode, mask, count, &p);
    if (!error)
        task_current()->policy_of_memory = p;
    return error;
}

static int put_nodes(u64 __user *mask, u64 count, u64 nodes) {
    u64 bytes = align_up(count - 1, 64UL) / 8;
    if (bytes > PAGE_SIZE)
        return -EINVAL;
    if (bytes > sizeof(nodes) && clear_user(mask + 1, bytes - sizeof(nodes)))
        return -EFAULT;
    return bytes && copy_to_user(mask, &nodes, sizeof(nodes)) ? -EFAULT : 0;
}

/* The policy that get_mempolicy asks for. -EFAULT, -EINVAL. */
static int find_policy(u64 address, u64 flags, struct memory_policy *p) {
    struct mapping m;
    *p = task_current()->policy_of_memory;
    if (!(flags & MPOL_F_ADDR))
        return address ? -EINVAL : 0;
    struct space *s = process_current()->space;
    if (address >= USER_TOP || !space_walk(s, address & PAGE_MASK, &m))
        return -EFAULT;
    bool there = m.start <= address;
    if (there)
        *p = policy_of_view(m.view);
    space_walk_end(&m);
    return there ? 0 : -EFAULT;
}

long sys_get_mempolicy(int __user *mode, u64 __user *mask, u64 count, u64 address, u64 flags) {
    struct memory_policy p = {0};
    int value = 0, error = 0;
    if (mask && count < 1)
        return -EINVAL;
    if (flags & ~(u64)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
        return -EINVAL;
    if ((flags & MPOL_F_MEMS_ALLOWED) && (flags & (MPOL_F_NODE | MPOL_F_ADDR)))
        return -EINVAL;
    if (flags & MPOL_F_MEMS_ALLOWED)
        p.nodes = 1;
    else
        error = find_policy(address, flags, &p);
    if (!error && (flags & MPOL_F_NODE)) {
        if (flags & MPOL_F_ADDR)
            error = space_fault(process_current()->space, address, FAULT_READ) == FAULT_DONE ? 0 : -EFAULT;
        else
            error = p.mode == MPOL_INTERLEAVE ? 0 : -EINVAL;
    } else {
        value = p.mode | p.flags;
    }
    if (!error && mode)
        error = put_user(value, mode);
    return !error && mask ? put_nodes(mask, count, p.nodes) : error;
}

/* ---- moving pages: all are where they can be ---- */

/* The process, counted, for who may look at its memory. err_ptr: -ESRCH, -EPERM. */
static struct process *reach(int pid) {
    struct process *p = pid ? process_find(pid) : process_current();
    if (!p)
        return err_ptr(-ESRCH);
    if (!pid)
        process_get(p);
    if (may_inspect(p))
        return p;
    process_put(p);
    return err_ptr(-EPERM);
}

/* What a page's status is: its node, or why it has none. */
static int status_of(struct space *s, u64 address) {
    u64 frame;
    u32 state = address < USER_TOP ? space_present(s, address, &frame) : 0;
    if (!(state & PAGE_MAPPED))
        return -EFAULT;
    if (state & PAGE_ZERO)
        return -EFAULT; /* the zero frame is on no node */
    return state & PAGE_PRESENT ? 0 : state & PAGE_ANONYMOUS ? -EFAULT : -ENOENT;
}

static int move_one(struct space *s, const u64 __user *pages, const int __user *nodes, int __user *status, u64 i) {
    u64 address;
    int node = 0;
    if (get_user(address, pages + i) || (nodes && get_user(node, nodes + i)))
        return -EFAULT;
    if (node)
        return -ENODEV;
    return put_user(status_of(s, address & PAGE_MASK), status + i);
}

long sys_move_pages(int pid, u64 count, const u64 __user *pages, const int __user *nodes, int __user *status,
                    int flags) {
    if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE))
        return -EPERM;
    struct process *p = reach(pid);
    if (is_err(p))
        return ptr_err(p);
    struct space *s = process_space(p);
    int error = s ? 0 : -EINVAL;
    for (u64 i = 0; i < count && !error; i++)
        error = move_one(s, pages, nodes, status, i);
    if (s)
        space_put(s);
    process_put(p);
    return error;
}

long sys_migrate_pages(int pid, u64 count, const u64 __user *from, const u64 __user *to) {
    u64 old, new;
    bool more_old, more_new;
    int error = get_nodes(from, count, &old, &more_old);
    if (!error)
        error = get_nodes(to, count, &new, &more_new);
    if (error)
        return error;
    struct process *p = reach(pid);
    if (is_err(p))
        return ptr_err(p);
    if ((new & ~1UL || more_new) && !capable(CAP_SYS_NICE))
        error = -EPERM;
    else if (!(new & 1))
        error = -EINVAL;
    process_put(p);
    return error;
}
