/* hooks.h - included before everything else in each file of kernel/vm that is compiled for the host: every atomic
 * operation and every lock becomes a place where the other CPUs may run for a while, so that a seed (fiber.c) or the
 * explorer (explore.c) decides the interleaving; and says which word it is about, so that the explorer knows which
 * orders differ.
 *
 * The kernel's files are the kernel's own, unchanged: a function-like macro is not expanded again inside itself, so the
 * builtins below still are the compiler's. */
#pragma once

#include <sys/types.h>

#include "lib/base.h"
#include "lib/sync.h"
#include "point.h"

void host_lock(struct spin *lock); /* spin_lock and spin_unlock that know how many locks the fiber holds */
bool host_try(struct spin *lock);
void host_unlock(struct spin *lock);

#ifndef HOST_THREADS /* threads.c needs no points: real threads interleave by themselves */
#define host_at(op, builtin, p, ...)                                                                                   \
    ({                                                                                                                 \
        __auto_type host_p_ = (p);                                                                                     \
        host_point(op, host_p_, sizeof(*host_p_));                                                                     \
        builtin(host_p_, __VA_ARGS__);                                                                                 \
    })
#define __atomic_load_n(p, ...) host_at(HOST_READ, __atomic_load_n, p, __VA_ARGS__)
#define __atomic_store_n(p, ...) host_at(HOST_WRITE, __atomic_store_n, p, __VA_ARGS__)
#define __atomic_exchange_n(p, ...) host_at(HOST_WRITE, __atomic_exchange_n, p, __VA_ARGS__)
#define __atomic_fetch_add(p, ...) host_at(HOST_WRITE, __atomic_fetch_add, p, __VA_ARGS__)
#define __atomic_fetch_and(p, ...) host_at(HOST_WRITE, __atomic_fetch_and, p, __VA_ARGS__)
#define __atomic_fetch_or(p, ...) host_at(HOST_WRITE, __atomic_fetch_or, p, __VA_ARGS__)
#define __atomic_add_fetch(p, ...) host_at(HOST_WRITE, __atomic_add_fetch, p, __VA_ARGS__)
#define __atomic_sub_fetch(p, ...) host_at(HOST_WRITE, __atomic_sub_fetch, p, __VA_ARGS__)
#define __atomic_compare_exchange_n(p, ...) host_at(HOST_WRITE, __atomic_compare_exchange_n, p, __VA_ARGS__)
#endif
#define spin_lock(lock) host_lock(lock)
#define spin_try(lock) host_try(lock)
#define spin_unlock(lock) host_unlock(lock)
