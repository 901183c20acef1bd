/* host.c - the conversation with the command: wire.h's messages over a virtio console.
 *
 * Owns the channel: questions that wait for their answer, by tag; the parser of what comes in; the heartbeat; the
 * signals and window sizes that the command sends on its own. Does not know what a terminal is (fs/tty.c), nor whose a
 * stream is.
 *
 * A question is sent, then its task sleeps until it is answered and the device has let go of its bytes. Answers arrive
 * in any order. The parser runs as work, so it may not allocate: an answer's payload goes straight to the buffer that
 * the asker brought. The one message whose size the asker cannot know, CONFIG, stalls the parser until host_configure
 * has a buffer.
 *
 * Locks: channel.lock protects the questions' state and the parser; taken before a wait queue's. Whoever saw its
 * question finished takes it once more before the memory goes, so that the waker is out of it. */
#include <asm/poll.h>
#include <linux/virtio_console.h>

#include "dev/host.h"
#include "dev/virtio.h"
#include "fs/tty.h"
#include "main.h"
#include "task/task.h"
#include "vm/slab.h"

#define BEAT_NS 500000000UL  /* wire.h */
#define UP_NS 5000000000UL   /* for QEMU to open the port, and at the end to take our last words */
#define DRAIN_NS 100000000UL /* for the terminal's last echo */
#define RECEIVE_BUFFERS 8    /* QEMU hands over at most 4 KiB at a time; eight let it run ahead of the parser */
#define RING_MOST 64         /* questions in flight: two descriptors each */
#define CONTROL_RING 8
#define CONFIG_MOST                                                                                                    \
    (4 * MiB)           /* Linux lets arguments and environment have 2 MiB by default (a quarter of an 8 MiB stack) */
#define WORDS_MOST 1024 /* of a FAIL line */

struct question {
    struct wire_message ask; /* read by the device, with the payload behind it */
    u8 payload[12];
    u32 payload_bytes;
    struct wire_message cancel; /* read by the device */
    void *buffer;               /* for the answer's payload */
    u32 room, received;
    s32 value;
    unsigned in_flight; /* messages that the device still holds */
    bool answered;
    struct waitq *queue; /* woken when answered or let go */
    struct waitq own;
    struct list link; /* in channel.questions while not answered */
};
_Static_assert(offsetof(struct question, payload) == sizeof(struct wire_message), "sent as one piece");

struct receive_buffer {
    struct list link; /* in channel.received */
    u8 *data;
    u32 bytes, offset; /* came in; parsed so far */
};

static struct channel {
    struct virtio_device *device;
    struct virtq *receive, *send, *control_receive, *control_send;
    bool up; /* the port is open */
    struct waitq up_wait;
    struct virtio_console_control *control; /* 0..3: received into; 4..6: sent */

    struct spin lock;
    u32 next_tag;
    struct list questions; /* of struct question */
    struct list received;  /* of struct receive_buffer: not parsed yet */

    /* parser: the message that is coming in */
    struct wire_message head;
    u32 head_bytes, payload_offset;
    struct question *to; /* its asker, or NULL: `small` or nowhere */
    u8 small[8];
    bool stalled;

    struct question *config; /* host_configure's */
    struct question *trace;
    struct question *beat, *last; /* made early: the heartbeat, and the last words, which must not need memory */
    char *words;
    struct timer beat_timer;
    struct work beat_work, event_work;
    u64 signals;      /* atomic: bit n-1: the command sent signal n */
    u64 window;       /* atomic: the four shorts of WINDOW */
    bool window_came; /* atomic */
} channel;

/* ---- questions ---- */

static struct question *question_create(enum wire_type type, s32 value) {
    struct question *q = kzalloc(sizeof(*q));
    if (!q)
        return NULL;
    q->ask.type = type;
    q->ask.value = value;
    waitq_init(&q->own);
    q->queue = &q->own;
    list_init(&q->link);
    return q;
}

static void question_payload(struct question *q, const void *payload, u32 bytes) {
    memcpy(q->payload, payload, bytes);
    q->payload_bytes = bytes;
}

/* Sends a message of q: header and its own small payload in one piece, then `more`. May sleep for room. */
static void question_transmit(struct question *q, struct wire_message *head, u32 small_bytes, const void *more,
                              u32 more_bytes) {
    head->bytes = small_bytes + more_bytes;
    struct virtq_piece pieces[2] = {{dma_phys(head), sizeof(*head) + small_bytes}};
    if (more_bytes)
        pieces[1] = (struct virtq_piece){dma_phys(more), more_bytes};
    spin_lock(&channel.lock);
    q->in_flight++;
    spin_unlock(&channel.lock);
    virtq_submit_wait(channel.send, pieces, more_bytes ? 2 : 1, 0, NULL, q);
}

static void question_send(struct question *q, const void *more, u32 more_bytes) {
    spin_lock(&channel.lock);
    if (++channel.next_tag == 0)
        channel.next_tag = 1;
    q->ask.tag = q->cancel.value = channel.next_tag;
    q->answered = false;
    q->received = 0;
    list_add_tail(&channel.questions, &q->link);
    spin_unlock(&channel.lock);
    question_transmit(q, &q->ask, q->payload_bytes, more, more_bytes);
}

/* A message that nobody answers. */
static void question_tell(struct question *q, const void *more, u32 more_bytes) {
    q->answered = true;
    question_transmit(q, &q->ask, q->payload_bytes, more, more_bytes);
}

static bool question_finished(struct question *q) {
    return atomic_load(&q->answered) && atomic_load_relaxed(&q->in_flight) == 0;
}

static void question_cancel(struct question *q) {
    if (q->cancel.type || atomic_load(&q->answered))
        return;
    q->cancel.type = WIRE_CANCEL;
    question_transmit(q, &q->cancel, 0, NULL, 0);
}

/* Waits for what comes soon. The caller may be registered on other queues (poll) and woken there, so that task_sleep
 * returns at once; then schedule lets the others run, and with them the work that brings the answer. */
static void question_settle(struct question *q) {
    while (!question_finished(q)) {
        struct waiter w;
        waitq_add(q->queue, &w);
        if (!question_finished(q))
            task_sleep(false, SLEEP_FOREVER);
        waitq_remove(&w);
        if (!question_finished(q))
            schedule();
    }
    spin_lock(&channel.lock); /* the waker is out of q */
    spin_unlock(&channel.lock);
    q->cancel.type = 0;
}

/* The whole of a question: its value. nowait: cancelled at once, so answered at once. -ERESTARTSYS is the caller's to
 * make. */
static s32 question_ask(struct question *q, const void *more, u32 more_bytes, bool nowait) {
    question_send(q, more, more_bytes);
    if (nowait || wait_until_interruptible(q->queue, question_finished(q)) < 0)
        question_cancel(q);
    question_settle(q);
    return nowait && q->value == -EINTR ? -EAGAIN : q->value;
}

ssize_t host_read_stream(unsigned stream, void *buffer, size_t most, bool nowait) {
    struct question *q = question_create(WIRE_READ, stream);
    if (!q)
        return -ENOMEM;
    u32 room = min(most, (size_t)WIRE_MOST);
    question_payload(q, &room, sizeof(room));
    q->buffer = buffer;
    q->room = room;
    s32 result = question_ask(q, NULL, 0, nowait);
    if (result > 0 && (u32)result != q->received)
        result = -EIO;
    kfree(q);
    return result;
}

ssize_t host_write_stream(unsigned stream, const void *buffer, size_t bytes, bool nowait) {
    struct question *q = question_create(WIRE_WRITE, stream);
    if (!q)
        return -ENOMEM;
    u32 most = min(bytes, (size_t)WIRE_MOST);
    s32 result = question_ask(q, buffer, most, nowait);
    if (result > 0 && (u32)result > most)
        result = -EIO;
    kfree(q);
    return result;
}

ssize_t host_read(unsigned stream, void *buffer, size_t most) { return host_read_stream(stream, buffer, most, false); }
ssize_t host_write(unsigned stream, const void *buffer, size_t bytes) {
    return host_write_stream(stream, buffer, bytes, false);
}

s64 host_seek(unsigned stream, s64 offset, int whence) {
    struct question *q = question_create(WIRE_SEEK, stream);
    s64 *position = kzalloc(sizeof(*position));
    s64 result = -ENOMEM;
    if (q && position) {
        struct __attribute__((packed)) {
            s64 offset;
            u32 whence;
        } seek = {offset, whence};
        question_payload(q, &seek, sizeof(seek));
        q->buffer = position;
        q->room = sizeof(*position);
        question_send(q, NULL, 0);
        question_settle(q);
        result = q->value < 0 ? q->value : q->received == sizeof(*position) ? *position : -EIO;
    }
    kfree(position);
    kfree(q);
    return result;
}

u32 host_poll_now(unsigned stream, u32 events) {
    struct question *q = question_create(WIRE_POLL, stream);
    if (!q)
        return POLLERR;
    question_payload(q, &events, sizeof(events));
    question_send(q, NULL, 0);
    question_cancel(q);
    question_settle(q);
    u32 found = q->value < 0 ? 0 : q->value;
    kfree(q);
    return found;
}

struct host_watch {
    struct question q;
    struct mutex mutex; /* one arms at a time */
    u32 events;         /* asked for last */
};

struct host_watch *host_watch_create(unsigned stream, struct waitq *queue) {
    struct host_watch *w = kzalloc(sizeof(*w));
    if (!w)
        return NULL;
    w->q.ask.type = WIRE_POLL;
    w->q.ask.value = stream;
    w->q.queue = queue;
    w->q.answered = true;
    list_init(&w->q.link);
    mutex_init(&w->mutex);
    return w;
}

void host_watch_arm(struct host_watch *w, u32 events) {
    mutex_lock(&w->mutex);
    bool standing = !atomic_load(&w->q.answered);
    if (standing && (w->events & events) != events) {
        events |= w->events; /* of another poller */
        question_cancel(&w->q);
        standing = false;
    }
    if (!standing) {
        question_settle(&w->q);
        w->events = events;
        question_payload(&w->q, &events, sizeof(events));
        question_send(&w->q, NULL, 0);
    }
    mutex_unlock(&w->mutex);
}

/* A program that Ctrl-C ends, or Ctrl-Z stops, may be gone before its "^C" is on the screen. */
static void echo_settle(void) {
    if (tty_host())
        tty_drain(tty_host(), clock_ns() + DRAIN_NS);
}

void host_stopped(int signal) {
    echo_settle();
    struct question *q = question_create(WIRE_STOPPED, signal);
    if (!q)
        return; /* the command then simply goes on waiting, as it would for a program that sleeps */
    question_tell(q, NULL, 0);
    question_settle(q);
    kfree(q);
}

bool host_trace_open(void) {
    channel.trace = question_create(WIRE_TRACE, 0);
    return channel.trace;
}

void host_trace(const u64 *words, u32 bytes) {
    question_tell(channel.trace, words, bytes);
    question_settle(channel.trace);
}

/* ---- what comes in: work context ---- */

static void sent_done(struct virtq *queue, void *token, u32 bytes) {
    struct question *q = token;
    spin_lock(&channel.lock);
    q->in_flight--;
    waitq_wake_all(q->queue);
    spin_unlock(&channel.lock);
}

/* The header is there: where does its payload go? Channel locked. */
static void message_begin(void) {
    struct question *q;
    channel.to = NULL;
    channel.payload_offset = 0;
    if (channel.head.type == WIRE_CONFIG && channel.config && !channel.config->answered) {
        channel.to = channel.config;
        channel.stalled = !channel.to->buffer;
        waitq_wake_all(channel.to->queue);
    } else if (channel.head.type == WIRE_ANSWER) {
        list_for_each(q, &channel.questions, link) {
            if (q->ask.tag == channel.head.tag) {
                channel.to = q;
                break;
            }
        }
    }
}

static void message_payload(const u8 *data, u32 bytes) {
    u8 *to = channel.to ? channel.to->buffer : channel.small;
    u32 room = channel.to ? channel.to->room : sizeof(channel.small);
    if (to && channel.payload_offset < room)
        memcpy(to + channel.payload_offset, data, min(bytes, room - channel.payload_offset));
    channel.payload_offset += bytes;
}

static void message_end(void) {
    struct question *q = channel.to;
    if (q) {
        q->value = channel.head.value;
        q->received = min(channel.head.bytes, q->room);
        atomic_store(&q->answered, true);
        list_del(&q->link);
        waitq_wake_all(q->queue);
    } else if (channel.head.type == WIRE_SIGNAL && channel.head.value >= 1 && channel.head.value <= SIGNAL_COUNT) {
        atomic_or(&channel.signals, signal_bit(channel.head.value));
        cpu_queue_work(cpu_id(), &channel.event_work);
    } else if (channel.head.type == WIRE_WINDOW && channel.head.bytes == sizeof(channel.window)) {
        u64 window;
        memcpy(&window, channel.small, sizeof(window));
        atomic_store(&channel.window, window);
        atomic_store(&channel.window_came, true);
        cpu_queue_work(cpu_id(), &channel.event_work);
    }
    channel.head_bytes = 0;
    channel.to = NULL;
}

/* Parses until the data end or the parser stalls; returns how many bytes it took. Channel locked. */
static u32 parse(const u8 *data, u32 bytes) {
    u32 taken = 0;
    while (!channel.stalled) {
        u32 part;
        if (channel.head_bytes < sizeof(channel.head)) {
            part = min(bytes - taken, (u32)sizeof(channel.head) - channel.head_bytes);
            memcpy((u8 *)&channel.head + channel.head_bytes, data + taken, part);
            channel.head_bytes += part;
            if (channel.head_bytes == sizeof(channel.head))
                message_begin();
        } else {
            part = min(bytes - taken, channel.head.bytes - channel.payload_offset);
            message_payload(data + taken, part);
        }
        taken += part;
        bool whole = channel.head_bytes == sizeof(channel.head) && channel.payload_offset == channel.head.bytes;
        if (whole && !channel.stalled)
            message_end();
        else if (taken == bytes)
            break;
    }
    return taken;
}

static void receive_post(struct receive_buffer *b) {
    struct virtq_piece piece = {dma_phys(b->data), PAGE_SIZE};
    int error = virtq_submit(channel.receive, &piece, 0, 1, NULL, b);
    assert(!error); /* the ring has room for all there are */
}

/* Parses what has been received, in order, and gives the buffers back to the device. */
static void receive_pump(void) {
    for (;;) {
        struct receive_buffer *b = NULL;
        spin_lock(&channel.lock);
        if (!channel.stalled && !list_empty(&channel.received)) {
            b = list_first(&channel.received, struct receive_buffer, link);
            b->offset += parse(b->data + b->offset, b->bytes - b->offset);
            if (b->offset == b->bytes)
                list_del(&b->link);
            else
                b = NULL;
        }
        spin_unlock(&channel.lock);
        if (!b)
            break;
        receive_post(b);
    }
}

static void received_done(struct virtq *queue, void *token, u32 bytes) {
    struct receive_buffer *b = token;
    b->bytes = min(bytes, (u32)PAGE_SIZE);
    b->offset = 0;
    spin_lock(&channel.lock);
    list_add_tail(&channel.received, &b->link);
    spin_unlock(&channel.lock);
    receive_pump();
}

/* Signals and window sizes, out of the parser's lock. A signal that comes before there is a program waits for it (the
 * heartbeat looks again). */
static void event_run(struct work *work) {
    int group = process_first_group();
    for (int signal = 1; group && signal <= SIGNAL_COUNT; signal++)
        if (atomic_and(&channel.signals, ~signal_bit(signal)) & signal_bit(signal))
            signal_group(group, signal, NULL);
    if (atomic_xchg(&channel.window_came, false)) {
        u64 window = atomic_load(&channel.window);
        tty_host_window(window, window >> 16, window >> 32, window >> 48);
    }
}

/* ---- heartbeat ---- */

static void beat_run(struct timer *timer) {
    struct question *q = channel.beat;
    struct virtq_piece piece = {dma_phys(&q->ask), sizeof(q->ask)};
    /* A beat that the command has not taken yet says as much as a second one would. */
    if (atomic_load(&q->in_flight) == 0) {
        spin_lock(&channel.lock);
        q->in_flight = 1;
        spin_unlock(&channel.lock);
        if (virtq_submit(channel.send, &piece, 1, 0, NULL, q) != 0)
            atomic_store(&q->in_flight, 0);
    }
    if (atomic_load(&channel.signals))
        event_run(NULL);
    timer_arm(timer, clock_ns() + BEAT_NS);
}

/* On CPU 0, whose timer queue the heartbeat stays on. */
static void beat_start(struct work *work) { beat_run(&channel.beat_timer); }

/* ---- start ---- */

static void control_send(unsigned slot, u32 port, u16 event) {
    struct virtio_console_control *c = &channel.control[slot];
    *c = (struct virtio_console_control){.id = port, .event = event, .value = 1};
    struct virtq_piece piece = {dma_phys(c), sizeof(*c)};
    int error = virtq_submit(channel.control_send, &piece, 1, 0, NULL, c);
    assert(!error); /* three in all */
}

static void control_post(struct virtio_console_control *c) {
    struct virtq_piece piece = {dma_phys(c), sizeof(*c)};
    int error = virtq_submit(channel.control_receive, &piece, 0, 1, NULL, c);
    assert(!error);
}

static void control_sent(struct virtq *queue, void *token, u32 bytes) {}

/* The device names its ports; we take port 1, and have it when the host's end is open too. */
static void control_received(struct virtq *queue, void *token, u32 bytes) {
    struct virtio_console_control *c = token;
    if (c->id == 1 && c->event == VIRTIO_CONSOLE_PORT_ADD) {
        control_send(5, 1, VIRTIO_CONSOLE_PORT_READY);
        control_send(6, 1, VIRTIO_CONSOLE_PORT_OPEN);
    } else if (c->id == 1 && c->event == VIRTIO_CONSOLE_PORT_OPEN && c->value) {
        atomic_store(&channel.up, true);
        waitq_wake_all(&channel.up_wait);
    }
    control_post(c);
}

static int control_start(struct virtio_device *d) {
    channel.control = kzalloc(7 * sizeof(*channel.control));
    channel.control_receive = virtq_create(d, 2, CONTROL_RING, control_received);
    channel.control_send = virtq_create(d, 3, CONTROL_RING, control_sent);
    return channel.control && channel.control_receive && channel.control_send ? 0 : -ENOMEM;
}

static int receive_start(void) {
    struct receive_buffer *buffers = kzalloc(RECEIVE_BUFFERS * sizeof(*buffers));
    for (unsigned i = 0; i < RECEIVE_BUFFERS; i++) {
        u8 *page = buffers ? pages_alloc(0, 0) : NULL;
        if (!page)
            return -ENOMEM;
        buffers[i].data = page;
        list_init(&buffers[i].link);
        receive_post(&buffers[i]);
    }
    return 0;
}

int console_probe(struct virtio_device *d) {
    if (channel.device)
        return -EBUSY;
    int error = virtio_negotiate(d, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT);
    bool ports = d->features >> VIRTIO_CONSOLE_F_MULTIPORT & 1;
    if (!error && ports)
        error = control_start(d);
    if (error)
        return error;
    channel.receive = virtq_create(d, ports ? 4 : 0, RING_MOST, received_done);
    channel.send = virtq_create(d, ports ? 5 : 1, RING_MOST, sent_done);
    channel.beat = question_create(WIRE_BEAT, 0);
    channel.last = question_create(WIRE_FAIL, 0);
    channel.words = kzalloc(WORDS_MOST);
    if (!channel.receive || !channel.send || !channel.beat || !channel.last || !channel.words)
        return -ENOMEM;
    error = virtio_ready(d);
    if (!error)
        error = receive_start();
    if (error)
        return error;
    channel.device = d;
    if (ports) {
        for (unsigned i = 0; i < 4; i++)
            control_post(&channel.control[i]);
        control_send(4, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY);
    } else {
        channel.up = true;
    }
    return 0;
}

void host_init(void) {
    list_init(&channel.questions);
    list_init(&channel.received);
    waitq_init(&channel.up_wait);
    channel.event_work.run = event_run;
    channel.beat_work.run = beat_start;
    channel.beat_timer.run = beat_run;
    virtio_init();
    wait_until_deadline(&channel.up_wait, !channel.device || atomic_load(&channel.up), false, clock_ns() + UP_NS);
    if (!atomic_load(&channel.up))
        host_fail(125, "the virtual machine has no channel to the command");
    cpu_queue_work(0, &channel.beat_work);
}

/* ---- the end ---- */

/* Waits until the device took all of the last question, then stops the machine. */
static noreturn void last_words(s32 value, const void *payload, u32 bytes) {
    struct question *q = channel.last;
    q->ask.value = value;
    question_tell(q, payload, bytes);
    (void)wait_until_deadline(q->queue, question_finished(q), false, clock_ns() + UP_NS);
    machine_stop();
}

void host_finish(int wait_status) {
    echo_settle();
    recorder_finish();
    char *stats = kzalloc(WIRE_MOST);
    struct wire_end *end = (struct wire_end *)channel.words;
    bool wanted = stats && boot_config.wire.flags & WIRE_WANT_STATS;
    size_t bytes = run_report(end, stats, wanted ? WIRE_MOST : 0);
    struct question *q = bytes ? question_create(WIRE_STATS, 0) : NULL;
    if (q) {
        question_tell(q, stats, min(bytes, (size_t)WIRE_MOST));
        question_settle(q);
    }
    channel.last->ask.type = WIRE_STATUS;
    last_words(wait_status, end, sizeof(*end));
}

void host_fail(int exit_code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (channel.device && atomic_load(&channel.up)) {
        int bytes = kvsnprintf(channel.words, WORDS_MOST, format, args);
        va_end(args);
        last_words(exit_code, channel.words, min(bytes, WORDS_MOST - 1));
    }
    char line[256];
    kvsnprintf(line, sizeof(line), format, args);
    va_end(args);
    kprintf(LOG_ERR "%s\n", line);
    machine_stop();
}

/* ---- the configuration ---- */

struct record {
    u32 kind, bytes;
    const char *data;
};

/* The next record; *at moves behind it. false: the end, or what is left is not a record (*at < bytes then). */
static bool record_next(const char *raw, u32 bytes, u32 *at, struct record *r) {
    u32 head[2];
    if (bytes - *at < sizeof(head))
        return false;
    memcpy(head, raw + *at, sizeof(head));
    u32 left = bytes - *at - sizeof(head);
    if (head[1] > left)
        return false;
    *r = (struct record){head[0], head[1], raw + *at + sizeof(head)};
    *at += sizeof(head) + min(align_up(head[1], 4U), left);
    return true;
}

/* Counts the records of each kind; -EINVAL when they do not fill the payload exactly. *text: bytes for all, 0s added.
 */
static int config_count(const char *raw, u32 bytes, struct boot_config *out, size_t *text) {
    u32 at = sizeof(struct wire_config);
    struct record r;
    while (record_next(raw, bytes, &at, &r)) {
        out->arg_count += r.kind == WIRE_ARG;
        out->env_count += r.kind == WIRE_ENV;
        out->group_count += r.kind == WIRE_GROUP && r.bytes == sizeof(u32);
        out->mount_count += r.kind == WIRE_MOUNT;
        out->sysctl_count += r.kind == WIRE_SYSCTL;
        *text += r.bytes + 1;
    }
    return at == bytes && out->arg_count ? 0 : -EINVAL;
}

/* "TAG\0DST\0ro|rw|overlay", 0-terminated. */
static int mount_parse(const char *text, size_t bytes, struct boot_mount *m) {
    const char *end = text + bytes, *where = memchr(text, 0, bytes);
    const char *how = where ? memchr(where + 1, 0, end - (where + 1)) : NULL;
    if (!how)
        return -EINVAL;
    how++;
    *m = (struct boot_mount){.tag = text, .where = where + 1};
    m->overlay = strcmp(how, "overlay") == 0;
    m->read_only = strcmp(how, "ro") == 0;
    return m->overlay || m->read_only || strcmp(how, "rw") == 0 ? 0 : -EINVAL;
}

/* Stores one record, its text already copied and terminated. */
static int config_store(struct boot_config *out, struct boot_config *at, const struct record *r, char *text) {
    switch (r->kind) {
    case WIRE_ARG:
        out->args[at->arg_count++] = text;
        break;
    case WIRE_ENV:
        out->env[at->env_count++] = text;
        break;
    case WIRE_SYSCTL:
        out->sysctls[at->sysctl_count++] = text;
        break;
    case WIRE_CWD:
        out->cwd = text;
        break;
    case WIRE_HOSTNAME:
        out->hostname = text;
        break;
    case WIRE_PROGRAM:
        out->program = r->bytes ? text : NULL;
        break;
    case WIRE_MOUNT:
        return mount_parse(text, r->bytes, &out->mounts[at->mount_count++]);
    case WIRE_GROUP:
        if (r->bytes != sizeof(u32))
            return -EINVAL;
        memcpy(&out->groups[at->group_count++], r->data, sizeof(u32));
        break;
    case WIRE_TERMIOS:
        if (r->bytes != sizeof(struct termios))
            return -EINVAL;
        out->termios = text;
        break;
    default:
        break; /* a newer command's: not for us */
    }
    return 0;
}

/* Unpacks CONFIG into kmalloc'd memory that stays. */
static int config_unpack(const char *raw, u32 bytes, struct boot_config *out) {
    size_t room = 0;
    struct boot_config at = {.arg_count = 0};
    memset(out, 0, sizeof(*out));
    int error = bytes >= sizeof(out->wire) ? config_count(raw, bytes, out, &room) : -EINVAL;
    if (error)
        return error;
    memcpy(&out->wire, raw, sizeof(out->wire));
    char *text = kzalloc(room);
    out->args = kzalloc((out->arg_count + 1) * sizeof(char *));
    out->env = kzalloc((out->env_count + 1) * sizeof(char *));
    out->sysctls = kzalloc((out->sysctl_count + 1) * sizeof(char *));
    out->groups = kzalloc((out->group_count + 1) * sizeof(u32));
    out->mounts = kzalloc((out->mount_count + 1) * sizeof(*out->mounts));
    if (!text || !out->args || !out->env || !out->sysctls || !out->groups || !out->mounts)
        return -ENOMEM; /* the caller gives up the machine: nothing to unwind */
    out->cwd = "/";
    out->hostname = "quire";
    struct record r;
    for (u32 offset = sizeof(out->wire); !error && record_next(raw, bytes, &offset, &r); text += r.bytes + 1) {
        memcpy(text, r.data, r.bytes);
        error = config_store(out, &at, &r, text);
    }
    return error;
}

int host_configure(struct boot_config *out) {
    struct question *q = question_create(WIRE_HELLO, WIRE_VERSION);
    if (!q)
        return -ENOMEM;
    q->answered = false;
    channel.config = q;
    question_transmit(q, &q->ask, 0, NULL, 0);
    wait_until(q->queue, atomic_load(&channel.stalled));
    u32 bytes = channel.head.bytes;
    char *raw = bytes && bytes <= CONFIG_MOST ? kmalloc(bytes) : NULL;
    if (!raw)
        host_fail(125, "a configuration of %u bytes does not fit this machine", bytes);
    spin_lock(&channel.lock);
    q->buffer = raw;
    q->room = bytes;
    channel.stalled = false;
    spin_unlock(&channel.lock);
    receive_pump();
    question_settle(q);
    channel.config = NULL;
    int error = config_unpack(raw, bytes, out);
    kfree(raw);
    kfree(q);
    if (error)
        host_fail(125, "cannot use the configuration that the command sent (error %d)", -error);
    return 0;
}
