/* flat.h - the model that kernel/vm is compared with: flat, slow where it may be, and obviously right.
 *
 * A space is a sorted array of mappings, no two of which could be one, and a sorted array of the pages that it has of
 * its own; a page of its own names its contents, which fork shares and a write parts. A file is its words. Nothing here
 * knows of tables, plans, slots, caches or TLBs. */
#pragma once

#include "host.h"

#define SPACES 8
#define FILES 6
#define FILE_BACKED(i) ((i) % 2 == 0 && (i) != FILE_DEVICE)
#define FILE_LAYERED 2 /* backed, but what is written to it stays in memory */
#define FILE_DEVICE 5
#define FILE_PAGES 80
#define WORDS 4
#define MAPS_MOST 3000
#define OWN_MOST 20000
#define FLAT_TOP 0x7ffffffffULL /* the last page that can be mapped is the one before */
#define FLAT_FLOOR 16ULL        /* mmap_min_addr */
#define FLAT_GUARD 256ULL       /* pages that stay free below what grows down */

extern const u64 word_offset[WORDS]; /* the bytes of a page that are looked at */

struct flat_map {
    u64 first, end; /* pages */
    u32 flags, max_prot;
    int file;   /* -1: anonymous */
    u64 offset; /* pages; 0 without a file */
};
struct content {
    u32 sharers; /* pages of spaces that have it */
    u64 words[WORDS];
};
struct own_page {
    u64 page;
    struct content *content; /* NULL: lost, its frame was taken out of use */
    bool written;            /* since marks were cleaned, or moved */
};
struct flat {
    struct space *real;
    struct flat_map *maps;
    unsigned map_count;
    struct own_page *own;
    unsigned own_count;
    u64 brk_start, brk, gap_top; /* bytes, bytes, page */
    bool moved;                  /* something has, since marks were cleaned */
    bool gap_loose;              /* its gaps are not told exactly any more */
    u32 locked_default;          /* VIEW_ flags of new mappings: mlockall(MCL_FUTURE) */
};
struct flat_file {
    struct host_file *real;
    u64 size; /* bytes */
    u64 words[FILE_PAGES][WORDS];
    bool lost[FILE_PAGES]; /* of shared memory: the frame was taken out of use */
    bool owes_error;       /* a page could not be written back, and msync has not said so yet */
};
struct flat_totals {
    u64 total, data, stack, exec, locked, committed, shared;
};

extern struct flat flat_spaces[SPACES];
extern struct flat_file flat_files[FILES];
extern u64 contents_live; /* how many anonymous frames there must be */

void flat_open(struct flat *m);  /* an empty space */
void flat_close(struct flat *m); /* all is gone */
void flat_fork(struct flat *child, const struct flat *parent);

/* Mappings only; flat_own_drop and flat_own_move are called beside them. The answers are those after joining. */
struct flat_map *flat_at(struct flat *m, u64 page);
struct flat_map *flat_above(struct flat *m, u64 page); /* the first with end > page, or NULL */
bool flat_any(struct flat *m, u64 first, u64 end);
void flat_remove(struct flat *m, u64 first, u64 end);
void flat_add(struct flat *m, struct flat_map x); /* in place of what is there */
void flat_change(struct flat *m, u64 first, u64 end, u32 set, u32 clear);
u64 flat_hole(struct flat *m, u64 first, u64 end); /* the first page that is not mapped, or end */
u32 flat_accounted(u32 flags);
struct flat_totals flat_totals(const struct flat *m);
u64 flat_pages_in(struct flat *m, u64 first, u64 end);

/* flat_gap: where mmap without MAP_FIXED goes: the hint if it is free, else the highest gap. 0: nowhere. */
u64 flat_gap(struct flat *m, u64 pages, u64 hint, u64 below);

/* flat_save, flat_restore: the list of mappings, to try something on it. */
void flat_save(const struct flat *m);
void flat_restore(struct flat *m);

struct own_page *flat_own(struct flat *m, u64 page);
unsigned flat_own_from(struct flat *m, u64 page); /* index of the first with page >= page */
void flat_own_drop(struct flat *m, u64 first, u64 end);
void flat_own_lose(struct own_page *own);               /* its content is lost, for this one */
u64 flat_own_there(struct flat *m, u64 first, u64 end); /* how many in [first, end) are not lost */
void flat_own_move(struct flat *m, u64 from, u64 to, u64 pages);
void flat_own_part(struct flat *m, u64 first, u64 end); /* contents shared with others become copies */

/* flat_access: what an access to `page` does. *words: where the contents are; NULL: zeroes that nobody has written. */
enum fault_outcome flat_access(struct flat *m, u64 page, enum fault_access access, u64 **words);
struct flat_map *flat_grow(struct flat *m, u64 page); /* nothing is at `page`: a stack grows there, or NULL */
extern bool flat_force;                               /* a debugger's access, against the protection */
extern bool flat_remote;                              /* an access from outside: no stack grows for it */
u64 flat_file_pages(const struct flat_file *f);
