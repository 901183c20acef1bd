/* streams.c - the program's stdin, stdout and stderr.
 *
 * Nouns: a question (one READ or WRITE of the guest's), a worker (one thread for one direction of one stream, which
 * answers its questions in turn by plain blocking reads and writes).
 *
 * Why threads: the descriptors are shared with other processes, so they may not be made non-blocking, and between a
 * poll that says "ready" and the read another process may have been quicker. A thread that blocks does what the program
 * itself would do, partial writes to a pipe and their interruption included. A thread is made when its direction is
 * first used. Where the kernel can say "not now" to a single call (RWF_NOWAIT), the event loop answers at once and the
 * thread rests.
 *
 * A blocked worker is called off by a signal. One that comes just before the worker blocks is lost, so it is sent again
 * (streams_nudge) until the answer is there. */
#include "streams.h"
#include "say.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct question {
    uint32_t tag; /* 0: a text of our own, nobody waits for an answer */
    int stream;
    bool is_write;
    bool cancelled; /* (l) */
    int32_t value;  /* the answer */
    size_t bytes;   /* wanted */
    size_t payload; /* of the answer */
    struct question *next;
    char data[];
};

/* Lock marks: (l) under `lock`; the rest belongs to the event loop's thread. */
struct worker {
    bool started;
    bool no_nowait; /* RWF_NOWAIT means nothing to this descriptor */
    pthread_t thread;
    pthread_cond_t wake;
    struct question *head; /* (l) the one being answered, then those that wait */
    int stream;
    bool is_write;
};

/* A POLL that waits; they are few, a fixed number is kept. */
struct watch {
    uint32_t tag;
    int stream;
    short events;
};

#define WATCHES_MOST 256
#define CANCEL_SIGNAL (SIGRTMIN + 2) /* nobody else uses it; only workers let it in */
#define DRAIN_LOOK_NS 5000000        /* between two looks whether our words are out */
#define DRAIN_LOOKS 40               /* so long they have when somebody waits for our end: 0.2 s */

static bool closed[3];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t printed = PTHREAD_COND_INITIALIZER; /* a text of our own is out */
static struct worker workers[3][2];
static struct question *done, **done_end = &done; /* (l) */
static struct question *shown;                    /* whose payload streams_next lent */
static unsigned cancelling;                       /* (l) cancelled and not yet done */
static int done_event = -1;
static struct watch watches[WATCHES_MOST];
static unsigned watch_count;

void streams_find(void) {
    for (int i = 0; i < 3; i++) {
        closed[i] = fcntl(i, F_GETFD) < 0;
        /* The wrong way round for each, so that a mistake here cannot look like a working stream. */
        if (closed[i] && open("/dev/null", (i == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC) != i)
            _exit(EXIT_QUIRE);
    }
}

void streams_describe(struct wire_config *config) {
    uint16_t window[4];
    bool has_window = terminal_window(window);
    for (int i = 0; i < 3; i++) {
        struct wire_stream *stream = &config->stream[i];
        struct stat st;
        *stream = (struct wire_stream){.offset = -1};
        if (closed[i] || fstat(i, &st) != 0)
            continue;
        stream->mode = st.st_mode;
        stream->flags = (uint32_t)fcntl(i, F_GETFL);
        stream->tty = terminal_kind(i);
        stream->rows = has_window && stream->tty ? window[0] : 0;
        stream->columns = has_window && stream->tty ? window[1] : 0;
        stream->ino = st.st_ino;
        stream->dev = st.st_dev;
        stream->rdev = st.st_rdev;
        stream->size = (uint64_t)st.st_size;
        stream->offset = S_ISREG(st.st_mode) ? lseek(i, 0, SEEK_CUR) : -1;
    }
}

int streams_start(void) {
    done_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (done_event < 0)
        fail("no eventfd: %s", strerror(errno));
    return done_event;
}

/* Is the descriptor ready, as far as can be said without waiting? */
static bool ready(int stream, bool is_write) {
    struct pollfd fd = {.fd = stream, .events = is_write ? POLLOUT : POLLIN};
    return poll(&fd, 1, 0) > 0;
}

static bool is_cancelled(struct question *question) {
    pthread_mutex_lock(&lock);
    bool cancelled = question->cancelled;
    pthread_mutex_unlock(&lock);
    return cancelled;
}

/* In the worker: what the host answers. A cancelled question still takes what is there. */
static int32_t answer(struct question *question) {
    for (;;) {
        size_t bytes = question->bytes;
        if (is_cancelled(question)) {
            if (!ready(question->stream, question->is_write))
                return -EINTR;
            /* A pipe that is ready takes this much without waiting. */
            bytes = question->is_write && bytes > PIPE_BUF ? PIPE_BUF : bytes;
        }
        ssize_t n = question->is_write ? write(question->stream, question->data, bytes)
                                       : read(question->stream, question->data, bytes);
        if (n >= 0)
            return (int32_t)n;
        if (errno == EAGAIN) { /* somebody made it non-blocking: waiting is then for us to do */
            struct pollfd fd = {.fd = question->stream, .events = question->is_write ? POLLOUT : POLLIN};
            poll(&fd, 1, is_cancelled(question) ? 0 : -1);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/* Caller holds `lock`. The list owns the question from here. */
static void finish(struct question *question) {
    question->next = NULL;
    cancelling -= question->cancelled;
    if (question->tag == 0) {
        free(question);
        return;
    }
    *done_end = question;
    done_end = &question->next;
    uint64_t one = 1;
    if (write(done_event, &one, sizeof one) < 0)
        return; /* full: it is readable already */
}

static void set_answer(struct question *question, int32_t value) {
    question->value = value;
    question->payload = !question->is_write && value > 0 ? (size_t)value : 0;
}

/* A text of our own must get out whole, unless stderr is broken. */
static int32_t print_all(struct question *question) {
    for (size_t at = 0; at < question->bytes;) {
        ssize_t n = write(question->stream, question->data + at, question->bytes - at);
        struct pollfd fd = {.fd = question->stream, .events = POLLOUT};
        if (n < 0 && errno == EAGAIN)
            poll(&fd, 1, -1);
        else if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return (int32_t)question->bytes;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, CANCEL_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &mine, NULL);
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!worker->head)
            pthread_cond_wait(&worker->wake, &lock);
        struct question *question = worker->head;
        pthread_mutex_unlock(&lock);
        int32_t value = question->tag ? answer(question) : print_all(question);
        pthread_mutex_lock(&lock);
        set_answer(question, value);
        worker->head = question->next;
        if (question->tag == 0)
            pthread_cond_broadcast(&printed);
        finish(question);
    }
    return NULL;
}

static void interrupted(int number) { (void)number; }

static void start(struct worker *worker, int stream, bool is_write) {
    struct sigaction action = {.sa_handler = interrupted}; /* no SA_RESTART: to interrupt is its purpose */
    sigaction(CANCEL_SIGNAL, &action, NULL);
    worker->stream = stream;
    worker->is_write = is_write;
    pthread_cond_init(&worker->wake, NULL);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    if (pthread_create(&worker->thread, &small, work, worker) != 0)
        fail("no thread for stream %d", stream);
    pthread_attr_destroy(&small);
    worker->started = true;
}

/* Answers without a thread, if the kernel can promise not to wait. The caller knows that the worker has nothing to do.
 */
static bool answer_now(struct worker *worker, struct question *question) {
    struct iovec part = {.iov_base = question->data, .iov_len = question->bytes};
    if (worker->no_nowait)
        return false;
    ssize_t n = question->is_write ? pwritev2(question->stream, &part, 1, -1, RWF_NOWAIT)
                                   : preadv2(question->stream, &part, 1, -1, RWF_NOWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == ESPIPE)) {
        worker->no_nowait = true;
        return false;
    }
    set_answer(question, n < 0 ? -errno : (int32_t)n);
    return true;
}

static void enqueue(struct question *question) {
    struct worker *worker = &workers[question->stream][question->is_write];
    pthread_mutex_lock(&lock);
    struct question **end = &worker->head;
    while (*end)
        end = &(*end)->next;
    if (!worker->head && question->tag && answer_now(worker, question)) {
        finish(question);
    } else {
        *end = question;
        if (!worker->started)
            start(worker, question->stream, question->is_write);
        pthread_cond_signal(&worker->wake);
    }
    pthread_mutex_unlock(&lock);
}

static struct question *question_new(uint32_t tag, int stream, bool is_write, size_t bytes) {
    struct question *question = malloc(sizeof *question + bytes);
    if (!question)
        fail("this machine has no memory left");
    *question = (struct question){.tag = tag, .stream = stream, .is_write = is_write, .bytes = bytes};
    return question;
}

/* An answer that needs no waiting: with `bytes` of payload. */
static void answer_with(uint32_t tag, int32_t value, const void *payload, size_t bytes) {
    struct question *question = question_new(tag, 0, false, bytes);
    if (bytes)
        memcpy(question->data, payload, bytes);
    question->value = value;
    question->payload = bytes;
    pthread_mutex_lock(&lock);
    finish(question);
    pthread_mutex_unlock(&lock);
}

static bool ask_read(const struct wire_message *message, const void *payload) {
    uint32_t most;
    if (message->bytes != sizeof most)
        return false;
    memcpy(&most, payload, sizeof most);
    struct question *question = question_new(message->tag, message->value, false, most > WIRE_MOST ? WIRE_MOST : most);
    enqueue(question);
    return true;
}

static bool ask_write(const struct wire_message *message, const void *payload) {
    struct question *question = question_new(message->tag, message->value, true, message->bytes);
    memcpy(question->data, payload, message->bytes);
    enqueue(question);
    return true;
}

static bool ask_seek(const struct wire_message *message, const void *payload) {
    int64_t offset;
    uint32_t whence;
    if (message->bytes != sizeof offset + sizeof whence)
        return false;
    memcpy(&offset, payload, sizeof offset);
    memcpy(&whence, (const char *)payload + sizeof offset, sizeof whence);
    int64_t position = lseek(message->value, offset, (int)whence);
    if (position < 0)
        answer_with(message->tag, -errno, NULL, 0);
    else
        answer_with(message->tag, 0, &position, sizeof position);
    return true;
}

static bool ask_poll(const struct wire_message *message, const void *payload) {
    uint32_t events;
    if (message->bytes != sizeof events)
        return false;
    memcpy(&events, payload, sizeof events);
    struct pollfd fd = {.fd = message->value, .events = (short)events};
    if (poll(&fd, 1, 0) > 0)
        answer_with(message->tag, fd.revents, NULL, 0);
    else if (watch_count == WATCHES_MOST)
        answer_with(message->tag, -ENOMEM, NULL, 0);
    else
        watches[watch_count++] = (struct watch){message->tag, message->value, (short)events};
    return true;
}

bool streams_ask(const struct wire_message *message, const void *payload) {
    if (message->value < 0 || message->value > 2 || message->tag == 0)
        return false;
    if (closed[message->value]) {
        answer_with(message->tag, message->type == WIRE_POLL ? POLLNVAL : -EBADF, NULL, 0);
        return true;
    }
    switch (message->type) {
    case WIRE_READ:
        return ask_read(message, payload);
    case WIRE_WRITE:
        return ask_write(message, payload);
    case WIRE_POLL:
        return ask_poll(message, payload);
    case WIRE_SEEK:
        return ask_seek(message, payload);
    default:
        return false;
    }
}

static bool cancel_watch(uint32_t tag) {
    for (unsigned i = 0; i < watch_count; i++) {
        if (watches[i].tag != tag)
            continue;
        struct pollfd fd = {.fd = watches[i].stream, .events = watches[i].events};
        int count = poll(&fd, 1, 0);
        watches[i] = watches[--watch_count];
        answer_with(tag, count > 0 ? fd.revents : -EINTR, NULL, 0);
        return true;
    }
    return false;
}

/* Caller holds `lock`. */
static bool cancel_question(struct worker *worker, uint32_t tag) {
    for (struct question **at = &worker->head; *at; at = &(*at)->next) {
        struct question *question = *at;
        if (question->tag != tag || question->cancelled)
            continue;
        question->cancelled = true;
        cancelling++;
        if (question == worker->head) {
            pthread_kill(worker->thread, CANCEL_SIGNAL);
        } else { /* behind another that waits: so it would wait */
            *at = question->next;
            question->value = -EINTR;
            finish(question);
        }
        return true;
    }
    return false;
}

void streams_cancel(uint32_t tag) {
    if (tag == 0 || cancel_watch(tag))
        return;
    bool found = false;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < 6 && !found; i++)
        found = cancel_question(&workers[i / 2][i % 2], tag);
    pthread_mutex_unlock(&lock); /* not found: its answer is on the way */
}

bool streams_cancelling(void) {
    pthread_mutex_lock(&lock);
    bool any = cancelling > 0;
    pthread_mutex_unlock(&lock);
    return any;
}

void streams_nudge(void) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < 6; i++) {
        struct worker *worker = &workers[i / 2][i % 2];
        if (worker->head && worker->head->cancelled)
            pthread_kill(worker->thread, CANCEL_SIGNAL);
    }
    pthread_mutex_unlock(&lock);
}

bool streams_next(struct streams_answer *answer) {
    free(shown);
    pthread_mutex_lock(&lock);
    shown = done;
    if (shown) {
        done = shown->next;
        done_end = done ? done_end : &done;
    } else {
        uint64_t count;
        if (read(done_event, &count, sizeof count) < 0)
            count = 0; /* nothing was there: fine */
    }
    pthread_mutex_unlock(&lock);
    if (!shown)
        return false;
    *answer = (struct streams_answer){shown->tag, shown->value, shown->data, shown->payload};
    return true;
}

unsigned streams_pollfds(struct pollfd *fds, unsigned most) {
    unsigned count = watch_count < most ? watch_count : most;
    for (unsigned i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = watches[i].stream, .events = watches[i].events};
    return count;
}

void streams_polled(const struct pollfd *fds, unsigned count) {
    /* Backwards, since an answered watch is replaced by the last one. No watch was added or taken since
     * streams_pollfds. */
    for (unsigned i = count; i-- > 0;) {
        if (!fds[i].revents)
            continue;
        uint32_t tag = watches[i].tag;
        watches[i] = watches[--watch_count];
        answer_with(tag, fds[i].revents, NULL, 0);
    }
}

void streams_print(const char *text, unsigned long bytes) {
    if (closed[STDERR_FILENO] || !bytes)
        return;
    struct question *question = question_new(0, STDERR_FILENO, true, bytes);
    memcpy(question->data, text, bytes);
    enqueue(question);
}

void streams_abandon(void) {
    struct worker *worker = &workers[STDERR_FILENO][true];
    pthread_mutex_lock(&lock);
    for (struct question *question = worker->head, *next; question; question = next) {
        next = question->next;
        if (question->tag)
            (void)cancel_question(worker, question->tag);
    }
    pthread_mutex_unlock(&lock);
}

/* Caller holds `lock`. */
static bool printing(const struct worker *worker) {
    const struct question *question = worker->head;
    while (question && question->tag)
        question = question->next;
    return question;
}

/* Has a signal come that ends a program? They are blocked, for signalfd. */
static bool told_to_end(void) {
    sigset_t come;
    sigpending(&come);
    return sigismember(&come, SIGINT) || sigismember(&come, SIGTERM) || sigismember(&come, SIGHUP) ||
           sigismember(&come, SIGQUIT);
}

void streams_drain(bool soon) {
    struct worker *worker = &workers[STDERR_FILENO][true];
    pthread_mutex_lock(&lock);
    for (unsigned looks = 0; printing(worker) && (looks < DRAIN_LOOKS || !(soon || told_to_end()));) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += DRAIN_LOOK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        looks += pthread_cond_timedwait(&printed, &lock, &until) == ETIMEDOUT && looks < DRAIN_LOOKS;
        if (worker->head && worker->head->cancelled)
            pthread_kill(worker->thread, CANCEL_SIGNAL);
    }
    pthread_mutex_unlock(&lock);
}
