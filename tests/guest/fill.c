/* fill.c - fill MIB PERCENT: memory whose words are noise, so many percent of each page, and the page's number else;
 * written once, and read twice. Static and small: what its text needs stays. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define WORDS 512u

static uint64_t noise;

static uint64_t word(size_t i, unsigned dense) {
    noise ^= noise << 13; /* xorshift of Marsaglia */
    noise ^= noise >> 7;
    noise ^= noise << 17;
    return i % WORDS < dense ? noise : i / WORDS;
}

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    size_t bytes = strtoul(arguments[1], NULL, 10) << 20;
    unsigned dense = (unsigned)(strtoul(arguments[2], NULL, 10) * WORDS / 100);
    uint64_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return 3;
    for (unsigned round = 0; round < 3; round++) {
        noise = 88172645463325252;
        for (size_t i = 0; i < bytes / sizeof(*at); i++) {
            uint64_t value = word(i, dense);
            if (!round)
                at[i] = value;
            else if (at[i] != value)
                return 1;
        }
    }
    puts("good");
    return 0;
}
