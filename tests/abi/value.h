/* value.h - a number that the kernel shows in a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* value_of: what follows `field` on the last line that begins with it; -1: there is none. */
static __attribute__((unused)) long value_of(const char *path, const char *field) {
    char line[256];
    long value = -1;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, field, strlen(field)))
            value = atol(line + strlen(field));
    if (f)
        fclose(f);
    return value;
}
