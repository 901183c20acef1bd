/* nodes.h - on which memory nodes pages shall be: a thread's policy, or a mapping's (sys/mempolicy.c). */
#pragma once

#include "lib/base.h"

struct view;

struct memory_policy {
    u8 mode;   /* MPOL_* */
    u16 flags; /* MPOL_F_STATIC_NODES, RELATIVE_NODES, NUMA_BALANCING */
    u64 nodes;
};

/* policy_view_bits: what says this policy in a view's flags (VIEW_POLICY). -ENOMEM: more were asked for than can be
 * told apart there. Does not sleep. */
long policy_view_bits(const struct memory_policy *p);
/* policy_of_view: back again; MPOL_DEFAULT: it has none of its own. */
struct memory_policy policy_of_view(const struct view *v);
