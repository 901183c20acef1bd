/* abi.h - what the tables of memory calls (mm_*.c) are written with.
 *
 * Everything happens in a window of WINDOW pages at BASE, far from all else, so that addresses are the same on every
 * kernel; pages are named by their number in it. A program is a list of groups; each runs in a child of its own and
 * begins with an empty window. A case is one line:
 *
 *     ask("mprotect(2, 1, none)");          the case's name: unique in its program
 *     result(mprotect(at(2), PAGE, 0));     what came of it: "ok", a number, or the name of the errno
 *     layout();                             what /proc/self/maps now says of the window: "0-2 rw-p | 2-3 ---p"
 *     touch('w', at(2));                    what one access gets: "w:SEGV_ACCERR@2"
 *     done();
 *
 * prints "mprotect(2, 1, none) -> ok; 0-2 rw-p | 2-3 ---p; w:SEGV_ACCERR@2". A rule of layout(): entries with the same
 * rights and name whose offsets continue are joined (Linux keeps some apart by who faulted first). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define BASE 0x100000000000ul
#define WINDOW 1024ul /* pages */
#define R PROT_READ
#define W PROT_WRITE
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)
#define RWX (RW | PROT_EXEC)
#define NONE PROT_NONE
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED (MAP_SHARED | MAP_ANONYMOUS)
#define countof(a) (sizeof(a) / sizeof((a)[0]))

#define UNUSED __attribute__((unused))

/* ---- a line ---- */

static char line[8192];
static size_t line_bytes;
static int notes;

static UNUSED void __attribute__((format(printf, 1, 2))) ask(const char *format, ...) {
    va_list list;
    va_start(list, format);
    line_bytes = (size_t)vsnprintf(line, sizeof line, format, list);
    va_end(list);
    notes = 0;
}

static UNUSED void __attribute__((format(printf, 1, 2))) note(const char *format, ...) {
    va_list list;
    line_bytes += (size_t)snprintf(line + line_bytes, sizeof line - line_bytes, "%s", notes++ ? "; " : " -> ");
    va_start(list, format);
    line_bytes += (size_t)vsnprintf(line + line_bytes, sizeof line - line_bytes, format, list);
    va_end(list);
}

static UNUSED void done(void) {
    printf("%s\n", line);
    fflush(stdout);
}

static UNUSED const char *error_name(int number) {
    const char *name = strerrorname_np(number);
    return name ? name : "an unnamed error";
}

/* result: of a call that says -1 and errno. */
static UNUSED long result(long r) {
    int error = errno;
    if (r == -1)
        note("%s", error_name(error));
    else if (r == 0)
        note("ok");
    else
        note("%ld", r);
    errno = error;
    return r;
}

/* ---- addresses ---- */

static UNUSED char *at(unsigned long page) { return (char *)BASE + page * PAGE; }

/* where: an address as a page of the window, +bytes; or as what it is otherwise. */
static UNUSED const char *where(const void *address) {
    static char text[4][64];
    static int turn;
    char *t = text[turn++ & 3];
    unsigned long a = (unsigned long)address, page = (a - BASE) / PAGE;
    if (a < BASE || page >= WINDOW)
        snprintf(t, 64, a < BASE ? a < 1ul << 20 ? "%#lx" : "below" : "elsewhere", a);
    else if (a % PAGE)
        snprintf(t, 64, "%lu+%lu", page, a % PAGE);
    else
        snprintf(t, 64, "%lu", page);
    return t;
}

/* placed: of a call that returns an address. */
static UNUSED char *placed(void *address) {
    int error = errno;
    if (address == MAP_FAILED)
        note("%s", error_name(error));
    else
        note("@%s", where(address));
    return address;
}

static UNUSED char *map(unsigned long page, unsigned long pages, int prot, int flags, int fd, unsigned long offset) {
    return mmap(at(page), pages * PAGE, prot, flags | MAP_FIXED, fd, (off_t)(offset * PAGE));
}

/* fill: the first byte of page i becomes i + add. */
static UNUSED void fill(unsigned long page, unsigned long pages, int add) {
    for (unsigned long i = page; i < page + pages; i++)
        *(volatile char *)at(i) = (char)(i + (unsigned)add);
}

static UNUSED void clear(void) { munmap(at(0), WINDOW * PAGE); }

/* ---- accesses ---- */

static sigjmp_buf touch_back;
static volatile sig_atomic_t touching;
static siginfo_t touch_info;

static void touch_caught(int number, siginfo_t *info, void *context) {
    (void)context;
    if (!touching) {
        signal(number, SIG_DFL); /* not ours: the group dies of it, and says so */
        return;
    }
    touch_info = *info;
    siglongjmp(touch_back, number);
}

static UNUSED const char *fault_name(int number, const siginfo_t *info) {
    static const char *segv[] = {"?", "SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR"};
    static const char *bus[] = {"?", "BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR"};
    static char other[64];
    if (number == SIGSEGV && info->si_code > 0 && info->si_code < 5)
        return segv[info->si_code];
    if (number == SIGBUS && info->si_code > 0 && info->si_code < 5)
        return bus[info->si_code];
    snprintf(other, sizeof other, "SIG%s:%s%d", sigabbrev_np(number), info->si_code == SI_KERNEL ? "kernel:" : "",
             info->si_code == SI_KERNEL ? 0 : info->si_code);
    return other;
}

static UNUSED void touch_setup(void) {
    struct sigaction action = {.sa_sigaction = touch_caught, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
}

/* try: one access: 0, or the signal (touch_info has the rest). */
static UNUSED int try(char kind, char *p, int *value) {
    int number = sigsetjmp(touch_back, 1);
    if (number == 0) {
        touching = 1;
        if (kind == 'r')
            *value = *(volatile char *)p;
        else if (kind == 'w')
            *(volatile char *)p = 'w';
        else
            ((void (*)(void))p)();
    }
    touching = 0;
    return number;
}

/* touch: one access: 'r', 'w' (writes a w), 'x' (calls). */
static UNUSED void touch(char kind, void *p) {
    int value = 0, number = try(kind, p, &value);
    if (number)
        note("%c:%s@%s", kind, fault_name(number, &touch_info), where(touch_info.si_addr));
    else if (kind == 'r')
        note("r:%d", value);
    else
        note("%c", kind);
}

/* probe: what each page allows: w(rite), r(ead), -(nothing), . (no mapping), B(us). Reads before it writes back. */
static UNUSED void probe(unsigned long page, unsigned long pages) {
    static char text[WINDOW + 1];
    for (volatile unsigned long i = 0; i < pages; i++) {
        volatile char *p = at(page + i);
        int value = 0, number = try('r', (char *)p, &value);
        text[i] = number == SIGBUS ? 'B' : touch_info.si_code == SEGV_MAPERR ? '.' : '-';
        if (number)
            continue;
        number = sigsetjmp(touch_back, 1);
        if (number == 0) {
            touching = 1;
            *p = (char)value;
        }
        touching = 0;
        text[i] = number ? 'r' : 'w';
    }
    text[pages] = 0;
    note("%s", text);
}

/* content: the first byte of each page, or why not. */
static UNUSED void content(unsigned long page, unsigned long pages) {
    static char text[WINDOW * 5];
    size_t n = 0;
    for (unsigned long i = page; i < page + pages; i++) {
        int value = 0, number = try('r', at(i), &value);
        n += (size_t)snprintf(text + n, sizeof text - n, i == page ? "" : " ");
        if (number)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s",
                                  number == SIGBUS                    ? "bus"
                                  : touch_info.si_code == SEGV_MAPERR ? "none"
                                                                      : "acc");
        else
            n += (size_t)snprintf(text + n, sizeof text - n, "%d", value);
    }
    note("[%s]", text);
}

/* ---- /proc ---- */

/* The whole of a file of /proc; no allocation by the C library, which would map. */
static UNUSED char *proc_text(const char *path) {
    static char text[1 << 17];
    size_t n = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY);
    while (fd >= 0 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    close(fd);
    text[n] = 0;
    return text;
}

struct entry {
    unsigned long start, end, offset;
    char rights[8], name[128];
};

/* One line of maps. Returns where the next begins, or NULL. */
static UNUSED char *entry_parse(char *text, struct entry *e) {
    int at_name = 0;
    char *end = strchr(text, '\n');
    if (!end)
        return NULL;
    *end = 0;
    e->name[0] = 0;
    if (sscanf(text, "%lx-%lx %7s %lx %*s %*s %n", &e->start, &e->end, e->rights, &e->offset, &at_name) < 4)
        return NULL;
    if (at_name)
        snprintf(e->name, sizeof e->name, "%s",
                 strrchr(text + at_name, '/') ? strrchr(text + at_name, '/') + 1 : text + at_name);
    return end + 1;
}

/* layout_of: /proc/self/maps within pages [from, to) of the window. */
static UNUSED void layout_of(unsigned long from, unsigned long to) {
    static char text[6000];
    size_t n = 0;
    struct entry e = {0}, last = {0};
    text[0] = 0;
    char *p = proc_text("/proc/self/maps");
    bool more = true;
    while (more) {
        more = (p = entry_parse(p, &e));
        if (more && (e.end <= (unsigned long)at(from) || e.start >= (unsigned long)at(to)))
            continue;
        bool named = last.name[0] && last.name[0] != '[';
        if (more && e.start == last.end && !strcmp(e.rights, last.rights) && !strcmp(e.name, last.name) &&
            (!named || e.offset == last.offset + last.end - last.start)) {
            last.end = e.end;
            continue;
        }
        if (last.end) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s-%s %s", n ? " | " : "", where((void *)last.start),
                                  where((void *)last.end), last.rights);
            if (named)
                n += (size_t)snprintf(text + n, sizeof text - n, " %lu", last.offset / PAGE);
            if (last.name[0])
                n += (size_t)snprintf(text + n, sizeof text - n, " %s", last.name);
        }
        last = e;
    }
    note("%s", n ? text : "nothing");
}

static UNUSED void layout(void) { layout_of(0, WINDOW); }

/* smaps: a field of the mapping with this page, in kB; -1: no mapping there; VmFlags and other text by smaps_text. */
static UNUSED const char *smaps_text(unsigned long page, const char *field) {
    static char value[256];
    struct entry e;
    bool inside = false;
    char *p = proc_text("/proc/self/smaps"), *end;
    for (; (end = strchr(p, '\n')); p = end + 1) {
        *end = 0;
        if (sscanf(p, "%lx-%lx %7s", &e.start, &e.end, e.rights) == 3 && strchr(p, '-') &&
            (e.rights[3] == 'p' || e.rights[3] == 's'))
            inside = e.start <= (unsigned long)at(page) && (unsigned long)at(page) < e.end;
        else if (inside && !strncmp(p, field, strlen(field)) && p[strlen(field)] == ':') {
            p += strlen(field) + 1;
            snprintf(value, sizeof value, "%s", p + strspn(p, " "));
            for (size_t n = strlen(value); n && value[n - 1] == ' ';)
                value[--n] = 0;
            return value;
        }
    }
    return "none";
}

static UNUSED void smaps(unsigned long page, const char *field) { note("%s %s", field, smaps_text(page, field)); }

/* status: a field of /proc/self/status, in kB. */
static UNUSED long status_of(const char *field) {
    char *p = strstr(proc_text("/proc/self/status"), field);
    return p ? atol(p + strlen(field) + 1) : -1;
}

static UNUSED void status(const char *field) { note("%s %ld", field, status_of(field)); }

/* ---- things to map ---- */

/* file: pages of a file without a name (memfd "file"), page i beginning with 'a' + i, `bytes` long. */
static UNUSED int file_of(size_t bytes) {
    int fd = memfd_create("file", MFD_ALLOW_SEALING);
    for (size_t i = 0; i * PAGE < bytes; i++) {
        char c = (char)('a' + i % 26);
        if (pwrite(fd, &c, 1, (off_t)(i * PAGE)) != 1)
            abort();
    }
    if (ftruncate(fd, (off_t)bytes))
        abort();
    return fd;
}

/* named: the same as a file in the directory where the program runs. */
static UNUSED int named_file(const char *name, size_t bytes) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (size_t i = 0; i * PAGE < bytes; i++) {
        char c = (char)('a' + i % 26);
        if (pwrite(fd, &c, 1, (off_t)(i * PAGE)) != 1)
            abort();
    }
    if (ftruncate(fd, (off_t)bytes))
        abort();
    return fd;
}

static UNUSED void limit(int which, rlim_t soft) {
    struct rlimit l;
    if (getrlimit((__rlimit_resource_t)which, &l))
        abort();
    l.rlim_cur = soft;
    if (setrlimit((__rlimit_resource_t)which, &l))
        abort();
}

/* Becomes an ordinary user: no capabilities from here on. */
static UNUSED void ordinary(void) {
    if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000) || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
        abort();
}

/* ---- groups ---- */

static UNUSED void group(const char *name, void (*run)(void)) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        touch_setup();
        clear();
        run();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        printf("group %s -> dies of SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
    else
        printf("group %s -> ends with %d\n", name, WEXITSTATUS(status));
    fflush(stdout);
}
#define GROUP(name) group(#name, name)
