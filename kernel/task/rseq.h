/* rseq.h - restartable sequences: what the way to user mode and signal delivery call. */
#pragma once

struct regs;
/* rseq_update: after a switch or before a signal frame: tell the program its CPU, abort the sequence it is in. May
 * sleep. */
void rseq_update(struct regs *regs);
