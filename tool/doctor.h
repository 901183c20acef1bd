/* doctor.h - `quire doctor`. */
#pragma once

/* Says what this machine can do, a line each. Returns 0 when programs can be run, else EXIT_QUIRE. */
int doctor(void);
