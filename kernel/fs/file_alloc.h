/* file_alloc.h - making open files: between file.c and who opens (open.c, tree's memory files). */
#pragma once

#include "fs/vfs.h"

void file_init(void);
/* file_alloc: an open file with one reference, its operations the inode's own, not opened yet. Counts path and inode.
 * NULL: no memory. */
struct file *file_alloc(struct inode *inode, const struct path *path, int flags);
/* file_blank: memory for one, for who must know before he begins that there is; file_fill makes it as file_alloc does.
 */
struct file *file_blank(void);
void file_fill(struct file *f, struct inode *inode, const struct path *path, int flags);
void file_blank_free(struct file *f); /* not filled; NULL is fine */
void file_discard(struct file *f);    /* undoes it, when opening failed */
