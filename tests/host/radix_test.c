/* radix_test.c - the tree of pages against an array. */
#include "host.h"

#define BARE                                                                                                           \
    (struct host_config) { .bare = true }

static int insert(struct radix *r, u64 index, void *value) {
    struct radix_reserve stock = {0};
    int error;
    do
        error = radix_reserve(&stock, 0);
    while (!error && (error = radix_insert(r, index, value, &stock)) == -ENOMEM);
    radix_release(&stock);
    return error;
}

test(radix_one_page_costs_nothing) {
    machine_start(BARE);
    struct radix r = {0};
    int x, y;
    check(radix_find(&r, 0) == NULL && radix_find(&r, 5) == NULL);
    check_eq(insert(&r, 0, &x), 0);
    check_eq(radix_nodes_live(), 0);
    check_eq(r.height, 0);
    check(radix_find(&r, 0) == &x && radix_find(&r, 1) == NULL);
    check_eq(insert(&r, 0, &y), -EEXIST);
    check(radix_replace(&r, 0, &y) == &x);
    check_eq(insert(&r, 1ULL << 51, &x), 0);
    check(radix_find(&r, 0) == &y && radix_find(&r, 1ULL << 51) == &x);
    check(radix_remove(&r, 1ULL << 51) == &x);
    check_eq(radix_nodes_live(), 0);
    check_eq(r.height, 0);
    check(radix_remove(&r, 0) == &y);
    check(radix_remove(&r, 0) == NULL && r.root == NULL);
}

test(radix_insert_says_what_it_wants) {
    machine_start(BARE);
    struct radix r = {0};
    struct radix_reserve stock = {0};
    int x;
    check_eq(radix_insert(&r, 70, &x, &stock), -ENOMEM);
    check_eq(stock.wanted, 2);
    check(r.root == NULL && r.height == 0);
    alloc_fail_at(2);
    check_eq(radix_reserve(&stock, 0), -ENOMEM);
    check_eq(radix_reserve(&stock, 0), 0);
    check_eq(radix_insert(&r, 70, &x, &stock), 0);
    check_eq(stock.count, 0);
    radix_release(&stock);
    radix_remove(&r, 70);
    check_eq(radix_nodes_live(), 0);
}

#define PLACES 200
test_seeds(radix_like_an_array, 20) {
    machine_start(BARE);
    struct radix r = {0};
    static u64 index[PLACES];
    static bool in[PLACES];
    static char values[PLACES];
    for (unsigned i = 0; i < PLACES; i++) { /* near and far, sorted, different */
        u64 step = one_in(8) ? rnd() >> (16 + rnd_below(40)) : rnd_below(3) + 1;
        index[i] = (i ? index[i - 1] : 0) + min(step, 1ULL << 50);
        if (!i)
            index[0] = rnd_below(3);
    }
    for (unsigned step = 0; step < 2000; step++) {
        unsigned i = (unsigned)rnd_below(PLACES);
        if (index[i] >> 60)
            continue;
        if (in[i])
            check(radix_remove(&r, index[i]) == &values[i]);
        else
            check_eq(insert(&r, index[i], &values[i]), 0);
        in[i] = !in[i];
        u64 from = rnd_below(2) ? index[rnd_below(PLACES)] + rnd_below(3) - 1 : 0, at;
        unsigned k = 0;
        void *value = NULL;
        while (k < PLACES && (!in[k] || index[k] < from))
            k++;
        if (from == ~0ULL)
            continue;
        at = radix_next(&r, from, &value);
        check_eq(at, k < PLACES ? index[k] : RADIX_NONE);
        check(value == (k < PLACES ? &values[k] : NULL));
        k = (unsigned)rnd_below(PLACES);
        check(radix_find(&r, index[k]) == (in[k] ? &values[k] : NULL));
    }
    for (unsigned i = 0; i < PLACES; i++)
        if (in[i])
            check(radix_remove(&r, index[i]) == &values[i]);
    check(r.root == NULL);
    check_eq(radix_nodes_live(), 0);
}
