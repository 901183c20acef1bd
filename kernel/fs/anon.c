/* anon.c - the inodes of files that no name leads to: one that all event files share, and numbers for the rest.
 *
 * Linux shows such a file as st_mode 0600 without a type, and its link in /proc/PID/fd as "anon_inode:[eventfd]": the
 * type of the file is in the name that file_make is given, not in the inode. */
#include "fs/pipe.h"

static u64 numbers = 1024; /* [a] far from the few small numbers that mounted file systems give their roots */

static struct super anon_super = {
    .type = "anon_inodefs",
    .dev = 14,
    .options = "rw",
};

/* Never released: the kernel itself keeps the first reference. */
static struct inode_ops anon_ops;
static struct inode the_inode;
static struct spin anon_lock = SPIN_INIT; /* protects `ready`, once */
static bool ready;

struct inode *anon_inode(void) {
    spin_lock(&anon_lock);
    if (!ready) {
        inode_init(&the_inode, &anon_super, 0600);
        the_inode.ops = &anon_ops;
        the_inode.ino = anon_number();
        ready = true;
    }
    spin_unlock(&anon_lock);
    inode_get(&the_inode);
    return &the_inode;
}

u64 anon_number(void) { return atomic_add(&numbers, 1); }
