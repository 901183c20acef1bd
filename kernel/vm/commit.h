/* commit.h - promises of memory: how much was promised to programs in all, and whether more may be (overcommit).
 *
 * What is promised: private writable mappings (VIEW_ACCOUNT) and shared memory, touched or not; and the pages that
 * files in memory (tmpfs, memfd, shared memory that is not reserved) have, as they come. The count is kept in a part
 * for each CPU, so that mapping takes no common line; only mode 2, which needs the sum, reads them all. */
#pragma once

#include "lib/base.h"

enum { COMMIT_GUESS, COMMIT_ALWAYS, COMMIT_NEVER }; /* /proc/sys/vm/overcommit_memory */
extern u64 commit_mode, commit_ratio, commit_kbytes, commit_user_reserve, commit_admin_reserve; /* likewise; kB */

struct space;
/* commit_charge: promise `pages` more, if the mode allows it. s: whose promise it is, for the part that mode 2 keeps
 * back; NULL: nobody's. Never sleeps, may be called with the space closed. */
bool commit_charge(const struct space *s, u64 pages) must_check;
void commit_init(void);     /* once memory is known: what is kept back of it */
void commit_add(s64 pages); /* without asking; negative: given back */
u64 commit_total(void);
u64 commit_limit(void); /* of mode 2, in pages */
