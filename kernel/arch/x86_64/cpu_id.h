/* cpu_id.h - which CPU this is: one load from the per-CPU block. Apart from cpu.h, since locks need it and cpu.h needs
 * them. */
#pragma once

#define CPU_ID_OFFSET 32 /* of struct cpu's id: cpu.c asserts it */

static inline unsigned cpu_id(void) {
    unsigned id;
    __asm__ volatile("movl %%gs:%c1, %0"
                     : "=r"(id)
                     : "i"(CPU_ID_OFFSET)); /* volatile: a task may wake on another CPU */
    return id;
}
