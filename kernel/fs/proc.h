/* proc.h - what the files of /proc share: proc.c has the tree, the others what its files say. */
#pragma once

#include "fs/synth.h"
#include "task/task.h"

struct space;

/* proc.c */
struct task *proc_task(struct synth *s); /* the thread it is about, or the process's leading one; counted, NULL: gone */
struct space *proc_space(struct synth *s); /* counted, or NULL */

/* proc_maps.c */
int proc_maps(struct synth *s, struct text *t);
int proc_clear_refs(struct synth *s, char *text, size_t bytes);
int proc_numa_maps(struct synth *s, struct text *t);
int proc_smaps(struct synth *s, struct text *t);
int proc_smaps_rollup(struct synth *s, struct text *t);
extern const struct file_ops proc_mem_ops, proc_pagemap_ops;

/* proc_frames.c */
extern const struct file_ops proc_kpagecount_ops, proc_kpageflags_ops;

/* proc_process.c */
unsigned proc_thread_count(const struct process *p);
int proc_syscall(struct synth *s, struct text *t);
int proc_status(struct synth *s, struct text *t);
int proc_stat(struct synth *s, struct text *t);
int proc_statm(struct synth *s, struct text *t);
int proc_cmdline(struct synth *s, struct text *t);
int proc_environ(struct synth *s, struct text *t);
int proc_auxv(struct synth *s, struct text *t);
int proc_comm(struct synth *s, struct text *t);
int proc_comm_store(struct synth *s, char *text, size_t bytes);
int proc_limits(struct synth *s, struct text *t);
int proc_io(struct synth *s, struct text *t);
int proc_oom_score(struct synth *s, struct text *t);
int proc_login_uid(struct synth *s, struct text *t);
int proc_login_uid_store(struct synth *s, char *text, size_t bytes);
int proc_session(struct synth *s, struct text *t);
int proc_oom_score_adj(struct synth *s, struct text *t);
int proc_oom_score_adj_store(struct synth *s, char *text, size_t bytes);
int proc_oom_adj(struct synth *s, struct text *t);
int proc_oom_adj_store(struct synth *s, char *text, size_t bytes);
int proc_personality(struct synth *s, struct text *t);
int proc_schedstat(struct synth *s, struct text *t);
extern const struct file_ops proc_fail_ops; /* node->data: enum fail_kind */

/* proc_fd.c */
extern const struct synth_numbers proc_fds, proc_fdinfos;
int proc_exe(struct synth *s, struct path *out);
int proc_cwd(struct synth *s, struct path *out);
int proc_root(struct synth *s, struct path *out);
int proc_mounts(struct synth *s, struct text *t);
int proc_mountinfo(struct synth *s, struct text *t);

/* proc_pressure.c */
int proc_pressure(struct synth *s, struct text *t);
extern const struct file_ops proc_pressure_ops;

/* proc_system.c */
int proc_meminfo(struct synth *s, struct text *t);
int proc_swaps(struct synth *s, struct text *t);
int proc_vmstat(struct synth *s, struct text *t);
int proc_zoneinfo(struct synth *s, struct text *t);
int proc_system_stat(struct synth *s, struct text *t);
int proc_cpuinfo(struct synth *s, struct text *t);
int proc_uptime(struct synth *s, struct text *t);
int proc_loadavg(struct synth *s, struct text *t);
int proc_filesystems(struct synth *s, struct text *t);
int proc_interrupts(struct synth *s, struct text *t);
int proc_kernel_cmdline(struct synth *s, struct text *t);
int proc_slabinfo(struct synth *s, struct text *t);

/* proc_sysctl.c: /proc/sys */
extern const struct synth_node proc_sys_children[];

/* kernel/net/proc.c: /proc/sys/net and /proc/PID/net, which stand above kernel/fs and so bring their own tables */
extern const struct synth_node proc_sys_net_children[], proc_net_children[];
