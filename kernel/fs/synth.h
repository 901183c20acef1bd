/* synth.h - synthetic file systems: trees of names that stand in tables, and contents made when they are read.
 *
 * Nouns. node: a constant line of a table: a name with its mode and what is behind it. synth: the inode of a node, made
 * when the name is looked up; it may be about a process, a thread or a descriptor, and hands that down to what is below
 * it. /proc and /sys are such tables. */
#pragma once

#include "fs/text.h"
#include "fs/vfs.h"

struct process;
struct synth;
struct synth_numbers;

struct synth_node {
    const char *name; /* NULL ends a table */
    u32 mode;         /* with type */
    bool guarded;     /* only for who may inspect the process: -EACCES (ptrace(2), "ptrace access mode") */
    bool own; /* the process itself may enter and list it, whoever it has become since: proc_fd_permission of Linux */

    /* directories */
    const struct synth_node *children;
    const struct synth_numbers *numbers; /* further names, after the children's */

    /* files: one of these. show: the text; -errno ends the read. content: constant. value: a number, one line. */
    int (*show)(struct synth *s, struct text *t);
    const char *content;
    u64 *value;
    const struct file_ops *file_ops;
    /* what a write does: text ends with 0, without a final newline. 0 or -errno. NULL with value: least <= number <=
     * most. */
    int (*store)(struct synth *s, char *text, size_t bytes);
    u64 least, most;

    /* symbolic links: content is the target, or: */
    ssize_t (*readlink)(struct synth *s, char *buffer, size_t bytes);
    int (*follow)(struct synth *s, struct path *out); /* magic; readlink too */

    u64 data; /* the functions' own */
};

/* Names that are numbers: "123", or "cpu3" with a prefix. */
struct synth_numbers {
    const char *prefix;
    const struct synth_node *node;              /* what each is; its name is not used */
    s64 (*next)(struct synth *dir, u64 from);   /* the first number >= from, or -1 */
    u64 (*count)(struct synth *dir);            /* how many, where they are many; NULL: next tells */
    bool (*has)(struct synth *dir, u64 number); /* NULL: next(dir, n) == n. May know names that next does not list */
    int (*enter)(struct synth *dir, u64 number, struct synth *child); /* fill child in; NULL: child->key = number */
};

struct synth {
    struct inode inode;
    const struct synth_node *node;
    struct process *process; /* counted; NULL: about none */
    u64 key;                 /* inherited: tid, descriptor, CPU... as the directory's `enter` says */
    u64 tid;                 /* of /proc/PID/task/TID; 0 elsewhere */
    u64 parent_ino;
};

static inline struct synth *synth_of(struct inode *i) { return container_of(i, struct synth, inode); }

/* synth_mount: a file system of the table; root: a directory node. 0, or -ENOMEM. The super is static, filled but for
 * root. */
int synth_mount(struct super *super, const struct synth_node *root);
/* synth_store_value: what a write does to a node with a value. -EINVAL: no number, or out of its bounds. */
int synth_store_value(const struct synth_node *n, const char *text);
/* synth_text_*: what every text file does, for those with operations of their own. synth_text_own: what such a one
 * keeps with the open file; NULL at first. */
int synth_text_open(struct inode *inode, struct file *file);
void synth_text_release(struct file *file);
ssize_t synth_text_read(struct file *file, struct iov *to, u64 *position);
void **synth_text_own(struct file *file);
/* synth_seek: the seek of files whose size nobody knows. */
s64 synth_seek(struct file *file, s64 offset, int whence);
/* parse_number: decimal, or hexadecimal after 0x, octal after 0; one number and nothing else. False: not that. */
bool parse_number(const char *text, u64 *value);
/* may_inspect (proc.c): the caller may see what is private to the process. */
bool may_inspect(struct process *p);
/* process_alive (proc.c): it has not been waited for: its number still means it. */
bool process_alive(struct process *p);
