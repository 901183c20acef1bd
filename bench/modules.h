/* modules.h - what the first programs of bench share: Debian's kernel keeps its drivers in modules, which they load
 * from /modules in the order of their names. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* NULL, or the path of one that could not be loaded. Their files go: an initial RAM disk is the program's memory. */
static const char *load_modules(void) {
    static char path[300];
    struct dirent **names;
    int count = scandir("/modules", &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
        int fd = open(path, O_RDONLY);
        if (names[i]->d_name[0] != '.' && syscall(SYS_finit_module, fd, "", 0))
            return path;
        close(fd);
        unlink(path);
    }
    return NULL;
}
