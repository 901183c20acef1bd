/* run.c - one run: the event loop between the guest, the user's streams, signals and terminal.
 *
 * Nothing in the loop blocks: streams.c has threads for what may. A run ends in one of these ways, each a function or a
 * line here: the program ended (STATUS), it could not be run (FAIL), the kernel panicked, QEMU ended or never came up,
 * the guest stood still (watchdog), the time is over, a signal came before the program was there. In all of them QEMU
 * is ended and reaped, then the terminal restored, then the last words said. */
#include "run.h"
#include "channel.h"
#include "config.h"
#include "guestlog.h"
#include "machine.h"
#include "record.h"
#include "say.h"
#include "size.h"
#include "streams.h"
#include "terminal.h"
#include "watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define SILENCE_MOST (10 * SECOND)
#define KVM_SILENCE_MOST (3 * SECOND) /* with auto, a KVM that runs nothing costs no more than this */
#define PANIC_LAST_WORDS (2 * SECOND) /* after which a panicked machine is ended by us */
#define NUDGE_MS 5
#define POLLS_MOST 256

enum { FD_WIRE, FD_DEBUG, FD_OUTPUT, FD_ENDED, FD_SIGNAL, FD_ANSWERS, FD_COUNT };

/* What a run needs beside its machine; lives through the change from KVM to TCG. */
struct session {
    const struct options *options;
    struct machine machine;
    struct channel channel;
    struct guestlog log;
    struct watchdog watchdog;
    char output[4096]; /* the first that QEMU itself printed */
    size_t output_used;
    int signals; /* signalfd */
    int answers; /* streams_start */
    uint64_t ignored;
    sigset_t forwarded;
    uint64_t deadline_ns; /* of --timeout; 0: none */
    uint64_t panic_ns;    /* when the panic began */
    uint64_t look_ns;     /* when the watchdog looks next */
    bool hello;           /* the guest came up */
    bool boot_only;       /* run_boot */
    bool try_again;       /* KVM did not work: use TCG */
    bool over;
    int code; /* exit status, once over */
    /* for the end */
    char *stats;
    size_t stats_bytes;
    bool has_end;
    struct wire_end end;
};

static void finish(struct session *session, int code) {
    session->over = true;
    session->code = code;
}

/* The guest speaks what it should not. */
static void finish_garbled(struct session *session, const char *what) {
    say("the guest sent %s: the kernel image does not fit this command; run make again", what);
    finish(session, EXIT_QUIRE);
}

static void take_output(struct session *session) {
    char text[1024];
    ssize_t n = read(session->machine.output, text, sizeof text);
    if (n <= 0)
        return;
    size_t room = sizeof session->output - 1 - session->output_used;
    size_t kept = (size_t)n < room ? (size_t)n : room;
    memcpy(session->output + session->output_used, text, kept);
    session->output_used += kept;
    if (session->options->verbose)
        say_text(text, (unsigned long)n);
}

/* Returns false when nothing more is there now. */
static bool take_debug(struct session *session) {
    char text[4096];
    ssize_t n = recv(session->machine.debug, text, sizeof text, MSG_DONTWAIT);
    if (n <= 0)
        return false;
    guestlog_take(&session->log, text, (size_t)n);
    if (session->log.panicked && !session->panic_ns)
        session->panic_ns = clock_now();
    return true;
}

static void send_window(struct session *session) {
    uint16_t window[4];
    if (session->hello && terminal_window(window))
        channel_send(&session->channel, WIRE_WINDOW, 0, 0, window, sizeof window);
}

static void take_hello(struct session *session, int32_t version) {
    if (version != WIRE_VERSION) {
        finish_garbled(session, "another version of the protocol");
        return;
    }
    session->hello = true;
    watchdog_heard(&session->watchdog);
    if (session->boot_only) {
        finish(session, 0);
        return;
    }
    terminal_raw();
    size_t bytes;
    char *config = config_make(session->options, session->ignored, &bytes);
    channel_send(&session->channel, WIRE_CONFIG, 0, 0, config, bytes);
    free(config);
}

/* The program stopped, so the command stops, by the same signal; the shell sees a stopped job. */
static void stop(struct session *session, int number) {
    sigset_t one, before, pending;
    if (number != SIGTSTP && number != SIGTTIN && number != SIGTTOU)
        number = SIGSTOP;
    terminal_restore();
    streams_drain(false);
    sigemptyset(&one);
    sigaddset(&one, number);
    raise(number);
    /* here we stop, unless our group is orphaned: then nobody could continue us */
    pthread_sigmask(SIG_UNBLOCK, &one, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    terminal_raw();
    send_window(session);
    /* The CONT that woke us is forwarded like any signal; without one, the program must not stay stopped either. */
    sigpending(&pending);
    if (!sigismember(&pending, SIGCONT))
        channel_send(&session->channel, WIRE_SIGNAL, 0, SIGCONT, NULL, 0);
}

static void take_signal(struct session *session) {
    struct signalfd_siginfo info;
    if (read(session->signals, &info, sizeof info) != sizeof info)
        return;
    int number = (int)info.ssi_signo;
    if (number == SIGWINCH) {
        send_window(session);
    } else if (session->hello) {
        if (number == SIGCONT)
            terminal_raw();
        channel_send(&session->channel, WIRE_SIGNAL, 0, number, NULL, 0);
    } else if (number == SIGTSTP) {
        stop(session, number);
    } else if (number != SIGCONT) {
        finish(session, 128 + number); /* no program yet: as if it had died of it */
    }
}

static void take_status(struct session *session, const struct wire_message *message, const char *payload) {
    if (message->bytes >= sizeof session->end) {
        memcpy(&session->end, payload, sizeof session->end);
        session->has_end = true;
    }
    int status = message->value;
    finish(session, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void take_stats(struct session *session, const char *payload, size_t bytes) {
    char *more = realloc(session->stats, session->stats_bytes + bytes);
    if (!more)
        return;
    session->stats = more;
    memcpy(more + session->stats_bytes, payload, bytes);
    session->stats_bytes += bytes;
}

static void take_message(struct session *session, const struct wire_message *message, const char *payload) {
    switch (message->type) {
    case WIRE_HELLO:
        take_hello(session, message->value);
        break;
    case WIRE_BEAT:
        watchdog_heard(&session->watchdog);
        break;
    case WIRE_READ:
    case WIRE_WRITE:
    case WIRE_POLL:
    case WIRE_SEEK:
        if (!streams_ask(message, payload))
            finish_garbled(session, "a malformed question");
        break;
    case WIRE_CANCEL:
        streams_cancel((uint32_t)message->value);
        break;
    case WIRE_STATUS:
        take_status(session, message, payload);
        break;
    case WIRE_STATS:
        take_stats(session, payload, message->bytes);
        break;
    case WIRE_TRACE:
        record_take(payload, message->bytes);
        break;
    case WIRE_FAIL:
        say("%.*s", (int)message->bytes, payload);
        finish(session, message->value);
        break;
    case WIRE_STOPPED:
        stop(session, message->value);
        break;
    default:
        finish_garbled(session, "a message of no known kind");
        break;
    }
}

static void take_wire(struct session *session) {
    int filled = channel_fill(&session->channel);
    if (filled < 0)
        channel_close(&session->channel); /* QEMU is ending; the end itself is noticed by FD_ENDED */
    if (filled <= 0)
        return;
    struct wire_message message;
    const char *payload;
    int taken = 0;
    while (!session->over && (taken = channel_take(&session->channel, &message, &payload)) > 0)
        take_message(session, &message, payload);
    if (taken < 0)
        finish_garbled(session, "a message too long");
}

static void send_answers(struct session *session) {
    struct streams_answer answer;
    while (streams_next(&answer))
        channel_send(&session->channel, WIRE_ANSWER, answer.tag, answer.value, answer.payload, answer.bytes);
}

/* QEMU's own words without its name, up to the end of the line. */
static const char *first_complaint(struct session *session) {
    session->output[session->output_used] = '\0';
    session->output[strcspn(session->output, "\n")] = '\0';
    char *colon = strstr(session->output, ": ");
    char *space = strchr(session->output, ' ');
    return colon && space == colon + 1 ? colon + 2 : session->output;
}

/* QEMU ended before the program did: why? */
static void explain_end(struct session *session) {
    char version[256] = "", number[32];
    int status = session->machine.status;
    finish(session, EXIT_QUIRE);
    if (session->log.panicked)
        return; /* all is said */
    if (!session->hello)
        machine_ask("--version", NULL, version, sizeof version);
    if (sscanf(version, "QEMU emulator version %31[0-9.]", number) == 1 && !machine_version_ok(version))
        say("QEMU %s is too old: quire needs 7.2 or later", number);
    else if (WIFSIGNALED(status))
        say("QEMU was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (session->output_used)
        say("QEMU ended: %s", first_complaint(session));
    else
        say("the machine ended by itself (QEMU's status %d); run it again with -v to see how far it came",
            WEXITSTATUS(status));
}

static void machine_ended(struct session *session) {
    while (!session->over && session->channel.fd >= 0 && channel_fill(&session->channel) > 0) {
        struct wire_message message;
        const char *payload;
        while (!session->over && channel_take(&session->channel, &message, &payload) > 0)
            take_message(session, &message, payload);
    }
    while (take_debug(session))
        continue;
    take_output(session);
    if (session->over)
        return;
    machine_stop(&session->machine);
    session->try_again = session->machine.kvm && session->options->accel == ACCEL_AUTO && !session->hello;
    if (session->try_again)
        finish(session, EXIT_QUIRE);
    else
        explain_end(session);
}

static void check_silence(struct session *session) {
    uint64_t silent = watchdog_look(&session->watchdog);
    bool may_fall_back = session->machine.kvm && session->options->accel == ACCEL_AUTO && !session->hello;
    if (silent < (may_fall_back ? KVM_SILENCE_MOST : SILENCE_MOST))
        return;
    finish(session, EXIT_QUIRE);
    if (may_fall_back)
        session->try_again = true;
    else if (!session->hello)
        say("the guest did not come up within 10 s; run it again with -v to see how far it came");
    else
        say("the guest stood still for 10 s, and was ended; run it again with -v to see what it did last");
}

/* What is due by the clock. Returns the milliseconds until something is due again. */
static int check_clock(struct session *session) {
    uint64_t now = clock_now();
    if (session->deadline_ns && now >= session->deadline_ns && !session->over) {
        char seconds[32];
        snprintf(seconds, sizeof seconds, "%.3f", (double)session->options->timeout_ns / 1e9);
        say("timed out after %g s", strtod(seconds, NULL));
        finish(session, EXIT_TIMEOUT);
    } else if (session->panic_ns && now >= session->panic_ns + PANIC_LAST_WORDS) {
        finish(session, EXIT_QUIRE);
    } else if (now >= session->look_ns) {
        check_silence(session);
        session->look_ns = now + WATCHDOG_TICK_NS;
    }
    uint64_t next = session->look_ns;
    if (session->deadline_ns && session->deadline_ns < next)
        next = session->deadline_ns;
    int ms = next > now ? (int)((next - now) / 1000000 + 1) : 0;
    if (streams_cancelling()) {
        streams_nudge();
        ms = ms < NUDGE_MS ? ms : NUDGE_MS;
    }
    return ms;
}

/* One turn of the loop. */
static void turn(struct session *session, int ms) {
    struct pollfd fds[FD_COUNT + POLLS_MOST] = {
        [FD_WIRE] = {.fd = session->channel.fd,
                     .events = POLLIN | (channel_wants_out(&session->channel) ? POLLOUT : 0)},
        [FD_DEBUG] = {.fd = session->machine.debug, .events = POLLIN},
        [FD_OUTPUT] = {.fd = session->machine.output, .events = POLLIN},
        [FD_ENDED] = {.fd = session->machine.pidfd, .events = POLLIN},
        [FD_SIGNAL] = {.fd = session->signals, .events = POLLIN},
        [FD_ANSWERS] = {.fd = session->answers, .events = POLLIN},
    };
    unsigned polls = streams_pollfds(fds + FD_COUNT, POLLS_MOST);
    if (poll(fds, FD_COUNT + polls, ms) <= 0)
        return;
    streams_polled(fds + FD_COUNT, polls);
    /* The log first: what the kernel says about an end comes before the end. */
    if (fds[FD_DEBUG].revents)
        take_debug(session);
    if (fds[FD_OUTPUT].revents)
        take_output(session);
    if (fds[FD_WIRE].revents & POLLOUT)
        channel_flush(&session->channel);
    if (fds[FD_WIRE].revents & (POLLIN | POLLHUP | POLLERR))
        take_wire(session);
    if (fds[FD_SIGNAL].revents && !session->over)
        take_signal(session);
    send_answers(session);
    if (fds[FD_ENDED].revents && !session->over)
        machine_ended(session);
}

static void run_machine(struct session *session, bool kvm) {
    session->over = session->hello = session->try_again = false;
    session->output_used = 0;
    session->panic_ns = 0;
    session->log = (struct guestlog){.verbose = session->options->verbose, .quiet = session->options->quiet};
    machine_start(&session->machine, session->options, kvm);
    channel_open(&session->channel, session->machine.wire);
    watchdog_start(&session->watchdog, session->machine.pid);
    session->look_ns = clock_now() + WATCHDOG_TICK_NS;
    while (!session->over) {
        int ms = check_clock(session);
        if (!session->over)
            turn(session, ms);
    }
    while (session->machine.pid && take_debug(session))
        continue;
    guestlog_end(&session->log);
    machine_stop(&session->machine);
    channel_close(&session->channel);
    if (session->log.panicked)
        session->code = EXIT_QUIRE;
}

/* Takes the signals that the program shall get, and notes which it starts with ignored. */
static void signals_start(struct session *session) {
    static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2, SIGWINCH};
    struct sigaction action;
    for (int i = 1; i < NSIG; i++)
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            session->ignored |= 1ull << (i - 1);
    sigemptyset(&session->forwarded);
    for (unsigned i = 0; i < sizeof taken / sizeof *taken; i++)
        if (!(session->ignored >> (taken[i] - 1) & 1))
            sigaddset(&session->forwarded, taken[i]);
    pthread_sigmask(SIG_BLOCK, &session->forwarded, NULL);
    signal(SIGPIPE, SIG_IGN); /* EPIPE is the program's to hear of */
    signal(SIGXFSZ, SIG_IGN); /* and EFBIG; of a file of our own it is an error like others */
    signal(SIGCHLD, SIG_DFL); /* else QEMU's status would be lost */
    session->signals = signalfd(-1, &session->forwarded, SFD_CLOEXEC | SFD_NONBLOCK);
    if (session->signals < 0)
        fail("no signalfd: %s", strerror(errno));
}

static void check_parts(void) {
    if (!machine_qemu()) {
        const char *named = getenv("QUIRE_QEMU");
        if (named && *named)
            fail("QUIRE_QEMU=%s: no program there", named);
        fail("qemu-system-x86_64 is not installed: apt-get install qemu-system-x86, or name one in QUIRE_QEMU");
    }
    if (!machine_kernel()) {
        const char *named = getenv("QUIRE_KERNEL");
        if (named && *named)
            fail("QUIRE_KERNEL=%s: no kernel image there", named);
        fail("the kernel image, build/quire.elf, is not there: run make, or name one in QUIRE_KERNEL");
    }
}

/* The last words, when the machine is gone and the terminal is the user's again. */
static void conclude(struct session *session) {
    const struct options *options = session->options;
    if (session->stats_bytes)
        say_text(session->stats, session->stats_bytes);
    if (!session->has_end)
        return;
    if (session->end.overlay_files && !options->quiet)
        say("%u file%s changed in the overlay %s not kept; --rw DIR writes through", session->end.overlay_files,
            session->end.overlay_files == 1 ? "" : "s", session->end.overlay_files == 1 ? "was" : "were");
    if (session->end.leaked)
        say("the kernel lost count of %" PRIu64 " of its objects: a mistake of Quire's, please report it",
            session->end.leaked);
}

int run(const struct options *options) {
    struct session session = {.options = options, .code = EXIT_QUIRE};
    const char *why;
    check_parts();
    terminal_find();
    signals_start(&session);
    record_open(options->trace);
    session.answers = streams_start();
    say_through(streams_print);
    if (options->timeout_ns)
        session.deadline_ns = clock_now() + options->timeout_ns;
    bool kvm = options->accel == ACCEL_KVM || (options->accel == ACCEL_AUTO && machine_kvm(&why));
    if (options->accel == ACCEL_KVM && !machine_kvm(&why))
        fail("--accel kvm: %s; use --accel tcg", why);
    run_machine(&session, kvm);
    if (session.try_again) {
        if (options->verbose)
            say("no guest comes up under KVM here; using TCG");
        run_machine(&session, false);
    }
    /* Signals are still blocked, so nothing here may wait for a reader of stderr's without an eye on them. */
    bool late = session.deadline_ns && clock_now() >= session.deadline_ns;
    streams_abandon();
    streams_drain(late);
    terminal_restore();
    record_close();
    conclude(&session);
    streams_drain(late);
    free(session.stats);
    return session.code;
}

unsigned long long run_boot(const struct options *options, bool kvm) {
    struct session session = {.options = options, .boot_only = true};
    check_parts();
    signals_start(&session);
    session.answers = streams_start();
    uint64_t start = clock_now();
    run_machine(&session, kvm);
    return session.hello ? clock_now() - start : 0;
}
