/* shm.h - System V shared memory: segments, which are files in memory found by a key or by a number (shmget(2)).
 *
 * A segment's file maps like any other; who maps it is not recorded but found by a walk when asked. The table holds one
 * reference to the file until the segment is marked to be removed; then the last detach releases the file, and with it
 * the segment. shm_* functions here may sleep and hold nothing on return. */
#pragma once

#include <asm/shmbuf.h>

#include "fs/ipc.h"

struct space;

/* of linux/shm.h, which needs a C library */
#define SHM_HUGETLB 04000
#define SHM_NORESERVE 010000
#define SHM_RDONLY 010000
#define SHM_RND 020000
#define SHM_REMAP 040000
#define SHM_EXEC 0100000
#define SHM_LOCK 11
#define SHM_UNLOCK 12
#define SHM_STAT 13
#define SHM_INFO 14
#define SHM_STAT_ANY 15
#define SHM_DEST 01000   /* in the mode: marked to be removed */
#define SHM_LOCKED 02000 /* in the mode */

extern u64 shm_max, shm_all, shm_segments_most; /* /proc/sys/kernel/{shmmax, shmall, shmmni} */

struct shm_use {
    u64 used, pages, resident, swapped;
    int highest; /* index in use */
};

/* shm_get: shmget(2). The number, or -errno. */
long shm_get(int key, size_t bytes, int flags);
/* shm_attach: the segment's file, counted, if its rights give `mask` (of 0444, 0222, 0111 bits) to the caller. err_ptr:
 * -EINVAL: no such segment; -EACCES. *bytes: its size. */
struct file *shm_attach(int id, u32 mask, u64 *bytes);
/* shm_stat: what IPC_STAT, SHM_STAT and SHM_STAT_ANY tell (`command`). The return value of shmctl(2), or -errno. */
long shm_stat(int id, int command, struct shmid64_ds *out);
long shm_set(int id, const struct ipc64_perm *from);
long shm_remove(int id);
long shm_lock(int id, bool lock);
void shm_usage(struct shm_use *out);
/* shm_reserved: a file that lives only in memory, for a shared mapping, whose bytes are promised (commit.h) until it is
 * released, if `reserve`. err_ptr(-ENOMEM). */
struct file *shm_reserved(const struct space *s, const char *name, u64 bytes, bool reserve);
bool shm_is_segment(const struct file *f);
/* shm_note: the mappings of segments in [start, end) of the space were just attached or are about to go: their times
 * and the last operator's pid. Looks only at spaces that ever had one. */
void shm_note(struct space *s, u64 start, u64 end, bool attached);
int proc_sysvipc_shm(struct synth *s, struct text *t);
