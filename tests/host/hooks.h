/* hooks.h - included before everything else in each file of kernel/vm that is compiled for the host: every atomic
 * operation and every lock becomes a place where the other CPUs may run for a while, so that a seed decides the
 * interleaving.
 *
 * The kernel's files are the kernel's own, unchanged: a function-like macro is not expanded again inside itself, so the
 * builtins below still are the compiler's. */
#pragma once

#include <sys/types.h>

#include "lib/base.h"
#include "lib/sync.h"

void host_step(void);              /* fiber.c: perhaps let another CPU run */
void host_lock(struct spin *lock); /* spin_lock and spin_unlock that know how many locks the fiber holds */
bool host_try(struct spin *lock);
void host_unlock(struct spin *lock);

#define __atomic_load_n(...) (host_step(), __atomic_load_n(__VA_ARGS__))
#define __atomic_store_n(...) (host_step(), __atomic_store_n(__VA_ARGS__))
#define __atomic_exchange_n(...) (host_step(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_fetch_and(...) (host_step(), __atomic_fetch_and(__VA_ARGS__))
#define __atomic_fetch_or(...) (host_step(), __atomic_fetch_or(__VA_ARGS__))
#define __atomic_add_fetch(...) (host_step(), __atomic_add_fetch(__VA_ARGS__))
#define __atomic_sub_fetch(...) (host_step(), __atomic_sub_fetch(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (host_step(), __atomic_compare_exchange_n(__VA_ARGS__))
#define spin_lock(lock) host_lock(lock)
#define spin_try(lock) host_try(lock)
#define spin_unlock(lock) host_unlock(lock)
