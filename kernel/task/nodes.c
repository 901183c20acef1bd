/* nodes.c - the table of the mappings' policies on memory nodes: a view has only room for a number.
 *
 * A program of one node has few, so an entry stays for good once it was asked for. */
#include "task/nodes.h"

#include "lib/sync.h"
#include "vm/space.h"

#define POLICIES 64u                            /* that VIEW_POLICY can tell apart */
static struct memory_policy policies[POLICIES]; /* the first is MPOL_DEFAULT; those below policy_count do not change */
static u32 policy_count = 1;                    /* under the lock */
static struct spin policies_lock = SPIN_INIT;

long policy_view_bits(const struct memory_policy *p) {
    spin_lock(&policies_lock);
    u32 i = 0;
    while (i < policy_count &&
           (policies[i].mode != p->mode || policies[i].flags != p->flags || policies[i].nodes != p->nodes))
        i++;
    if (i == policy_count && i < POLICIES)
        policies[policy_count++] = *p;
    spin_unlock(&policies_lock);
    return i < POLICIES ? (long)i << VIEW_POLICY_SHIFT : -ENOMEM;
}

struct memory_policy policy_of_view(const struct view *v) {
    return policies[v->flags >> VIEW_POLICY_SHIFT];
}
