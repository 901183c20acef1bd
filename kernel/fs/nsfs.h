/* nsfs.h - the files that stand for namespaces(7). */
#pragma once

#include "fs/vfs.h"

enum namespace_kind {
    NAMESPACE_CGROUP,
    NAMESPACE_IPC,
    NAMESPACE_MNT,
    NAMESPACE_NET,
    NAMESPACE_PID,
    NAMESPACE_TIME,
    NAMESPACE_USER,
    NAMESPACE_UTS,
};
/* namespace_path: of the first namespace of its kind, counted. 0, -ENOMEM. */
int namespace_path(enum namespace_kind kind, struct path *out);
/* namespace_join: setns(2) to what f stands for: 0; -EINVAL: for none, or none of that type; -EPERM... */
long namespace_join(struct file *f, int type);
