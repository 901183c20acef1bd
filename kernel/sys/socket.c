/* socket.c - the calls about sockets, as long as there is none: making one is ENOSYS (and so in the list of what was
 * missing), and every descriptor is something else, which is what the other calls answer. bash asks getpeername(0), to
 * know whether it was started over a network, and takes any other error for "yes". */
#include "fs/file.h"
#include "sys/sys.h"

long sys_not_a_socket(int fd) {
    struct file *f = fd_get(fd);
    if (!f)
        return -EBADF;
    file_put(f);
    return -ENOTSOCK;
}
