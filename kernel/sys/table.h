/* table.h - what the rest of the kernel asks of the system call table: the report of what was missing. */
#pragma once

#include "lib/base.h"

#define SYSCALL_NUMBERS 512 /* a power of two above the highest number of asm/unistd_64.h */

unsigned syscall_missing_count(void); /* different calls that got ENOSYS */
/* syscall_missing_report: "name×count, name×count"; returns the length, 0 when nothing was missing. */
int syscall_missing_report(char *text, size_t bytes);
