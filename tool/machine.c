/* machine.c - QEMU: its command line, its process.
 *
 * Owns the list of devices the guest finds, and the promise that QEMU never outlives the command: the child asks to be
 * killed when its parent dies before it becomes QEMU, so not even SIGKILL to us leaves it behind. */
#include "machine.h"
#include "../kernel/lib/wire.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The descriptors that QEMU inherits, by the numbers on its command line. */
enum { CHILD_WIRE = 3, CHILD_DEBUG, CHILD_SWAP, CHILD_FDS = CHILD_SWAP + SWAPS_MOST };

#define ARGS_MOST 256
#define PLACES_WITHOUT_ACPI 6 /* of a microvm's 8 virtio-mmio devices, less the wire's and the root's */

/* The command line as it is put together. */
struct line {
    char *word[ARGS_MOST + 1];
    unsigned count;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *format, ...) {
    va_list list;
    va_start(list, format);
    if (line->count == ARGS_MOST)
        fail("too many arguments for QEMU; the most is %d", ARGS_MOST);
    if (vasprintf(&line->word[line->count++], format, list) < 0)
        fail("this machine has no memory left");
    va_end(list);
}

/* Inside an option of QEMU's a comma is written twice. */
static char *commas(const char *text) {
    char *out = malloc(2 * strlen(text) + 1), *to = out;
    if (!out)
        fail("this machine has no memory left");
    for (; *text; text++) {
        *to++ = *text;
        if (*text == ',')
            *to++ = ',';
    }
    *to = '\0';
    return out;
}

const char *machine_tag(unsigned i, char *out) {
    snprintf(out, 16, "share%u", i);
    return out;
}

static void add_directory(struct line *line, const char *tag, const char *path, bool writable) {
    char *quoted = commas(path);
    /* As root, what the guest makes gets the guest's owner; an ordinary user's QEMU could not give it away. multidevs:
     * the host's inode numbers of several file systems must not meet in one. */
    const char *security = writable && geteuid() == 0 ? "passthrough" : "none";
    add(line, "-fsdev");
    add(line, "local,id=%s,path=%s,security_model=%s,multidevs=remap%s", tag, quoted, security,
        writable ? "" : ",readonly=on");
    add(line, "-device");
    add(line, "virtio-9p-device,fsdev=%s,mount_tag=%s", tag, tag);
    free(quoted);
}

static void add_swap(struct line *line, const struct swap *swap, unsigned n, bool for_print) {
    /* werror: the guest hears of a full disk here, and keeps its pages; QEMU would stop it. */
    add(line, "-drive");
    if (swap->file) {
        char *quoted = commas(swap->file);
        add(line, "if=none,id=swap%u,format=raw,discard=unmap,werror=report,rerror=report,file=%s", n, quoted);
        free(quoted);
    } else if (for_print) {
        add(line, "if=none,id=swap%u,driver=null-co,read-zeroes=on,size=%" PRIu64, n, swap->bytes);
    } else {
        /* Nothing that the guest swapped must survive a crash of this machine, so a flush need not wait for the disk.
         */
        add(line, "if=none,id=swap%u,format=raw,discard=unmap,cache=unsafe,werror=report,file=/dev/fd/%u", n,
            CHILD_SWAP + n);
    }
    add(line, "-device");
    add(line, "virtio-blk-device,drive=swap%u", n);
}

/* `for_print`: the line must work when pasted into a shell, where our sockets are not: the kernel's log goes to the
 * terminal then. */
static void build(struct line *line, const struct options *options, bool kvm, bool for_print) {
    *line = (struct line){0};
    const char *qemu = machine_qemu(), *kernel = machine_kernel();
    add(line, "%s", qemu ? qemu : "qemu-system-x86_64");
    add(line, "-no-user-config");
    add(line, "-nodefaults");
    add(line, "-no-reboot");
    add(line, "-display");
    add(line, "none");
    /* acpi=off: QEMU then names the virtio-mmio devices on the kernel command line, and the kernel needs no AML. But
     * only with ACPI has a microvm room for more than 8 of them: 24. */
    bool acpi = options->share_count + options->swap_count > PLACES_WITHOUT_ACPI;
    add(line, "-M");
    add(line, "microvm,acpi=%s,rtc=off,pic=off,pit=off", acpi ? "on" : "off");
    add(line, "-accel");
    add(line, "%s", kvm ? "kvm" : "tcg");
    /* TCG runs `rep movsb` a byte at a time; without the two flags nobody is told that it is fast. */
    add(line, "-cpu");
    add(line, "%s", kvm ? "max" : "max,erms=off,fsrm=off");
    add(line, "-smp");
    add(line, "%u", options->cpus);
    add(line, "-m");
    add(line, "%" PRIu64 "k", options->memory_bytes / 1024);
    add(line, "-kernel");
    add(line, "%s", kernel ? kernel : "quire.elf");
    if (for_print) {
        add(line, "-chardev");
        add(line, "null,id=wire");
        add(line, "-chardev");
        add(line, "stdio,id=debug");
    } else {
        add(line, "-chardev");
        add(line, "socket,id=wire,fd=%d", CHILD_WIRE);
        add(line, "-chardev");
        add(line, "socket,id=debug,fd=%d", CHILD_DEBUG);
    }
    add(line, "-device");
    add(line, "isa-debugcon,iobase=%#x,chardev=debug", WIRE_DEBUG_PORT);
    add(line, "-device");
    add(line, "isa-debug-exit,iobase=%#x,iosize=0x04", WIRE_EXIT_PORT);
    add(line, "-device");
    add(line, "virtio-serial-device,max_ports=2"); /* port 0 is for consoles, which drop bytes: lib/wire.h */
    add(line, "-device");
    add(line, "virtserialport,nr=1,chardev=wire");
    add_directory(line, "root", options->root, false);
    for (unsigned i = 0; i < options->share_count; i++) {
        char tag[16];
        add_directory(line, machine_tag(i, tag), options->shares[i].source, options->shares[i].writable);
    }
    for (unsigned i = 0; i < options->swap_count; i++)
        add_swap(line, &options->swaps[i], i, for_print);
    for (unsigned i = 0; i < options->qemu_arg_count; i++)
        add(line, "%s", options->qemu_args[i]);
}

static void line_free(struct line *line) {
    for (unsigned i = 0; i < line->count; i++)
        free(line->word[i]);
}

static void print_quoted(const char *word) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./=,:+@%";
    if (*word && strspn(word, plain) == strlen(word)) {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    }
    putchar('\'');
}

void machine_print(const struct options *options, bool kvm) {
    struct line line;
    build(&line, options, kvm, true);
    for (unsigned i = 0; i < line.count; i++) {
        print_quoted(line.word[i]);
        putchar(i + 1 < line.count ? ' ' : '\n');
    }
    line_free(&line);
}

bool machine_kvm(const char **why) {
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        *why = errno == ENOENT ? "there is no /dev/kvm" : "/dev/kvm does not open";
        return false;
    }
    close(fd);
    /* Some machines have a /dev/kvm that opens and runs nothing: ask the processor too. Its flags stand near the top of
     * the file. */
    char text[8192];
    int info = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    ssize_t n = info < 0 ? 0 : read(info, text, sizeof text - 1);
    if (info >= 0)
        close(info);
    text[n < 0 ? 0 : n] = '\0';
    char *flags = strstr(text, "\nflags");
    char *end = flags ? strchr(flags + 1, '\n') : NULL;
    if (end)
        *end = '\0';
    if (flags && (strstr(flags, " vmx") || strstr(flags, " svm")))
        return true;
    *why = "the processor shows neither vmx nor svm";
    return false;
}

/* `name` along PATH; NULL when nothing there can be executed. */
static char *find_program(const char *name) {
    static const char usual[] = "/usr/local/bin:/usr/bin:/bin";
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? strdup(name) : NULL;
    const char *path = getenv("PATH");
    for (const char *at = path && *path ? path : usual; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        char *full;
        struct stat st;
        if (asprintf(&full, "%.*s/%s", (int)strcspn(at, ":"), at, name) < 0)
            return NULL;
        if (access(full, X_OK) == 0 && stat(full, &st) == 0 && S_ISREG(st.st_mode))
            return full;
        free(full);
    }
    return NULL;
}

const char *machine_qemu(void) {
    static char *found;
    const char *name = getenv("QUIRE_QEMU");
    if (!found)
        found = find_program(name && *name ? name : "qemu-system-x86_64");
    return found;
}

const char *machine_kernel(void) {
    /* Beside the command (a build directory), below it (the source directory), or where it is installed. */
    static const char *const places[] = {"quire.elf", "build/quire.elf", "../lib/quire/quire.elf"};
    static char *found;
    const char *named = getenv("QUIRE_KERNEL");
    if (named && *named)
        return access(named, R_OK) == 0 ? named : NULL;
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (found || n <= 0)
        return found;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        if (asprintf(&found, "%s/%s", self, places[i]) < 0)
            return NULL;
        if (access(found, R_OK) == 0)
            return found;
        free(found);
        found = NULL;
    }
    return NULL;
}

/* A file without a name that goes away with QEMU. */
static int swap_open(uint64_t bytes) {
    const char *where = getenv("TMPDIR");
    where = where && *where ? where : "/var/tmp"; /* not /tmp: that is often memory */
    int fd = open(where, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
        fail("no swap file in %s: %s; set TMPDIR to a directory with room", where, strerror(errno));
    return fd;
}

/* The child's descriptors while it is made; all close on exec, and are moved to their numbers by the child. */
struct ends {
    int wire, debug, output, error;
    int swap[SWAPS_MOST]; /* -1: not a temporary file */
};

/* Out of the way of the numbers that QEMU's descriptors get. */
static int above(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, CHILD_FDS); }

_Noreturn static void report(int error, int why) {
    while (write(error, &why, sizeof why) < 0 && errno == EINTR)
        continue;
    _exit(EXIT_QUIRE);
}

/* In the child, between fork and exec: only async-signal-safe calls, since other threads may be about. Reports errno on
 * `error`. */
_Noreturn static void become_qemu(const struct ends *ends, char **argv, pid_t parent) {
    /* First the promise, then the check that the parent did not die before it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_QUIRE);
    setsid(); /* Ctrl-C at the terminal is for the command alone */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    /* First all of them: a descriptor may have a number that another one is to get. */
    int wire = above(ends->wire), debug = above(ends->debug);
    int output = above(ends->output), error = above(ends->error);
    int swap[SWAPS_MOST];
    bool good = null >= 0 && wire >= 0 && debug >= 0 && output >= 0 && error >= 0;
    for (int i = 0; i < SWAPS_MOST && good; i++) {
        swap[i] = ends->swap[i] < 0 ? null : above(ends->swap[i]);
        good = swap[i] >= 0;
    }
    if (!good) /* (ulimit -n) */
        report(ends->error, errno);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    for (int i = 0; i < SWAPS_MOST; i++)
        dup2(swap[i], CHILD_SWAP + i);
    dup2(wire, CHILD_WIRE);
    dup2(debug, CHILD_DEBUG);
    /* Whatever else we inherited: QEMU must not hold a pipe open whose end somebody waits for. CLOEXEC, as `error` must
     * live on. */
    syscall(SYS_close_range, CHILD_FDS, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    execv(argv[0], argv);
    report(error, errno);
}

static void pair(int type_is_pipe, int ends[2]) {
    int rc = type_is_pipe ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    if (rc != 0)
        fail("no pipe to QEMU: %s", strerror(errno));
}

void machine_start(struct machine *machine, const struct options *options, bool kvm) {
    struct line line;
    int wire[2], debug[2], output[2], error[2], why = 0;
    build(&line, options, kvm, false);
    pair(0, wire);
    pair(0, debug);
    pair(1, output);
    pair(1, error);
    struct ends ends = {.wire = wire[1], .debug = debug[1], .output = output[1], .error = error[1]};
    for (unsigned i = 0; i < SWAPS_MOST; i++)
        ends.swap[i] = i < options->swap_count && options->swaps[i].bytes ? swap_open(options->swaps[i].bytes) : -1;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become_qemu(&ends, line.word, parent);
    if (pid < 0)
        fail("QEMU cannot be started: %s", strerror(errno));
    close(wire[1]);
    close(debug[1]);
    close(output[1]);
    close(error[1]);
    for (unsigned i = 0; i < SWAPS_MOST; i++)
        if (ends.swap[i] >= 0)
            close(ends.swap[i]);
    if (read(error[0], &why, sizeof why) == sizeof why)
        fail("%s cannot be executed: %s", line.word[0], strerror(why));
    close(error[0]);
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    *machine = (struct machine){.pid = pid, .wire = wire[0], .debug = debug[0], .output = output[0], .kvm = kvm};
    machine->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (machine->pidfd < 0)
        fail("QEMU cannot be watched: %s (quire needs Linux 5.3 or later)", strerror(errno));
    line_free(&line);
}

void machine_stop(struct machine *machine) {
    if (!machine->pid)
        return;
    kill(machine->pid, SIGKILL);
    while (waitpid(machine->pid, &machine->status, 0) < 0 && errno == EINTR)
        continue;
    machine->pid = 0;
    close(machine->pidfd);
    close(machine->debug);
    close(machine->output);
}

void machine_ask(const char *argument, const char *more, char *out, size_t room) {
    out[0] = '\0';
    int output[2];
    if (!machine_qemu())
        return;
    pair(1, output);
    char *argv[] = {(char *)machine_qemu(), (char *)argument, (char *)more, NULL};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(output[1], STDOUT_FILENO) >= 0 && dup2(output[1], STDERR_FILENO) >= 0)
            execv(argv[0], argv);
        _exit(EXIT_QUIRE);
    }
    close(output[1]);
    size_t used = 0;
    for (ssize_t n; used < room - 1 && (n = read(output[0], out + used, room - 1 - used)) > 0;)
        used += (size_t)n;
    out[used] = '\0';
    close(output[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

bool machine_version_ok(const char *version) {
    unsigned major, minor;
    return sscanf(version, "QEMU emulator version %u.%u", &major, &minor) == 2 &&
           (major > 7 || (major == 7 && minor >= 2));
}
