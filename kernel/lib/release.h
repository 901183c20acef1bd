/* release.h - what uname(2), /proc/version and /proc/sys/kernel say we are: the Linux whose ABI we answer for. */
#pragma once

#define RELEASE_SYSTEM "Linux"
#define RELEASE_NUMBER "6.1.0-quire" /* Debian 12's ABI; programs parse the leading numbers */
#define RELEASE_VERSION "#1 SMP Quire"
#define RELEASE_MACHINE "x86_64"
