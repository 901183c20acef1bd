/* radix.c - the tree behind radix.h. Invariants: no node is empty; the root node has more than its slot 0 taken (else
 * the tree is a level lower), so heights fit what is inside. */
#include "vm/radix.h"

#include "vm/slab.h"

#define FANOUT (1u << RADIX_BITS)

struct radix_node {
    u64 present; /* bit i: slot[i] is taken */
    void *slot[FANOUT];
};
_Static_assert(FANOUT == 64, "one bit of `present` each");

static struct slab_cache *node_cache;

static unsigned shift_of(u32 level) { return RADIX_BITS * (level - 1); }
static unsigned slot_of(u64 index, u32 level) { return (index >> shift_of(level)) & (FANOUT - 1); }
static bool covers(u32 height, u64 index) { return !(index >> (RADIX_BITS * height)); }

int radix_reserve(struct radix_reserve *stock, unsigned nodes) {
    int error = 0;
    nodes = max(nodes, stock->wanted);
    while (!error && stock->count < nodes) {
        struct radix_node *n = slab_alloc_zeroed(node_cache);
        if (n) {
            n->slot[0] = stock->nodes;
            stock->nodes = n;
            stock->count++;
        } else {
            error = -ENOMEM;
        }
    }
    return error;
}

void radix_release(struct radix_reserve *stock) {
    while (stock->nodes) {
        struct radix_node *n = stock->nodes;
        stock->nodes = n->slot[0];
        slab_free(node_cache, n);
    }
    stock->count = stock->wanted = 0;
}

static struct radix_node *node_take(struct radix_reserve *stock) {
    struct radix_node *n = stock->nodes;
    stock->nodes = n->slot[0];
    stock->count--;
    n->slot[0] = NULL;
    return n;
}

static void slot_set(struct radix_node *n, unsigned i, void *value) {
    n->slot[i] = value;
    n->present |= 1ULL << i;
}

/* room_of: where the pointer to the value of `index` is kept, or would be; NULL: the path to it does not exist. */
static void **room_of(const struct radix *r, u64 index) {
    void **place = (void **)&r->root;
    if (!covers(r->height, index))
        return NULL;
    for (u32 level = r->height; level; level--) {
        if (!*place)
            return NULL;
        place = &((struct radix_node *)*place)->slot[slot_of(index, level)];
    }
    return place;
}

/* place_of: where it is kept, or NULL: there is no such value. */
static void **place_of(const struct radix *r, u64 index) {
    void **place = room_of(r, index);
    return place && *place ? place : NULL;
}

void *radix_find(const struct radix *r, u64 index) {
    void **place = place_of(r, index);
    return place ? *place : NULL;
}

void *const *radix_row(const struct radix *r, u64 index, unsigned *count) {
    unsigned left = r->height ? FANOUT - slot_of(index, 1) : 1; /* in the node that has it, or would */
    *count = min(*count, left);
    return room_of(r, index);
}

void *radix_replace(struct radix *r, u64 index, void *value) {
    void **place = place_of(r, index);
    assert(place && value);
    void *old = *place;
    *place = value;
    return old;
}

/* nodes_needed: how many nodes an insertion at `index`, which is free, takes. */
static unsigned nodes_needed(const struct radix *r, u64 index) {
    unsigned above = 0, missing;
    u32 height = r->height;
    while (!covers(height, index))
        height++;
    if (!r->root)
        return height;
    above = height - r->height; /* new roots, one on top of the other */
    if (above) /* the highest of them begins the path to the index: from there down all is new, if it is not under slot
                  0 */
        return above + (height - 1);
    missing = height;
    const void *n = r->root;
    for (u32 level = height; level && n; level--, missing--)
        n = ((const struct radix_node *)n)->slot[slot_of(index, level)];
    return missing;
}

int radix_insert(struct radix *r, u64 index, void *value, struct radix_reserve *stock) {
    assert(value && covers(RADIX_HEIGHT_MOST, index));
    if (radix_find(r, index))
        return -EEXIST;
    stock->wanted = nodes_needed(r, index);
    if (stock->count < stock->wanted)
        return -ENOMEM;
    stock->wanted = 0;
    while (!covers(r->height, index)) {
        if (r->root) {
            struct radix_node *top = node_take(stock);
            slot_set(top, 0, r->root);
            r->root = top;
        }
        r->height++;
    }
    struct radix_node *above = NULL;
    void **place = &r->root;
    for (u32 level = r->height; level; level--) {
        if (!*place) {
            struct radix_node *n = node_take(stock);
            if (above)
                slot_set(above, slot_of(index, level + 1), n);
            else
                r->root = n;
        }
        above = *place;
        place = &above->slot[slot_of(index, level)];
    }
    if (above)
        slot_set(above, slot_of(index, 1), value);
    else
        r->root = value;
    return 0;
}

void *radix_remove(struct radix *r, u64 index) {
    struct radix_node *path[RADIX_HEIGHT_MOST + 1]; /* by level */
    void **place = place_of(r, index);
    if (!place)
        return NULL;
    void *value = *place;
    void *n = r->root;
    for (u32 level = r->height; level; level--) {
        path[level] = n;
        n = path[level]->slot[slot_of(index, level)];
    }
    u32 level = 1;
    for (; level <= r->height; level++) {
        struct radix_node *node = path[level];
        unsigned i = slot_of(index, level);
        node->slot[i] = NULL;
        node->present &= ~(1ULL << i);
        if (node->present)
            break;
        slab_free(node_cache, node);
    }
    if (level > r->height) {
        r->root = NULL;
        r->height = 0;
    }
    while (r->height && ((struct radix_node *)r->root)->present == 1) {
        struct radix_node *top = r->root;
        r->root = top->slot[0];
        r->height--;
        slab_free(node_cache, top);
    }
    return value;
}

u64 radix_next(const struct radix *r, u64 from, void **value) {
    const struct radix_node *n = r->root;
    void *found = NULL;
    u32 level = r->height;
    if (!n || !covers(level, from))
        level = 0;
    else if (!level)
        found = (void *)n;
    /* Down along `from`; where nothing is left at or after it, on to the next node's first index, from the top again:
     * at most once for each level, since no node is empty. */
    while (level) {
        unsigned shift = shift_of(level), i = slot_of(from, level);
        u64 here = n->present & (~0ULL << i);
        if (!here) {
            from = ((from >> (shift + RADIX_BITS)) + 1) << (shift + RADIX_BITS);
            level = covers(r->height, from) ? r->height : 0;
            n = r->root;
            continue;
        }
        unsigned first = (unsigned)__builtin_ctzll(here);
        if (first != i)
            from = ((from >> shift) + (first - i)) << shift;
        if (level == 1)
            found = n->slot[first];
        n = n->slot[first];
        level--;
    }
    if (value)
        *value = found;
    return found ? from : RADIX_NONE;
}

void radix_init(void) { node_cache = slab_create("radix-node", sizeof(struct radix_node), sizeof(u64)); }
u64 radix_nodes_live(void) { return slab_live(node_cache); }
