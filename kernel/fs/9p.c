/* 9p.c - the lower layer of files that the host shows: a 9P2000.L client (QEMU's server at the other end).
 *
 * Owns handles (fids) and the exchanges; keeps no names, no attributes, no pages: tree.c does. Nouns. node: a handle,
 * one fid that names the file; once opened for reading that same fid reads (QEMU lets an open fid still walk, and be
 * asked for attributes: a round trip less for each file). Writing takes a second fid. call: one message and its reply.
 *
 * Round trips: lookup of what is not there 1, of what is 2 (the server may handle two messages in any order, so the
 * attributes of a new fid cannot be asked for before the walk has made it), first read 2, clunk none (nobody waits).
 * A file's pages travel without a copy: the server reads into, and writes from, the frames themselves.
 *
 * Numbers and layouts: the 9P2000.L protocol (diod's protocol.md) and ericvh's RFC of 9P2000. */
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/virtio_ring.h>

#include "dev/p9.h"
#include "fs/lower.h"
#include "fs/vfs.h"
#include "task/failing.h"
#include "vm/slab.h"

enum p9_type {
    TSTATFS = 8,
    TLOPEN = 12,
    TLCREATE = 14,
    TSYMLINK = 16,
    TMKNOD = 18,
    TREADLINK = 22,
    TGETATTR = 24,
    TSETATTR = 26,
    TXATTRWALK = 30,
    TXATTRCREATE = 32,
    TREADDIR = 40,
    TFSYNC = 50,
    TLINK = 70,
    TMKDIR = 72,
    TRENAMEAT = 74,
    TUNLINKAT = 76,
    TVERSION = 100,
    TATTACH = 104,
    TWALK = 110,
    TREAD = 116,
    TWRITE = 118,
    TCLUNK = 120,
};
#define RLERROR 7
#define NOTAG 0xffff
#define NOFID 0xffffffffu
#define ROOT_FID 0u
#define HEAD_BYTES 7           /* size[4] type[1] tag[2] */
#define READ_HEAD_BYTES 11     /* and count[4]; also all of an Rlerror */
#define WRITE_HEAD_BYTES 23    /* and fid[4] offset[8] count[4] */
#define QID_BYTES 13           /* type[1] version[4] path[8] */
#define GETATTR_BASIC 0x7ffULL /* all but the birth time, the generation and the data version */
#define GETATTR_BYTES 160
#define NAME_MOST 255
#define TARGET_MOST 4096 /* of a symbolic link: PATH_MAX */
#define AT_REMOVEDIR_9P 0x200u
#define READDIR_BYTES (16 * KiB)
#define PAGES_MOST 120u /* in one exchange: with head and reply they fit QEMU's ring of 128 even without tables */
#define MSIZE ((u32)((PAGES_MOST + 1) * PAGE_SIZE))

/* Bits of Tsetattr beyond LOWER_*, which are its first six. */
#define SETATTR_ATIME_SET 0x80u
#define SETATTR_MTIME_SET 0x100u

enum open_state { FID_CLOSED, FID_OPENING, FID_OPEN };

struct lower_node {
    u32 fid;             /* names the file; reads once `reading` is FID_OPEN */
    u32 write_fid;       /* while `writing` is FID_OPEN */
    u8 reading, writing; /* enum open_state, atomic: who moves it from CLOSED to OPENING opens, the others wait */
};

struct ninep {
    struct lower lower; /* first */
    struct p9_channel *channel;
    u32 next_fid, next_tag; /* atomic. A fid is not used twice: 2^32 lookups are more than a run makes */
    struct waitq opened;    /* an open ended, well or not */
    struct lower_node root;
};

/* A message and its reply, in one piece of memory: the message from buffer[0], the reply from buffer[reply]. */
struct call {
    struct p9_call io;
    struct virtq_piece pieces[2];
    struct ninep *fs;
    u32 reply, reply_room;
    u32 at;       /* end of what was put; then the cursor of what is taken */
    u32 end;      /* of the reply */
    bool overrun; /* the reply was shorter than what was taken from it */
    u8 buffer[];
};

static struct ninep *ninep_of(struct lower *l) { return container_of(l, struct ninep, lower); }

/* ---- messages ---- */

static void put_bytes(struct call *c, const void *from, u32 bytes) {
    assert(c->at + bytes <= c->reply);
    memcpy(c->buffer + c->at, from, bytes);
    c->at += bytes;
}
static void put8(struct call *c, u8 v) { put_bytes(c, &v, sizeof(v)); }
static void put16(struct call *c, u16 v) { put_bytes(c, &v, sizeof(v)); }
static void put32(struct call *c, u32 v) { put_bytes(c, &v, sizeof(v)); }
static void put64(struct call *c, u64 v) { put_bytes(c, &v, sizeof(v)); }
/* Whole seconds, and nanoseconds that are never negative. */
static void put_time(struct call *c, s64 ns) {
    s64 rest = ns % 1000000000;
    put64(c, ns / 1000000000 - (rest < 0));
    put64(c, rest + (rest < 0 ? 1000000000 : 0));
}
static void put_string(struct call *c, const char *s, size_t bytes) {
    put16(c, bytes);
    put_bytes(c, s, bytes);
}

static const u8 *take_bytes(struct call *c, u32 bytes) {
    const u8 *p = c->buffer + c->at;
    if (bytes > c->end - c->at) {
        c->overrun = true;
        c->at = c->end;
        return NULL;
    }
    c->at += bytes;
    return p;
}
static u64 take_number(struct call *c, u32 bytes) {
    u64 v = 0;
    const u8 *p = take_bytes(c, bytes);
    if (p)
        memcpy(&v, p, bytes);
    return v;
}
static u8 take8(struct call *c) { return take_number(c, 1); }
static u16 take16(struct call *c) { return take_number(c, 2); }
static u32 take32(struct call *c) { return take_number(c, 4); }
static u64 take64(struct call *c) { return take_number(c, 8); }

/* A call whose message has `bytes` of parameters at most, and its reply `room`. NULL: no memory. */
static struct call *call_create(struct ninep *fs, enum p9_type type, u32 bytes, u32 room) {
    u32 reply = align_up(HEAD_BYTES + bytes, 8U);
    room = max(HEAD_BYTES + room, (u32)READ_HEAD_BYTES);
    struct call *c = kmalloc(sizeof(*c) + reply + room);
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    c->fs = fs;
    c->reply = reply;
    c->reply_room = room;
    u16 tag = atomic_add(&fs->next_tag, 1);
    put32(c, 0); /* the size, known when it is sent */
    put8(c, type);
    put16(c, type == TVERSION || tag == NOTAG ? NOTAG : tag);
    return c;
}

/* The message is written, and `more` bytes follow it in other pieces. */
static void call_seal(struct call *c, u32 more) {
    u32 size = c->at + more;
    memcpy(c->buffer, &size, sizeof(size));
    c->pieces[0] = (struct virtq_piece){dma_phys(c->buffer), c->at};
    c->pieces[1] = (struct virtq_piece){dma_phys(c->buffer + c->reply), c->reply_room};
    c->io.pieces = c->pieces;
    c->io.out = c->io.in = 1;
}

/* The reply is there (its first `received` bytes, head at least): 0 and the cursor on its parameters, or -errno. */
static int call_check(struct call *c) {
    u8 asked = c->buffer[4];
    u32 size;
    c->at = c->reply;
    c->end = c->reply + min(c->io.received, c->reply_room);
    size = take32(c);
    u8 type = take8(c);
    take16(c);
    if (c->overrun || size > c->io.received)
        return -EIO;
    if (type == RLERROR) {
        u32 error = take32(c);
        return error && error < 4096 ? -(int)error : -EIO;
    }
    return type == asked + 1 ? 0 : -EIO;
}

/* Sends what is sealed, and waits. After it the cursor is on the reply's parameters. An exchange that a test wants to
 * fail is not sent, as if the server had answered with an error. But a clunk is: the protocol gives the fid back even
 * then. */
static int call_exchange(struct call *c) {
    bool fails = task_io_fails();
    if (fails && c->buffer[4] != TCLUNK)
        return -EIO;
    p9_start(c->fs->channel, &c->io);
    p9_wait(c->fs->channel, &c->io);
    return fails ? -EIO : call_check(c);
}

static int call_run(struct call *c) {
    call_seal(c, 0);
    return call_exchange(c);
}

/* Ends a call whose reply says nothing more: runs it and frees it. c NULL: -ENOMEM. */
static int call_finish(struct call *c) {
    if (!c)
        return -ENOMEM;
    int error = call_run(c);
    kfree(c);
    return error;
}

/* ---- fids ---- */

static u32 fid_new(struct ninep *fs) { return atomic_add(&fs->next_fid, 1); }

static void clunk_ended(struct p9_call *io) { kfree(container_of(io, struct call, io)); }

/* Gives a fid back; nobody waits for it. Without memory the server keeps it to the end, which costs it a few bytes. */
static void fid_clunk(struct ninep *fs, u32 fid) {
    struct call *c = call_create(fs, TCLUNK, 4, 0);
    if (!c)
        return;
    put32(c, fid);
    call_seal(c, 0);
    c->io.ended = clunk_ended;
    p9_start(fs->channel, &c->io);
}

/* A new fid for a name below `from`; bytes 0: for `from` itself. */
static int fid_walk(struct ninep *fs, u32 from, const char *name, size_t bytes, u32 *out) {
    struct call *c = call_create(fs, TWALK, 4 + 4 + 2 + 2 + bytes, 2 + QID_BYTES);
    if (!c)
        return -ENOMEM;
    u32 fid = fid_new(fs);
    put32(c, from);
    put32(c, fid);
    put16(c, bytes ? 1 : 0);
    if (bytes)
        put_string(c, name, bytes);
    int error = call_run(c);
    if (!error)
        *out = fid;
    kfree(c);
    return error;
}

static int fid_open(struct ninep *fs, u32 fid, u32 flags) {
    struct call *c = call_create(fs, TLOPEN, 4 + 4, QID_BYTES + 4);
    if (!c)
        return -ENOMEM;
    put32(c, fid);
    put32(c, flags);
    return call_finish(c);
}

static int fid_getattr(struct ninep *fs, u32 fid, struct lower_attr *a) {
    struct call *c = call_create(fs, TGETATTR, 4 + 8, GETATTR_BYTES);
    if (!c)
        return -ENOMEM;
    put32(c, fid);
    put64(c, GETATTR_BASIC);
    int error = call_run(c);
    if (!error) {
        take64(c); /* what is valid: what we asked for */
        take8(c);
        take32(c);
        *a = (struct lower_attr){.ino = take64(c)};
        a->mode = take32(c);
        a->uid = take32(c);
        a->gid = take32(c);
        a->links = take64(c);
        a->rdev = take64(c);
        a->bytes = take64(c);
        take64(c); /* block size for I/O: ours is a page */
        a->blocks = take64(c);
        s64 *times[] = {&a->atime_ns, &a->mtime_ns, &a->ctime_ns};
        for (unsigned i = 0; i < array_count(times); i++) {
            s64 seconds = take64(c);
            *times[i] = inode_time(seconds, (s64)take64(c));
        }
        error = c->overrun ? -EIO : 0;
    }
    kfree(c);
    return error;
}

/* A node for a fid, and its attributes. Takes the fid over: on failure it is clunked. */
static int node_create(struct ninep *fs, u32 fid, struct lower_node **out, struct lower_attr *attr) {
    struct lower_node *node = kzalloc(sizeof(*node));
    int error = node ? fid_getattr(fs, fid, attr) : -ENOMEM;
    if (error) {
        kfree(node);
        fid_clunk(fs, fid);
        return error;
    }
    node->fid = fid;
    *out = node;
    return 0;
}

static int ninep_lookup(struct lower *l, struct lower_node *dir, const char *name, size_t bytes,
                        struct lower_node **out, struct lower_attr *attr) {
    u32 fid;
    int error = fid_walk(ninep_of(l), dir->fid, name, bytes, &fid);
    return error ? error : node_create(ninep_of(l), fid, out, attr);
}

static void ninep_put(struct lower *l, struct lower_node *node) {
    struct ninep *fs = ninep_of(l);
    assert(node != &fs->root);
    if (node->writing == FID_OPEN)
        fid_clunk(fs, node->write_fid);
    fid_clunk(fs, node->fid);
    kfree(node);
}

/* An open fid the server may answer for by what it has open: whether the name still leads there, only another fid
 * tells.
 */
static int ninep_getattr(struct lower *l, struct lower_node *node, struct lower_attr *attr) {
    struct ninep *fs = ninep_of(l);
    if (atomic_load(&node->reading) != FID_OPEN)
        return fid_getattr(fs, node->fid, attr);
    u32 fid;
    int error = fid_walk(fs, node->fid, NULL, 0, &fid);
    if (error)
        return error;
    error = fid_getattr(fs, fid, attr);
    fid_clunk(fs, fid);
    return error;
}

/* ---- open ---- */

static int open_reading(struct ninep *fs, struct lower_node *node) { return fid_open(fs, node->fid, O_RDONLY); }

/* Reading too, so that one fid does for a file that its mode allows both; write-only where it does not. */
static int open_writing(struct ninep *fs, struct lower_node *node) {
    u32 fid;
    int error = fid_walk(fs, node->fid, NULL, 0, &fid);
    if (error)
        return error;
    error = fid_open(fs, fid, O_RDWR);
    if (error == -EACCES)
        error = fid_open(fs, fid, O_WRONLY);
    if (error)
        fid_clunk(fs, fid);
    else
        node->write_fid = fid;
    return error;
}

/* One of the two openings of a node, once: the first caller does it, others who come meanwhile wait. A failure is not
 * remembered. */
static int node_open(struct ninep *fs, struct lower_node *node, u8 *state,
                     int (*open)(struct ninep *, struct lower_node *)) {
    while (atomic_load(state) != FID_OPEN) {
        if (atomic_cas(state, FID_CLOSED, FID_OPENING)) {
            int error = open(fs, node);
            atomic_store(state, error ? FID_CLOSED : FID_OPEN);
            waitq_wake_all(&fs->opened);
            if (error)
                return error;
        } else {
            wait_until(&fs->opened, atomic_load(state) != FID_OPENING);
        }
    }
    return 0;
}

static int ninep_open(struct lower *l, struct lower_node *node, bool write) {
    struct ninep *fs = ninep_of(l);
    return write ? node_open(fs, node, &node->writing, open_writing)
                 : node_open(fs, node, &node->reading, open_reading);
}

/* ---- reading ---- */

/* Appends memory to the pieces, growing the last one where it goes on in physical memory. */
static void pieces_add(struct virtq_piece *pieces, u16 *count, u64 phys, u32 bytes) {
    struct virtq_piece *last = *count ? &pieces[*count - 1] : NULL;
    if (last && last->phys + last->bytes == phys)
        last->bytes += bytes;
    else
        pieces[(*count)++] = (struct virtq_piece){phys, bytes};
}

/* One Tread of up to PAGES_MOST pages straight into their frames. Returns the bytes read, or -errno. */
static ssize_t read_pages(struct ninep *fs, u32 fid, u64 index, struct frame **frames, unsigned count) {
    struct call *c = call_create(fs, TREAD, 4 + 8 + 4, 4);
    struct virtq_piece *pieces = kmalloc((count + 2) * sizeof(*pieces));
    struct vring_desc *table = kmalloc((count + 2) * sizeof(*table));
    ssize_t result = -ENOMEM;
    if (c && pieces && table) {
        put32(c, fid);
        put64(c, index << PAGE_SHIFT);
        put32(c, count << PAGE_SHIFT);
        call_seal(c, 0);
        u16 in = 0;
        pieces[0] = c->pieces[0];
        pieces_add(pieces + 1, &in, c->pieces[1].phys, READ_HEAD_BYTES);
        for (unsigned i = 0; i < count; i++)
            pieces_add(pieces + 1, &in, frame_phys(frames[i]), PAGE_SIZE);
        c->io.pieces = pieces;
        c->io.in = in;
        c->io.table = table;
        result = call_exchange(c);
        if (result == 0)
            result = take32(c);
        if (result > (ssize_t)((u64)count << PAGE_SHIFT) || c->overrun)
            result = -EIO;
    }
    kfree(table);
    kfree(pieces);
    kfree(c);
    return result;
}

/* Zeroes what lies in the frames from byte `from` on. */
static void zero_rest(struct frame **frames, unsigned count, u64 from) {
    for (u64 i = from >> PAGE_SHIFT; i < count; i++, from = i << PAGE_SHIFT)
        memset((u8 *)frame_va(frames[i]) + (from & ~PAGE_MASK), 0, PAGE_SIZE - (from & ~PAGE_MASK));
}

static int ninep_read(struct lower *l, struct lower_node *node, u64 index, struct frame **frames, unsigned count) {
    struct ninep *fs = ninep_of(l);
    int error = node_open(fs, node, &node->reading, open_reading);
    bool ended = false;
    while (!error && count) {
        unsigned part = min(count, PAGES_MOST);
        ssize_t got = ended ? 0 : read_pages(fs, node->fid, index, frames, part);
        if (got < 0) {
            error = got;
        } else {
            ended = got < (ssize_t)((u64)part << PAGE_SHIFT); /* the server reads on until the end of the file */
            zero_rest(frames, part, got);
            index += part;
            frames += part;
            count -= part;
        }
    }
    return error;
}

static int ninep_readdir(struct lower *l, struct lower_node *dir, u64 position, struct lower_sink *sink) {
    struct ninep *fs = ninep_of(l);
    int error = node_open(fs, dir, &dir->reading, open_reading);
    if (error)
        return error;
    u32 room = READDIR_BYTES;
    struct call *c = call_create(fs, TREADDIR, 4 + 8 + 4, 4 + room);
    if (!c) {
        room = KiB; /* a name at least */
        c = call_create(fs, TREADDIR, 4 + 8 + 4, 4 + room);
    }
    if (!c)
        return -ENOMEM;
    put32(c, dir->fid);
    put64(c, position);
    put32(c, room);
    error = call_run(c);
    u32 bytes = error ? 0 : take32(c);
    c->end = c->at + min(bytes, c->end - c->at);
    while (!error && c->at < c->end) {
        take8(c); /* qid: type, version, path */
        take32(c);
        u64 ino = take64(c), next = take64(c);
        u8 type = take8(c);
        u16 length = take16(c);
        const u8 *name = take_bytes(c, length);
        if (c->overrun || !length || length > NAME_MOST)
            error = -EIO;
        else if (!sink->entry(sink, (const char *)name, length, ino, type, next))
            break;
    }
    kfree(c);
    return error;
}

static ssize_t ninep_readlink(struct lower *l, struct lower_node *node, char *buffer, size_t bytes) {
    struct call *c = call_create(ninep_of(l), TREADLINK, 4, 2 + min(bytes, (size_t)TARGET_MOST));
    if (!c)
        return -ENOMEM;
    put32(c, node->fid);
    ssize_t result = call_run(c);
    if (result == 0) {
        u16 length = min(take16(c), (u16)min(bytes, (size_t)TARGET_MOST));
        const u8 *target = take_bytes(c, length);
        if (target)
            memcpy(buffer, target, length);
        result = target ? length : -EIO;
    }
    kfree(c);
    return result;
}

static int ninep_statfs(struct lower *l, struct lower_node *node, struct lower_statfs *out) {
    struct call *c = call_create(ninep_of(l), TSTATFS, 4, 4 + 4 + 6 * 8 + 4);
    if (!c)
        return -ENOMEM;
    put32(c, node->fid);
    int error = call_run(c);
    if (!error) {
        out->type = take32(c);
        out->block_bytes = take32(c);
        out->blocks = take64(c);
        out->free = take64(c);
        out->available = take64(c);
        out->files = take64(c);
        out->files_free = take64(c);
        take64(c); /* fsid */
        out->name_most = take32(c);
        error = c->overrun ? -EIO : 0;
        /* QEMU counts in blocks nearly as big as a message; programs expect what a disk has. */
        u64 factor = out->block_bytes % PAGE_SIZE == 0 ? out->block_bytes / PAGE_SIZE : 1;
        out->block_bytes /= max(factor, (u64)1);
        out->blocks *= factor;
        out->free *= factor;
        out->available *= factor;
    }
    kfree(c);
    return error;
}

/* Reads the contents of an attribute's fid. */
static ssize_t xattr_contents(struct ninep *fs, u32 fid, void *value, size_t bytes) {
    struct call *c = call_create(fs, TREAD, 4 + 8 + 4, 4 + bytes);
    if (!c)
        return -ENOMEM;
    put32(c, fid);
    put64(c, 0);
    put32(c, bytes);
    ssize_t result = call_run(c);
    if (result == 0) {
        u32 length = take32(c);
        const u8 *from = take_bytes(c, length);
        result = from && length <= bytes ? length : -EIO;
        if (result > 0)
            memcpy(value, from, length);
    }
    kfree(c);
    return result;
}

/* Reads an attribute, or their names (name ""). */
static ssize_t ninep_getxattr(struct lower *l, struct lower_node *node, const char *name, void *value, size_t bytes) {
    struct ninep *fs = ninep_of(l);
    size_t length = strlen(name);
    struct call *c = call_create(fs, TXATTRWALK, 4 + 4 + 2 + length, 8);
    if (!c)
        return -ENOMEM;
    u32 fid = fid_new(fs);
    put32(c, node->fid);
    put32(c, fid);
    put_string(c, name, length);
    int error = call_run(c);
    u64 size = error ? 0 : take64(c);
    kfree(c);
    if (error)
        return error;
    ssize_t result = size;
    if (bytes && size > bytes)
        result = -ERANGE;
    else if (bytes && size)
        result = xattr_contents(fs, fid, value, size);
    fid_clunk(fs, fid);
    return result;
}

static ssize_t ninep_listxattr(struct lower *l, struct lower_node *node, char *list, size_t bytes) {
    return ninep_getxattr(l, node, "", list, bytes);
}

/* ---- changes ---- */

static int setattr_once(struct ninep *fs, struct lower_node *node, u32 valid, const struct lower_attr *a) {
    struct call *c = call_create(fs, TSETATTR, 4 + 4 * 4 + 5 * 8, 0);
    if (!c)
        return -ENOMEM;
    u32 set = valid | (valid & LOWER_ATIME ? SETATTR_ATIME_SET : 0) | (valid & LOWER_MTIME ? SETATTR_MTIME_SET : 0);
    put32(c, node->fid);
    put32(c, set);
    put32(c, a->mode & ~S_IFMT);
    put32(c, a->uid);
    put32(c, a->gid);
    put64(c, a->bytes);
    put_time(c, a->atime_ns);
    put_time(c, a->mtime_ns);
    return call_finish(c);
}

/* The server sets the size last, which changes the times: so a size goes first, in a message of its own. */
static int ninep_setattr(struct lower *l, struct lower_node *node, u32 valid, const struct lower_attr *a) {
    int error = valid & LOWER_SIZE ? setattr_once(ninep_of(l), node, LOWER_SIZE, a) : 0;
    if (!error && valid & ~LOWER_SIZE)
        error = setattr_once(ninep_of(l), node, valid & ~LOWER_SIZE, a);
    return error;
}

/* Makes the entry that was just created a node. The server runs as somebody: if it may not give the file away, it stays
 * that one's, as it would for the same user on the host. */
static int node_created(struct ninep *fs, struct lower_node *dir, const char *name, size_t bytes, u32 uid, u32 gid,
                        struct lower_node **out, struct lower_attr *attr) {
    int error = ninep_lookup(&fs->lower, dir, name, bytes, out, attr);
    if (error || (attr->uid == uid && attr->gid == gid))
        return error;
    struct lower_attr owner = {.uid = uid, .gid = gid};
    if (ninep_setattr(&fs->lower, *out, LOWER_UID | LOWER_GID, &owner) == 0) {
        attr->uid = uid;
        attr->gid = gid;
    }
    return 0;
}

/* A regular file: Tlcreate turns a copy of the directory's fid into the open file. *out_fid: that fid. */
static int file_create(struct ninep *fs, struct lower_node *dir, const char *name, size_t bytes, u32 mode, u32 gid,
                       u32 *out_fid) {
    u32 fid;
    int error = fid_walk(fs, dir->fid, NULL, 0, &fid);
    if (error)
        return error;
    struct call *c = call_create(fs, TLCREATE, 4 + 2 + bytes + 4 + 4 + 4, QID_BYTES + 4);
    if (c) {
        put32(c, fid);
        put_string(c, name, bytes);
        put32(c, O_RDWR | O_CREAT | O_EXCL);
        put32(c, mode & ~S_IFMT);
        put32(c, gid);
    }
    error = call_finish(c);
    if (error)
        fid_clunk(fs, fid);
    else
        *out_fid = fid;
    return error;
}

static int directory_create(struct ninep *fs, struct lower_node *dir, const char *name, size_t bytes, u32 mode,
                            u32 gid) {
    struct call *c = call_create(fs, TMKDIR, 4 + 2 + bytes + 4 + 4, QID_BYTES);
    if (c) {
        put32(c, dir->fid);
        put_string(c, name, bytes);
        put32(c, mode & ~S_IFMT);
        put32(c, gid);
    }
    return call_finish(c);
}

static int special_create(struct ninep *fs, struct lower_node *dir, const char *name, size_t bytes, u32 mode, u64 rdev,
                          u32 gid) {
    struct call *c = call_create(fs, TMKNOD, 4 + 2 + bytes + 4 + 4 + 4 + 4, QID_BYTES);
    if (c) {
        put32(c, dir->fid);
        put_string(c, name, bytes);
        put32(c, mode);
        put32(c, rdev >> 8 & 0xfff);
        put32(c, (rdev & 0xff) | (rdev >> 12 & 0xfff00));
        put32(c, gid);
    }
    return call_finish(c);
}

static int ninep_create(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, u32 mode, u64 rdev,
                        u32 uid, u32 gid, struct lower_node **out, struct lower_attr *attr) {
    struct ninep *fs = ninep_of(l);
    u32 fid = NOFID;
    int error;
    if (S_ISREG(mode))
        error = file_create(fs, dir, name, bytes, mode, gid, &fid);
    else if (S_ISDIR(mode))
        error = directory_create(fs, dir, name, bytes, mode, gid);
    else
        error = special_create(fs, dir, name, bytes, mode, rdev, gid);
    if (!error)
        error = node_created(fs, dir, name, bytes, uid, gid, out, attr);
    if (!error && fid != NOFID) {
        (*out)->write_fid = fid;
        (*out)->writing = FID_OPEN;
    } else if (fid != NOFID) {
        fid_clunk(fs, fid);
    }
    return error;
}

static int ninep_symlink(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, const char *target,
                         u32 uid, u32 gid, struct lower_node **out, struct lower_attr *attr) {
    size_t length = strlen(target);
    struct call *c = call_create(ninep_of(l), TSYMLINK, 4 + 2 + bytes + 2 + length + 4, QID_BYTES);
    if (c) {
        put32(c, dir->fid);
        put_string(c, name, bytes);
        put_string(c, target, length);
        put32(c, gid);
    }
    int error = call_finish(c);
    return error ? error : node_created(ninep_of(l), dir, name, bytes, uid, gid, out, attr);
}

static int ninep_link(struct lower *l, struct lower_node *dir, const char *name, size_t bytes,
                      struct lower_node *target) {
    struct call *c = call_create(ninep_of(l), TLINK, 4 + 4 + 2 + bytes, 0);
    if (c) {
        put32(c, dir->fid);
        put32(c, target->fid);
        put_string(c, name, bytes);
    }
    return call_finish(c);
}

static int ninep_unlink(struct lower *l, struct lower_node *dir, const char *name, size_t bytes, bool directory) {
    struct call *c = call_create(ninep_of(l), TUNLINKAT, 4 + 2 + bytes + 4, 0);
    if (c) {
        put32(c, dir->fid);
        put_string(c, name, bytes);
        put32(c, directory ? AT_REMOVEDIR_9P : 0);
    }
    return call_finish(c);
}

static int ninep_rename(struct lower *l, struct lower_node *from, const char *name, size_t bytes, struct lower_node *to,
                        const char *new_name, size_t new_bytes) {
    struct call *c = call_create(ninep_of(l), TRENAMEAT, 4 + 2 + bytes + 4 + 2 + new_bytes, 0);
    if (c) {
        put32(c, from->fid);
        put_string(c, name, bytes);
        put32(c, to->fid);
        put_string(c, new_name, new_bytes);
    }
    return call_finish(c);
}

/* One Twrite on a fid, the bytes taken where they are: `count` pieces (direct map), with room for one before them and
 * one after. Returns bytes written, or -errno. */
static ssize_t fid_write(struct ninep *fs, u32 fid, struct virtq_piece *pieces, u16 count, u32 bytes, u64 offset) {
    struct call *c = call_create(fs, TWRITE, 4 + 8 + 4, 4);
    struct vring_desc *table = kmalloc((count + 2) * sizeof(*table));
    ssize_t result = -ENOMEM;
    if (c && table) {
        put32(c, fid);
        put64(c, offset);
        put32(c, bytes);
        call_seal(c, bytes);
        pieces[0] = c->pieces[0];
        pieces[count + 1] = c->pieces[1];
        c->io.pieces = pieces;
        c->io.out = count + 1;
        c->io.table = table;
        result = call_exchange(c);
        if (result == 0)
            result = take32(c);
        if (result > (ssize_t)bytes || c->overrun)
            result = -EIO;
    }
    kfree(table);
    kfree(c);
    return result;
}

#define WRITE_PIECES 32u /* pages of one write-back: room on the stack, for it is memory that this may bring */

static ssize_t ninep_write(struct lower *l, struct lower_node *node, const void *from, size_t bytes, u64 offset) {
    struct ninep *fs = ninep_of(l);
    ssize_t result = node_open(fs, node, &node->writing, open_writing);
    u32 part = (u32)min(bytes, (size_t)PAGES_MOST << PAGE_SHIFT);
    struct virtq_piece pieces[3] = {[1] = {dma_phys(from), part}};
    if (result == 0)
        result = fid_write(fs, node->write_fid, pieces, 1, part, offset);
    return result == 0 && bytes ? -EIO : result;
}

static ssize_t ninep_write_pages(struct lower *l, struct lower_node *node, struct frame **frames, size_t bytes,
                                 u64 offset) {
    struct ninep *fs = ninep_of(l);
    ssize_t result = node_open(fs, node, &node->writing, open_writing);
    struct virtq_piece pieces[WRITE_PIECES + 2];
    u16 count = 0;
    u32 part = (u32)min(bytes, (size_t)WRITE_PIECES << PAGE_SHIFT);
    for (u32 done = 0; done < part; done += PAGE_SIZE)
        pieces_add(pieces + 1, &count, frame_phys(*frames++), min(part - done, (u32)PAGE_SIZE));
    if (result == 0)
        result = fid_write(fs, node->write_fid, pieces, count, part, offset);
    return result == 0 && bytes ? -EIO : result;
}

static int ninep_fsync(struct lower *l, struct lower_node *node, bool data_only) {
    struct ninep *fs = ninep_of(l);
    bool writing = atomic_load(&node->writing) == FID_OPEN;
    int error = writing ? 0 : node_open(fs, node, &node->reading, open_reading);
    if (error)
        return error;
    struct call *c = call_create(fs, TFSYNC, 4 + 4, 0);
    if (c) {
        put32(c, writing ? node->write_fid : node->fid);
        put32(c, data_only);
    }
    return call_finish(c);
}

/* The value is written to a fid of its own and set when that one is given back, so this clunk is waited for. */
static int ninep_setxattr(struct lower *l, struct lower_node *node, const char *name, const void *value, size_t bytes,
                          int flags) {
    struct ninep *fs = ninep_of(l);
    size_t length = strlen(name);
    u32 fid;
    void *copy = bytes ? kmalloc(bytes) : NULL;
    if (bytes && !copy)
        return -ENOMEM;
    if (bytes)
        memcpy(copy, value, bytes);
    int error = fid_walk(fs, node->fid, NULL, 0, &fid);
    if (!error) {
        struct call *c = call_create(fs, TXATTRCREATE, 4 + 2 + length + 8 + 4, 0);
        if (c) {
            put32(c, fid);
            put_string(c, name, length);
            put64(c, bytes);
            put32(c, flags);
        }
        error = call_finish(c);
        struct virtq_piece pieces[3] = {[1] = {copy ? dma_phys(copy) : 0, (u32)bytes}};
        ssize_t written = error || !bytes ? (ssize_t)bytes : fid_write(fs, fid, pieces, 1, (u32)bytes, 0);
        if (written != (ssize_t)bytes)
            error = written < 0 ? written : -EIO;
        c = call_create(fs, TCLUNK, 4, 0);
        if (c)
            put32(c, fid);
        int closed = call_finish(c);
        error = error ? error : closed;
    }
    kfree(copy);
    return error;
}

/* ---- attach ---- */

static const struct lower_ops ninep_ops = {
    .lookup = ninep_lookup,
    .put = ninep_put,
    .getattr = ninep_getattr,
    .open = ninep_open,
    .readdir = ninep_readdir,
    .readlink = ninep_readlink,
    .read = ninep_read,
    .statfs = ninep_statfs,
    .getxattr = ninep_getxattr,
    .listxattr = ninep_listxattr,
    .create = ninep_create,
    .symlink = ninep_symlink,
    .link = ninep_link,
    .unlink = ninep_unlink,
    .rename = ninep_rename,
    .setattr = ninep_setattr,
    .write = ninep_write,
    .write_pages = ninep_write_pages,
    .fsync = ninep_fsync,
    .setxattr = ninep_setxattr,
};

/* Agrees on the protocol and on the size of messages: the server must take ours. */
static int session_start(struct ninep *fs) {
    static const char version[] = "9P2000.L";
    struct call *c = call_create(fs, TVERSION, 4 + 2 + sizeof(version) - 1, 4 + 2 + 32);
    if (!c)
        return -ENOMEM;
    put32(c, MSIZE);
    put_string(c, version, sizeof(version) - 1);
    int error = call_run(c);
    if (!error) {
        u32 size = take32(c);
        u16 length = take16(c);
        const u8 *spoken = take_bytes(c, length);
        if (size != MSIZE || length != sizeof(version) - 1 || !spoken || memcmp(spoken, version, length) != 0)
            error = -EPROTONOSUPPORT;
    }
    kfree(c);
    return error;
}

static int root_attach(struct ninep *fs) {
    static const char user[] = "root";
    struct call *c = call_create(fs, TATTACH, 4 + 4 + 2 + sizeof(user) - 1 + 2 + 4, QID_BYTES);
    if (c) {
        put32(c, ROOT_FID);
        put32(c, NOFID);
        put_string(c, user, sizeof(user) - 1);
        put_string(c, "", 0);
        put32(c, 0); /* n_uname: root's number; QEMU acts as the user who started it all the same */
    }
    int error = call_finish(c);
    return error ? error : fid_getattr(fs, ROOT_FID, &fs->lower.root_attr);
}

struct lower *ninep_attach(const char *tag) {
    struct p9_channel *channel = p9_find(tag);
    if (!channel)
        return err_ptr(-ENODEV);
    struct ninep *fs = kzalloc(sizeof(*fs));
    if (!fs)
        return err_ptr(-ENOMEM);
    fs->channel = channel;
    fs->next_fid = ROOT_FID;
    fs->root.fid = ROOT_FID;
    fs->lower.ops = &ninep_ops;
    fs->lower.root = &fs->root;
    waitq_init(&fs->opened);
    int error = session_start(fs);
    if (!error)
        error = root_attach(fs);
    if (error) {
        kfree(fs);
        return err_ptr(error);
    }
    return &fs->lower;
}
