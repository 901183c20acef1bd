/* uses.c - uses 6,000 pages, some much more often than others, in an order that is the same in each run; prints how
 * many of them were read from the swap area. Every second page only is mapped, so that nothing is read ahead. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGES 6000u
#define USES 40000u
#define WORDS 512u

static long pages_in(void) {
    char line[200];
    long value = -1;
    FILE *file = fopen("/proc/vmstat", "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "pswpin %ld", &value);
    if (file)
        fclose(file);
    return value;
}

static uint32_t next(void) {
    static uint32_t state = 1;
    return state = state * 1664525 + 1013904223; /* Knuth, 3.3.4: Lewis and others' */
}

/* The product of two fractions: the lower the page, the more often it is used. */
static uint32_t page(void) { return (uint32_t)((uint64_t)(next() >> 16) * (next() >> 16) * PAGES >> 32); }

int main(void) {
    size_t bytes = 2ul * PAGES * WORDS * sizeof(uint64_t);
    uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, bytes, MADV_NOHUGEPAGE))
        return 1;
    for (uint32_t i = 0; i < PAGES; i++)
        memory[2ul * i * WORDS] = i + 1;
    for (uint32_t n = 0; n < USES; n++) {
        uint32_t i = page();
        if (memory[2ul * i * WORDS] != i + 1)
            return 2;
    }
    printf("%ld\n", pages_in());
    return 0;
}
