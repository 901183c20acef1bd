/* terminal.h - the user's terminal, lent to the guest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The kernel's struct termios, as TCGETS gives it: what the guest's terminal starts with. */
#define TERMIOS_BYTES 36

/* Looks at the streams. Call once, before anything else here. */
void terminal_find(void);

/* How the guest should treat stream `i`: the `tty` field of struct wire_stream. */
uint32_t terminal_kind(int i);

/* The modes the terminal had at the start; false when no stream is one. */
bool terminal_modes(void *termios);

/* The window's size; false when there is no terminal, or it will not say. */
bool terminal_window(uint16_t window[4]);

/* Raw mode, if the terminal is ours to change: stdin is one and we are in its foreground. Harmless when called again.
 */
void terminal_raw(void);

/* As it was at the start. Harmless when it is not raw; also done at exit. */
void terminal_restore(void);
