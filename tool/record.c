/* record.c - writes the file of --trace. */
#include "record.h"
#include "../kernel/lib/trace.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *name;
    int fd;
    off_t written; /* of it, whole words */
} trace = {.fd = -1};

static bool write_all(const char *bytes, size_t count) {
    while (count) {
        ssize_t n = write(trace.fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        count -= (size_t)n;
        trace.written += n;
    }
    return true;
}

void record_open(const char *file) {
    const uint64_t magic = TRACE_MAGIC;
    if (!file)
        return;
    trace.name = file;
    trace.fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (trace.fd < 0 || !write_all((const char *)&magic, sizeof magic))
        fail("--trace %s: %s", file, strerror(errno));
}

void record_take(const char *words, size_t bytes) {
    if (trace.fd < 0 || write_all(words, bytes))
        return;
    say("--trace %s: %s; what follows is not recorded", trace.name, strerror(errno));
    off_t whole = trace.written / (off_t)sizeof(uint64_t) * (off_t)sizeof(uint64_t);
    if (ftruncate(trace.fd, whole) != 0 && whole != trace.written)
        say("--trace %s: its last word is not whole", trace.name);
    record_close();
}

void record_close(void) {
    if (trace.fd >= 0 && close(trace.fd) != 0)
        say("--trace %s: %s", trace.name, strerror(errno));
    trace.fd = -1;
}
