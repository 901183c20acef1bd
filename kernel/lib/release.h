/* release.h - what uname(2), /proc/version and /proc/sys/kernel say we are: the Linux whose ABI we answer for. */
#pragma once

#include "lib/base.h"

#define RELEASE_SYSTEM "Linux"
#define RELEASE_NUMBER "6.1.0-quire" /* Debian 12's ABI; programs parse the leading numbers */
#define RELEASE_VERSION "#1 SMP Quire"
#define RELEASE_MACHINE "x86_64"

/* host_name_get: the node name, as uname has it now; returns out. Defined by sys/misc.c, which lets it be changed. */
const char *host_name_get(char *out, size_t bytes);
