/* pidfd.c - files that stand for a process: readable once it has ended. They keep struct process, not its number. */
#include <linux/poll.h>

#include "fs/pidfd.h"
#include "fs/pipe.h"
#include "task/task.h"

static void release(struct file *f) { process_put(f->private_data); }

static u32 poll(struct file *f, struct poll_table *table) {
    struct process *p = f->private_data;
    poll_wait(table, &p->thread_events);
    return atomic_load(&p->zombie) ? POLLIN | POLLRDNORM : 0;
}

static const struct file_ops pidfd_ops = {.release = release, .poll = poll};

struct file *pidfd_create(struct process *p, int flags) {
    struct inode *inode = anon_inode();
    struct file *f = file_make(inode, &pidfd_ops, O_RDWR | flags, "anon_inode:[pidfd]");
    if (is_err(f)) {
        inode_put(inode);
        return f;
    }
    process_get(p);
    f->private_data = p;
    return f;
}

struct process *pidfd_process(const struct file *f) {
    struct process *p = f->ops == &pidfd_ops ? f->private_data : NULL;
    if (p)
        process_get(p);
    return p;
}

int pidfd_fdinfo(const struct file *f, char *text, size_t bytes) {
    struct process *p = pidfd_process(f), *there = p ? process_find(p->pid) : NULL;
    int number = there && there == p ? p->pid : -1;
    if (there)
        process_put(there);
    if (!p)
        return 0;
    process_put(p);
    return ksnprintf(text, bytes, "Pid:\t%d\nNSpid:\t%d\n", number, number);
}
