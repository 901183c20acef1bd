/* log.c - kprintf: lines "<LEVEL>text\n" to QEMU's debug console, whole even when several CPUs write at once.
 *
 * Works from the first C instruction (cpu_self() must) to the last words of a panic, in any context: a lock that is not
 * free within a bound, or that this CPU itself holds (an interrupt came while it wrote), is ignored, for a mixed line
 * is better than none. The last lines are kept in a ring, for syslog(2) and /dev/kmsg:
 *
 *     oldest                       end            both count bytes for ever; a line is a head and its text, and its
 *       v                           v             number is counted from the first line of all
 *     |head text.|head text....|head text|.....   */
#include "lib/log.h"
#include "arch/x86_64/cpu.h"
#include "lib/sync.h"
#include "lib/wire.h"

static struct {
    u32 owner;     /* 1 + the CPU that writes */
    bool mid_line; /* the last text had no newline: the next without a level continues it */
    bool dropping; /* the line begun has a level too high */
    bool forced;
    unsigned most;
} log = {.most = 6};

void log_set_level(unsigned most) { log.most = most; }
void log_force(void) { log.forced = true; }

static void emit(const char *text, size_t bytes) {
    __asm__ volatile("rep outsb" : "+S"(text), "+c"(bytes) : "d"((u16)WIRE_DEBUG_PORT) : "memory");
}

/* Returns whether the lock is ours to give back. */
static bool take(void) {
    u32 me = cpu_id() + 1;
    for (unsigned tries = 0; tries < 1000000 && !atomic_load_relaxed(&log.forced); tries++) {
        u32 owner = atomic_load_relaxed(&log.owner);
        if (owner == me)
            break;
        if (!owner && atomic_cas(&log.owner, 0, me))
            return true;
        cpu_pause();
    }
    return false;
}

/* ---- the ring; the log's lock is held: without it nothing is kept ---- */

struct head {
    u64 us;
    u32 level;
    u32 bytes;
};

static char ring[LOG_RING];
static u64 oldest, end;                /* in bytes */
static u64 oldest_number, next_number; /* of lines */
u64 log_cleared;
struct waitq log_readers = WAITQ_INIT(log_readers);
static void wake_readers(struct work *w) { waitq_wake_all(&log_readers); }
static struct work came = {.run = wake_readers}; /* who logs may hold any lock */

static void ring_copy(u64 at, void *bytes, size_t count, bool in) {
    for (char *p = bytes; count--; p++, at++) {
        if (in)
            ring[at % LOG_RING] = *p;
        else
            *p = ring[at % LOG_RING];
    }
}

static void ring_add(unsigned level, const char *text, size_t bytes) {
    struct head h = {clock_ns() / 1000, level, (u32)bytes}, old;

    while (end + sizeof(h) + bytes - oldest > LOG_RING) {
        ring_copy(oldest, &old, sizeof(old), false);
        oldest += sizeof(old) + old.bytes;
        oldest_number++;
    }
    ring_copy(end, &h, sizeof(h), true);
    ring_copy(end + sizeof(h), (void *)text, bytes, true);
    end += sizeof(h) + bytes;
    next_number++;
    cpu_queue_work(cpu_id(), &came);
}

bool log_line(u64 number, struct log_line *out) {
    bool taken = take(), found = false;
    u64 at = oldest, n = oldest_number;
    struct head h;

    if (taken)
        found = max(number, oldest_number) < next_number;
    for (; found; n++) {
        ring_copy(at, &h, sizeof(h), false);
        if (n >= number)
            break;
        at += sizeof(h) + h.bytes;
    }
    if (found) {
        *out = (struct log_line){.number = n, .us = h.us, .level = h.level, .bytes = h.bytes};
        ring_copy(at + sizeof(h), out->text, h.bytes, false);
    }
    if (taken)
        atomic_store(&log.owner, 0);
    return found;
}

u64 log_end(void) { return atomic_load(&next_number); }

int kprintf(const char *format, ...) {
    char line[LOG_LINE];
    va_list args;
    va_start(args, format);
    int length = kvsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t bytes = min((size_t)length, sizeof(line) - 1);
    if (length >= (int)sizeof(line))
        memcpy(line + sizeof(line) - 5, "...\n", 4);

    bool has_level = bytes >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>';
    bool taken = take();
    if (has_level && log.mid_line)
        emit("\n", 1);
    if (has_level || !log.mid_line)
        log.dropping = has_level && (unsigned)(line[1] - '0') > log.most;
    if (!log.dropping) {
        if (!has_level && !log.mid_line)
            emit(LOG_INFO, 3);
        emit(line, bytes);
        if (taken) {
            size_t skip = has_level ? 3 : 0, newline = bytes && line[bytes - 1] == '\n';
            ring_add(has_level ? (unsigned)(line[1] - '0') : 6, line + skip, bytes - skip - newline);
        }
        log.mid_line = bytes && line[bytes - 1] != '\n';
    } else if (bytes && line[bytes - 1] == '\n') {
        log.dropping = false;
    }
    if (taken)
        atomic_store(&log.owner, 0);
    return length;
}
