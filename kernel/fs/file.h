/* file.h - descriptor tables. */
#pragma once

#include "fs/vfs.h"

struct files;                              /* counted; shared by CLONE_FILES */
struct files *files_create(void);          /* empty; NULL: no memory */
struct files *files_fork(struct files *f); /* a copy for fork; err_ptr */
bool files_shared(struct files *f);        /* somebody else has it too */
void files_get(struct files *f);
void files_put(struct files *f); /* the last one closes all; may sleep */
void files_close_on_exec(struct files *f);
struct file *fd_get(int fd); /* of the current process, counted; NULL: -EBADF */
struct file *fd_get_of(struct files *f, int fd);
struct file *fd_get_open(int fd);          /* as fd_get, but no O_PATH: those are as good as closed for most calls */
int fd_next_of(struct files *f, int from); /* the first open descriptor >= from, or -1: for /proc/PID/fd */
u32 fd_flags_of(struct files *f, int fd);  /* FD_CLOEXEC */
u32 fd_room(void);                         /* no descriptor of the current process is as high */
/* fd_install: a number for the file, the lowest >= from; takes over the caller's reference on success. -EMFILE,
 * -ENOMEM. */
int fd_install(struct file *f, bool close_on_exec, int from);
int fd_install_at(
    struct files *t, struct file *f, int fd,
    bool close_on_exec); /* exactly there (the number is returned), closing what was there, for the first
                            process and dup2; takes over the reference on success. -EBADF, -EBUSY, -ENOMEM */
/* fd_reserve: a number, before the file is there, so that nothing is left half done when there is none. -EMFILE,
 * -ENOMEM. fd_fill: the file for it, whose reference is taken over; NULL gives the number back. */
int fd_reserve(void);
void fd_fill(int fd, struct file *f, bool close_on_exec);
int fd_set_flags(int fd, u32 flags); /* FD_CLOEXEC or 0. -EBADF */
int fd_close(int fd);                /* 0, what flush says (the descriptor is closed all the same), -EBADF */
