/* shadow.h - hooks of shadow.c: nothing but in a kernel that is built with QUIRE_SHADOW. */
#pragma once

#include "lib/base.h"

#ifdef QUIRE_SHADOW
void shadow_change(const u64 *slot, u64 old, u64 new);  /* a slot of a table became another; after it did */
void shadow_load(u64 root);                             /* this CPU has loaded a root and forgotten everything */
void shadow_flush(u64 start, u64 end);                  /* this CPU is about to forget [start, end) */
bool shadow_drops(const u64 *mask, u64 start, u64 end); /* a test wants this flush left out */
void shadow_freed(u64 frame);
void shadow_forgotten(u64 frame);      /* the current task drops a mapping's count */
void shadow_settled(const char *when); /* the current task has flushed all that it changed */
extern u64 shadow_drop;
#else
static inline void shadow_change(const u64 *slot, u64 old, u64 new) {}
static inline void shadow_load(u64 root) {}
static inline void shadow_flush(u64 start, u64 end) {}
static inline bool shadow_drops(const u64 *mask, u64 start, u64 end) { return false; }
static inline void shadow_freed(u64 frame) {}
static inline void shadow_forgotten(u64 frame) {}
static inline void shadow_settled(const char *when) {}
#endif
