/* exec.h - what the parts of execve share: exec.c (which file, and the change-over), elf.c (its segments), stack.c (its
 * arguments). Everything is built in a new space, and nothing of the old program is touched before nothing can fail. */
#pragma once

#include "fs/vfs.h"
#include "task/family.h"
#include "vm/space.h"

#define HEAD_BYTES 256 /* BINPRM_BUF_SIZE: what decides the kind of a file, and holds a #! line */
#define SCRIPT_DEPTH 5 /* scripts whose interpreters are scripts: as Linux */
#define PREFIX_MOST (2 * SCRIPT_DEPTH + 2)
#define AUXV_MOST 24
#define STACK_TOP 0x7ffffffff000UL
#define DYN_BASE 0x555555554000UL     /* two thirds of the user's half: where Linux puts PIE programs */
#define STACK_RANDOM_PAGES 0x400000UL /* 16 GiB */

struct exec {
    const char *filename; /* by which others find it, too: AT_EXECFN, comm, a script's name for its interpreter */
    bool nameless;        /* it was named by a descriptor alone: comm is the name of the file that runs */
    bool vanishes;        /* it leads through a descriptor that this exec closes: no interpreter would find it */
    struct file *file;    /* the program: for a script, its interpreter. Denied to writers */
    char head[HEAD_BYTES];
    const struct exec_strings *argv, *envp;
    char *prefix[PREFIX_MOST]; /* kmalloc'd strings in place of the first `skip` of argv, last first */
    unsigned prefix_count, skip;
    struct space *space;             /* the new one; not loaded */
    struct signal_actions *handlers; /* a new table if the old one is shared with another process; or NULL */
    struct credentials cred;         /* the ids it will have (groups: not ours) */
    bool secure;                     /* AT_SECURE */
    bool unreadable;                 /* the caller may execute it, but not read it: nor, then, its memory */
    bool randomise;
    bool executable_stack;
    /* elf.c */
    u64 entry; /* where to start: the interpreter's entry, or the program's */
    u64 program_entry, phdr, interpreter_base;
    unsigned phdr_count;
    u64 vdso; /* where its ELF header is */
    /* stack.c */
    u64 stack_pointer;
};

/* elf.c: -ENOEXEC: not an ELF file that we run. Other errors are execve's. */
int elf_load(struct exec *e);
/* vdso.c: -ENOMEM. vdso_init: before the first program. */
int vdso_map(struct exec *e);
void vdso_init(void);
/* stack.c: strings, vector of arguments, environment and auxiliary vector. -E2BIG, -EFAULT, -ENOMEM. */
int stack_build(struct exec *e);
u64 exec_random(const struct exec *e,
                u64 pages); /* a random number of bytes below that many pages; 0 without randomness */

/* arch/x86_64/auxv.c: registers for a program's first instruction. */
void arch_program_start(struct regs *regs, u64 entry, u64 stack_pointer);
/* exec_open: a file that may be executed: regular, permitted, not being written. err_ptr. exec_close undoes it. */
struct file *exec_open(int at, const char *name, int flags);
void exec_close(struct file *f);
