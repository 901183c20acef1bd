/* main.h - the configuration that the command sent, unpacked (dev/host.c), and the order of start-up (main.c). */
#pragma once

#include "lib/base.h"
#include "lib/wire.h"

struct boot_mount {
    const char *tag, *where;
    bool read_only, overlay;
};

struct boot_config {
    struct wire_config wire;
    unsigned arg_count, env_count, group_count, mount_count, sysctl_count;
    char **args, **env, **sysctls; /* NULL-terminated strings, NULL-terminated arrays */
    u32 *groups;
    struct boot_mount *mounts;
    const char *cwd, *hostname, *program; /* program NULL: search args[0] along PATH */
    const void *termios;                  /* 36 bytes or NULL */
};
extern struct boot_config boot_config;

/* dev/host.c: the conversation with the command. host_init finds the console; host_configure says HELLO and waits for
 * CONFIG. */
void host_init(void);
int host_configure(struct boot_config *out);
noreturn void host_finish(int wait_status); /* sends STATUS (and STATS) and stops the machine */
/* main.c: what the run did: fills *end (zeroed) and, if room, the text of --stats; returns its bytes. Without one, all
 * is 0. */
size_t run_report(struct wire_end *end, char *stats, size_t room);
noreturn void host_fail(int exit_code, const char *format, ...) printf_like(2, 3); /* sends FAIL and stops */
/* Streams 0..2 for fs/stream.c: sleep for the command's answer; -EINTR cancels. */
ssize_t host_read(unsigned stream, void *buffer, size_t most);
ssize_t host_write(unsigned stream, const void *buffer, size_t bytes);
s64 host_seek(unsigned stream, s64 offset, int whence);
/* dev/recorder.c: from now on what reclaim sees goes to the command; false: no memory. recorder_finish: all of it
 * is there; before the last words. */
bool recorder_start(void);
void recorder_finish(void);
/* dev/swap.c: what -s gave becomes the swap area. After virtio_init. */
/* fs/proc_sysctl.c: "vm.swappiness=10" takes effect. -ENOENT (no such knob), -EACCES (it cannot be set), -EINVAL (no
 * such value). */
int sysctl_set(const char *assignment);
/* fs/stream.c: the open file for stream 0..2 (a tty, a pipe-like stream, or a regular file), shared where the host's
 * are. err_ptr. */
struct file;
struct file *stream_open(unsigned stream);
