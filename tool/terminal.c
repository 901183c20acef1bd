/* terminal.c - the user's terminal, lent to the guest.
 *
 * The guest has a line discipline of its own, so while the program runs ours does nothing: every byte goes through,
 * Ctrl-C too. But only when both ends of the conversation are here: with stdout elsewhere (`quire run ... | less`) the
 * terminal may belong to the other program at any moment, and taking its modes away would break it; then it stays as it
 * is, Ctrl-C reaches us as a signal, and the guest is told that the host still cooks. */
#include "terminal.h"
#include "say.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int terminal = -1; /* a stream that is one, or -1 */
static bool is_terminal[3];
static bool ours; /* raw mode is wanted */
static bool raw;
static bool found_at_exit;
static struct termios before;
static char before_kernel[TERMIOS_BYTES];

void terminal_find(void) {
    for (int i = 2; i >= 0; i--) {
        is_terminal[i] = isatty(i);
        terminal = is_terminal[i] ? i : terminal;
    }
    if (terminal < 0 || tcgetattr(terminal, &before) != 0)
        return;
    if (ioctl(terminal, TCGETS, before_kernel) != 0)
        memset(before_kernel, 0, sizeof before_kernel);
    ours = is_terminal[0] && is_terminal[1];
}

uint32_t terminal_kind(int i) { return !is_terminal[i] ? 0 : ours ? 1 : 2; }

bool terminal_modes(void *termios) {
    if (terminal < 0)
        return false;
    memcpy(termios, before_kernel, TERMIOS_BYTES);
    return true;
}

bool terminal_window(uint16_t window[4]) {
    struct winsize size;
    if (terminal < 0 || ioctl(terminal, TIOCGWINSZ, &size) != 0)
        return false;
    window[0] = size.ws_row;
    window[1] = size.ws_col;
    window[2] = size.ws_xpixel;
    window[3] = size.ws_ypixel;
    return true;
}

void terminal_raw(void) {
    /* In the background, changing the modes would stop us (SIGTTOU), and they are somebody else's. */
    if (!ours || raw || tcgetpgrp(terminal) != getpgrp())
        return;
    tcgetattr(terminal, &before); /* after a stop the shell may have changed them */
    struct termios modes = before;
    cfmakeraw(&modes);
    if (tcsetattr(terminal, TCSANOW, &modes) != 0)
        return;
    raw = true;
    say_raw(true);
    if (!found_at_exit)
        atexit(terminal_restore);
    found_at_exit = true;
}

void terminal_restore(void) {
    if (!raw)
        return;
    raw = false;
    say_raw(false);
    /* Not TCSADRAIN: on a terminal whose output is held (Ctrl-S) that would hang us. SIGTTOU must not stop us here: we
     * may have become a background process, and still hold the duty to give the modes back. */
    sigset_t ttou, old;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &ttou, &old);
    tcsetattr(terminal, TCSANOW, &before);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}
