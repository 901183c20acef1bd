/* proc_fd.c - /proc/PID/{fd, fdinfo, exe, cwd, root, mounts, mountinfo}: what of the file tree a process holds. */
#include "fs/event.h"
#include "fs/file.h"
#include "fs/mount.h"
#include "fs/pidfd.h"
#include "fs/proc.h"
#include "fs/userfault.h"
#include "vm/slab.h"

/* ---- descriptors ---- */

static struct file *file_of(struct synth *s) {
    struct files *files = process_files(s->process);
    struct file *f = NULL;
    if (files) {
        f = fd_get_of(files, (int)s->key);
        files_put(files);
    }
    return f;
}

static s64 fd_next(struct synth *dir, u64 from) {
    struct files *files = process_files(dir->process);
    s64 fd = -1;
    if (files && from <= 0x7fffffff)
        fd = fd_next_of(files, (int)from);
    if (files)
        files_put(files);
    return fd;
}

static bool fd_has(struct synth *dir, u64 number) { return fd_next(dir, number) == (s64)number; }

/* The link's permissions show what the file was opened for. */
static int fd_enter(struct synth *dir, u64 number, struct synth *child) {
    child->key = number;
    struct file *f = file_of(child);
    if (!f)
        return -ENOENT;
    child->inode.mode = S_IFLNK | (f->mode & FILE_READ ? 0500 : 0) | (f->mode & FILE_WRITE ? 0300 : 0);
    child->inode.object.size = 64; /* as Linux shows it */
    file_put(f);
    return 0;
}

static int fd_follow(struct synth *s, struct path *out) {
    struct file *f = file_of(s);
    if (!f)
        return -ENOENT;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

static int fdinfo_show(struct synth *s, struct text *t) {
    /* what open(2) does once is not part of an open file's flags */
    const u32 once = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC;
    struct files *files = process_files(s->process);
    struct file *f = files ? fd_get_of(files, (int)s->key) : NULL;
    char more[96];
    if (f) {
        u32 cloexec = fd_flags_of(files, (int)s->key) & FD_CLOEXEC ? O_CLOEXEC : 0;
        u64 position = (f->inode->mode & S_IFMT) == S_IFIFO ? 0 : f->position; /* pipe.c keeps something else there */
        text_print(t, "pos:\t%lu\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n", (unsigned long)position,
                   (f->flags & ~once) | cloexec, f->path.mount ? f->path.mount->id : 0, (unsigned long)f->inode->ino);
        text_add(t, more, event_fdinfo(f, more, sizeof(more)));
        text_add(t, more, userfault_fdinfo(f, more, sizeof(more)));
        text_add(t, more, pidfd_fdinfo(f, more, sizeof(more)));
        file_put(f);
    }
    if (files)
        files_put(files);
    return f ? 0 : -ENOENT;
}

static const struct synth_node fd_node = {.mode = S_IFLNK | 0700, .guarded = true, .follow = fd_follow};
static const struct synth_node fdinfo_node = {.mode = S_IFREG | 0444, .guarded = true, .show = fdinfo_show};
const struct synth_numbers proc_fds = {.node = &fd_node, .next = fd_next, .has = fd_has, .enter = fd_enter};
const struct synth_numbers proc_fdinfos = {.node = &fdinfo_node, .next = fd_next, .has = fd_has};

/* ---- the program, the working directory, the root ---- */

int proc_exe(struct synth *s, struct path *out) {
    struct process *p = s->process;
    spin_lock(&p->lock);
    struct file *f = p->exe;
    if (f)
        file_get(f);
    spin_unlock(&p->lock);
    if (!f)
        return -ENOENT;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

static int place_of(struct synth *s, bool root, struct path *out) {
    struct fs_root *fs = process_fs_root(s->process); /* our own copy: no lock is needed */
    if (!fs)
        return -ENOENT;
    *out = root ? fs->root : fs->cwd;
    path_get(out);
    fs_root_put(fs);
    return 0;
}

int proc_cwd(struct synth *s, struct path *out) { return place_of(s, false, out); }
int proc_root(struct synth *s, struct path *out) { return place_of(s, true, out); }

/* ---- mounts ---- */

int proc_mounts(struct synth *s, struct text *t) {
    char *line = kmalloc(PAGE_SIZE);
    if (!line)
        return -ENOMEM;
    for (struct mount *m = mount_next(NULL); m; m = mount_next(m)) {
        int length = mount_show(m, line, PAGE_SIZE);
        if (length > 0)
            text_add(t, line, min((size_t)length, PAGE_SIZE - 1));
    }
    kfree(line);
    return 0;
}

/* Where a mount is, as the reader calls it. */
static void show_place(struct text *t, struct mount *m, char *buffer) {
    struct path at = {.mount = m, .dentry = m->root};
    const char *where = path_string(&at, buffer, PAGE_SIZE);
    text_escaped(t, is_err(where) ? "?" : where, " \t\n");
}

int proc_mountinfo(struct synth *s, struct text *t) {
    char *buffer = kmalloc(PAGE_SIZE);
    if (!buffer)
        return -ENOMEM;
    for (struct mount *m = mount_next(NULL); m; m = mount_next(m)) {
        const struct super *super = m->super;
        const char *access = super->read_only ? "ro" : "rw";
        text_print(t, "%d %d %u:%u / ", m->id, m->parent ? m->parent->id : 0, (unsigned)(super->dev >> 8 & 0xfff),
                   (unsigned)(super->dev & 0xff));
        show_place(t, m, buffer);
        text_print(t, " %s,relatime - %s ", access, super->type);
        text_escaped(t, m->source, " \t\n");
        text_print(t, " %s\n", super->options ? super->options : access);
    }
    kfree(buffer);
    return 0;
}
