/* mm.h - what the files of system calls on memory share. */
#pragma once

#include "lib/base.h"

struct space;

/* limited_space (mm.c): the caller's space, its limits as setrlimit left them. */
struct space *limited_space(void);
