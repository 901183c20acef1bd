/* sanitizer.h - what the sanitizers' runtime is told and asked, in builds that have one. */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#else
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static inline void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size) {
    (void)save, (void)bottom, (void)size;
}
static inline void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size) {
    (void)save;
    *bottom = NULL;
    *size = 0;
}
static inline void __sanitizer_print_stack_trace(void) {}
static inline void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t size) {
    extern char __executable_start;
    char command[100], line[200];
    (void)format;
    snprintf(command, sizeof(command), "addr2line -fse /proc/%d/exe %#tx", getpid(), (char *)pc - &__executable_start);
    FILE *says = popen(command, "r");
    for (out[0] = 0; says && fgets(line, sizeof(line), says); strcat(out, " ")) {
        line[strcspn(line, "\n")] = 0;
        strncat(out, line, size - strlen(out) - 2);
    }
    if (says)
        pclose(says);
}
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif
