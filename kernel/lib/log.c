/* log.c - kprintf: lines "<LEVEL>text\n" to QEMU's debug console, whole even when several CPUs write at once.
 *
 * Works from the first C instruction (cpu_self() must) to the last words of a panic, in any context: a lock that is not
 * free within a bound, or that this CPU itself holds (an interrupt came while it wrote), is ignored, for a mixed line
 * is better than none. It keeps nothing: who wants to read the log later reads the console. */
#include "lib/log.h"
#include "arch/x86_64/cpu.h"
#include "lib/sync.h"
#include "lib/wire.h"

#define LINE_MOST 400 /* on the stack of any caller; longer text is cut */

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

int kprintf(const char *format, ...) {
    char line[LINE_MOST];
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
        log.mid_line = bytes && line[bytes - 1] != '\n';
    } else if (bytes && line[bytes - 1] == '\n') {
        log.dropping = false;
    }
    if (taken)
        atomic_store(&log.owner, 0);
    return length;
}
