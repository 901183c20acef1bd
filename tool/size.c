/* size.c - sizes and durations as people type them. Exact: no size is rounded. */
#include "size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char units[] = "KMGT";

bool size_parse(const char *text, uint64_t *bytes) {
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno)
        return false;
    unsigned shift = 0;
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
        if (strcasecmp(end, "iB") == 0)
            end += 2;
    }
    if (strcasecmp(end, "B") == 0)
        end++;
    if (*end || number > UINT64_MAX >> shift)
        return false;
    *bytes = number << shift;
    return true;
}

const char *size_text(uint64_t bytes, char *out) {
    int unit = -1;
    while (unit < 3 && bytes && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, 24, "%" PRIu64 "%.1s", bytes, unit < 0 ? "" : &units[unit]);
    return out;
}

bool duration_parse(const char *text, uint64_t *ns) {
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    char *end;
    double seconds = strtod(text, &end);
    switch (*end) {
    case 'h':
        seconds *= 60; /* fall through */
    case 'm':
        seconds *= 60; /* fall through */
    case 's':
        end++;
        break;
    default:
        break;
    }
    if (*end || !isfinite(seconds) || seconds <= 0 || seconds > 1e9)
        return false;
    *ns = (uint64_t)(seconds * 1e9);
    return *ns > 0;
}
