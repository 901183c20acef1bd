/* synth.c - the machinery of synthetic file systems (synth.h).
 *
 * Inodes are made at every lookup and cost nothing while nobody looks. Their numbers are a hash of the path, so they
 * are the same each time. A file's text is made at the first read, and again at a read from position 0, so that one
 * pass over it is consistent and a program that keeps it open sees news after it rewinds. */
#include "fs/io.h"
#include "fs/synth.h"
#include "task/task.h"
#include "vm/slab.h"

#define STORE_MOST PAGE_SIZE /* bytes of one write */

static const struct inode_ops directory_ops, file_inode_ops, link_ops, magic_ops;
static const struct file_ops directory_file_ops, text_ops;

/* ---- inodes ---- */

/* A number from the directory's and the name: FNV-1a, cut so that it prints short. */
static u64 ino_of(u64 parent, const char *name, size_t bytes) {
    u64 hash = 0xcbf29ce484222325ULL ^ parent;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (u8)name[i]) * 0x100000001b3ULL;
    return (hash ^ hash >> 32) & 0xfffffff;
}

/* Files about a process belong to it, unless what it runs is nobody's business: then to root; but not directories that
 * everybody may enter. */
static void set_owner(struct synth *s) {
    struct process *p = s->process;
    bool shown = p && (p->dumpable || s->node->mode == (S_IFDIR | 0555));
    s->inode.uid = shown ? p->cred.euid : 0;
    s->inode.gid = shown ? p->cred.egid : 0;
}

/* A directory's own name, its "." and each ".." below it. Browsers see by the links of /proc/self/task that they have
 * one thread. */
static u32 count_links(struct synth *s) {
    const struct synth_numbers *numbers = s->node->numbers;
    u64 links = 2;
    for (const struct synth_node *n = s->node->children; n && n->name; n++)
        links += (n->mode & S_IFMT) == S_IFDIR;
    if (!numbers || (numbers->node->mode & S_IFMT) != S_IFDIR)
        return links;
    if (numbers->count)
        return links + numbers->count(s);
    for (s64 number = numbers->next(s, 0); number >= 0; number = numbers->next(s, number + 1))
        links++;
    return links;
}

static int synth_getattr(struct inode *inode) {
    struct synth *s = synth_of(inode);
    set_owner(s);
    if ((s->node->mode & S_IFMT) == S_IFDIR)
        atomic_store(&inode->links, count_links(s));
    return 0;
}

static bool synth_allows(struct inode *inode) {
    struct synth *s = synth_of(inode);
    return s->node->own && s->process == process_current();
}

static void synth_release(struct inode *inode) {
    struct synth *s = synth_of(inode);
    if (s->process)
        process_put(s->process);
    kfree(s);
}

static void set_kind(struct inode *inode, const struct synth_node *node) {
    switch (node->mode & S_IFMT) {
    case S_IFDIR:
        inode->ops = &directory_ops;
        inode->file_ops = &directory_file_ops;
        break;
    case S_IFLNK:
        inode->ops = node->follow ? &magic_ops : &link_ops;
        break;
    default:
        inode->ops = &file_inode_ops;
        inode->file_ops = node->file_ops ? node->file_ops : &text_ops;
    }
}

/* The inode of a node under dir (NULL: the root). NULL: no memory. */
static struct synth *synth_make(struct super *super, struct synth *dir, const struct synth_node *node, u64 ino) {
    struct synth *s = kzalloc(sizeof(*s));
    if (!s)
        return NULL;
    inode_init(&s->inode, super, node->mode);
    s->node = node;
    s->inode.ino = ino;
    s->parent_ino = dir ? dir->inode.ino : ino;
    set_kind(&s->inode, node);
    if (dir) {
        s->key = dir->key;
        s->tid = dir->tid;
        s->process = dir->process;
        if (s->process)
            process_get(s->process);
    }
    set_owner(s);
    return s;
}

int synth_mount(struct super *super, const struct synth_node *root) {
    struct synth *s = synth_make(super, NULL, root, 1);
    if (!s)
        return -ENOMEM;
    super->root = &s->inode;
    super->made_when_read = true;
    return 0;
}

/* ---- directories ---- */

bool parse_number(const char *text, u64 *value) {
    unsigned base = 10;
    u64 number = 0;
    if (text[0] == '0' && (text[1] | 32) == 'x') {
        base = 16;
        text += 2;
    } else if (text[0] == '0' && text[1]) {
        base = 8;
    }
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = *text >= '0' && *text <= '9' ? (unsigned)(*text - '0') : (unsigned)((*text | 32) - 'a' + 10);
        if (digit >= base || __builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return false;
    }
    *value = number;
    return true;
}

/* The number that a name is, without leading zeros. */
static bool name_number(const struct synth_numbers *n, const char *name, size_t bytes, u64 *number) {
    char digits[20];
    size_t prefix = n->prefix ? strlen(n->prefix) : 0;
    if (bytes <= prefix || bytes - prefix >= sizeof(digits) || memcmp(name, n->prefix ? n->prefix : "", prefix))
        return false;
    memcpy(digits, name + prefix, bytes - prefix);
    digits[bytes - prefix] = 0;
    if (digits[0] < '0' || digits[0] > '9' || (digits[0] == '0' && digits[1]))
        return false;
    return parse_number(digits, number);
}

static struct inode *lookup_number(struct synth *dir, const char *name, size_t bytes) {
    const struct synth_numbers *n = dir->node->numbers;
    u64 number;
    if (!n || !name_number(n, name, bytes, &number))
        return err_ptr(-ENOENT);
    if (n->has ? !n->has(dir, number) : n->next(dir, number) != (s64)number)
        return err_ptr(-ENOENT);
    struct synth *s = synth_make(dir->inode.super, dir, n->node, ino_of(dir->inode.ino, name, bytes));
    if (!s)
        return err_ptr(-ENOMEM);
    s->key = number;
    int error = n->enter ? n->enter(dir, number, s) : 0;
    if (error) {
        inode_put(&s->inode);
        return err_ptr(error);
    }
    set_owner(s);
    return &s->inode;
}

static struct inode *synth_lookup(struct inode *inode, const char *name, size_t bytes) {
    struct synth *dir = synth_of(inode), *s;
    if (dir->process && !process_alive(dir->process))
        return err_ptr(-ENOENT);
    for (const struct synth_node *n = dir->node->children; n && n->name; n++) {
        if (strncmp(n->name, name, bytes) || n->name[bytes])
            continue;
        s = synth_make(inode->super, dir, n, ino_of(inode->ino, name, bytes));
        return s ? &s->inode : err_ptr(-ENOMEM);
    }
    return lookup_number(dir, name, bytes);
}

static bool emit(struct file *file, struct dir_sink *sink, const char *name, u64 ino, u32 mode, u64 next) {
    if (!sink->emit(sink, name, strlen(name), ino, (mode & S_IFMT) >> 12, next))
        return false;
    file->position = next;
    return true;
}

/* Positions: 0 ".", 1 "..", then the table's lines, then numbers. */
static int synth_iterate(struct file *file, struct dir_sink *sink) {
    struct synth *dir = synth_of(file->inode);
    const struct synth_node *children = dir->node->children;
    const struct synth_numbers *numbers = dir->node->numbers;
    u64 count = 0, own = dir->inode.ino;
    char name[32];

    if (dir->process && !process_alive(dir->process))
        return -ENOENT;
    while (children && children[count].name)
        count++;
    if (file->position == 0 && !emit(file, sink, ".", own, S_IFDIR, 1))
        return 0;
    if (file->position == 1 && !emit(file, sink, "..", dir->parent_ino, S_IFDIR, 2))
        return 0;
    while (file->position - 2 < count) {
        const struct synth_node *n = &children[file->position - 2];
        if (!emit(file, sink, n->name, ino_of(own, n->name, strlen(n->name)), n->mode, file->position + 1))
            return 0;
    }
    while (numbers) {
        s64 number = numbers->next(dir, file->position - 2 - count);
        if (number < 0)
            break;
        int bytes = ksnprintf(name, sizeof(name), "%s%ld", numbers->prefix ? numbers->prefix : "", (long)number);
        if (!emit(file, sink, name, ino_of(own, name, bytes), numbers->node->mode, 2 + count + number + 1))
            break;
    }
    return 0;
}

static int directory_open(struct inode *inode, struct file *file) {
    struct synth *s = synth_of(inode);
    return s->node->guarded && !may_inspect(s->process) ? -EACCES : 0;
}

s64 synth_seek(struct file *file, s64 offset, int whence) {
    s64 to = whence == 1 /* SEEK_CUR */ ? (s64)file->position + offset : offset;
    if (whence > 1 || to < 0)
        return -EINVAL;
    file->position = to;
    return to;
}

static const struct inode_ops directory_ops = {
    .lookup = synth_lookup,
    .allows = synth_allows,
    .getattr = synth_getattr,
    .release = synth_release,
};
static const struct file_ops directory_file_ops = {
    .open = directory_open,
    .iterate = synth_iterate,
    .seek = synth_seek,
};

/* ---- text files ---- */

/* An open text. */
struct reading {
    struct mutex lock;
    struct text text;
    bool made;
    void *own;
};

int synth_text_open(struct inode *inode, struct file *file) {
    struct synth *s = synth_of(inode);
    if (s->node->guarded && !may_inspect(s->process))
        return -EACCES;
    struct reading *r = kzalloc(sizeof(*r));
    if (!r)
        return -ENOMEM;
    mutex_init(&r->lock);
    file->private_data = r;
    return 0;
}

void synth_text_release(struct file *file) {
    struct reading *r = file->private_data;
    if (!r) /* the open failed */
        return;
    text_free(&r->text);
    kfree(r);
}

void **synth_text_own(struct file *file) { return &((struct reading *)file->private_data)->own; }

/* The next piece of the text. */
static int make_piece(struct synth *s, struct text *t) {
    const struct synth_node *n = s->node;
    t->base += t->bytes;
    t->bytes = 0;
    t->more = false;
    int error = 0;
    if (s->process && !process_alive(s->process))
        error = -ESRCH;
    else if (n->show)
        error = n->show(s, t);
    else if (n->content)
        text_string(t, n->content);
    else if (n->value)
        text_print(t, "%lu\n", (unsigned long)atomic_load(n->value));
    return error ? error : t->error;
}

/* Have the piece that holds `position`. Holds r->lock. */
static int find_piece(struct synth *s, struct reading *r, u64 position) {
    struct text *t = &r->text;
    int error = 0;
    if (!r->made || !position || position < t->base) {
        t->base = t->bytes = t->cursor = 0;
        t->error = 0;
        r->made = false;
        error = make_piece(s, t);
    }
    while (!error && position >= t->base + t->bytes && t->more)
        error = make_piece(s, t);
    r->made = !error;
    return error;
}

ssize_t synth_text_read(struct file *file, struct iov *to, u64 *position) {
    struct synth *s = synth_of(file->inode);
    struct reading *r = file->private_data;
    struct text *t = &r->text;
    ssize_t done = 0;

    mutex_lock(&r->lock);
    while (to->bytes) {
        int error = find_piece(s, r, *position);
        if (error && !done)
            done = error;
        if (error || *position >= t->base + t->bytes)
            break;
        size_t wanted = min((size_t)(t->base + t->bytes - *position), to->bytes);
        size_t moved = iov_put(to, t->buffer + (*position - t->base), wanted);
        *position += moved;
        done += moved;
        if (moved < wanted) {
            done = done ? done : -EFAULT;
            break;
        }
    }
    mutex_unlock(&r->lock);
    return done;
}

int synth_store_value(const struct synth_node *n, const char *text) {
    u64 value;
    if (!parse_number(text, &value) || value < n->least || value > n->most)
        return -EINVAL;
    atomic_store(n->value, value);
    return 0;
}

static ssize_t text_write(struct file *file, struct iov *from, u64 *position) {
    struct synth *s = synth_of(file->inode);
    const struct synth_node *n = s->node;
    size_t bytes = min(from->bytes, STORE_MOST - 1), taken;
    int error = -EIO;

    char *text = kmalloc(bytes + 1);
    if (!text)
        return -ENOMEM;
    taken = iov_take(from, text, bytes);
    size_t length = taken;
    while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
        length--;
    text[length] = 0;
    if (taken < bytes)
        error = -EFAULT;
    else if (n->store)
        error = n->store(s, text, length);
    else if (n->value)
        error = synth_store_value(n, text);
    kfree(text);
    if (error)
        return error;
    *position += taken;
    return taken;
}

/* Opening with O_TRUNC, as shells do, changes nothing. */
static int text_resize(struct inode *inode, u64 bytes) { return 0; }

static const struct inode_ops file_inode_ops = {
    .resize = text_resize,
    .getattr = synth_getattr,
    .release = synth_release,
};
static const struct file_ops text_ops = {
    .open = synth_text_open,
    .release = synth_text_release,
    .read = synth_text_read,
    .write = text_write,
    .seek = synth_seek,
};

/* ---- links ---- */

static ssize_t synth_readlink(struct inode *inode, char *buffer, size_t bytes) {
    struct synth *s = synth_of(inode);
    const struct synth_node *n = s->node;
    if (n->guarded && !may_inspect(s->process))
        return -EACCES;
    if (n->readlink)
        return n->readlink(s, buffer, bytes);
    size_t length = min(strlen(n->content), bytes);
    memcpy(buffer, n->content, length);
    return length;
}

static int synth_follow(struct inode *inode, struct path *out) {
    struct synth *s = synth_of(inode);
    if (s->node->guarded && !may_inspect(s->process))
        return -EACCES;
    return s->node->follow(s, out);
}

/* readlink of a magic link: the path it leads to, as the reader would call it. */
static ssize_t magic_readlink(struct inode *inode, char *buffer, size_t bytes) {
    struct path path;
    int error = synth_follow(inode, &path);
    if (error)
        return error;
    char *memory = kmalloc(PAGE_SIZE);
    ssize_t length = -ENOMEM;
    if (memory) {
        char *name = path_string(&path, memory, PAGE_SIZE);
        length = is_err(name) ? ptr_err(name) : (ssize_t)min(strlen(name), bytes);
        if (length > 0)
            memcpy(buffer, name, length);
    }
    kfree(memory);
    path_put(&path);
    return length;
}

static const struct inode_ops link_ops = {
    .readlink = synth_readlink,
    .getattr = synth_getattr,
    .release = synth_release,
};
static const struct inode_ops magic_ops = {
    .readlink = magic_readlink,
    .follow = synth_follow,
    .getattr = synth_getattr,
    .release = synth_release,
};
