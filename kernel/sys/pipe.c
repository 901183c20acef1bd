/* pipe.c - pipe and pipe2. What a pipe is: fs/pipe.c. */
#include <linux/fcntl.h>

#include "fs/file.h"
#include "fs/pipe.h"
#include "sys/sys.h"

long sys_pipe2(int __user *fds, int flags) {
    struct file *ends[2];
    bool close_on_exec = flags & O_CLOEXEC;
    int numbers[2], error;

    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    error = pipe_create(ends, flags);
    if (error)
        return error;
    numbers[0] = fd_install(ends[0], close_on_exec, 0);
    if (numbers[0] < 0) {
        file_put(ends[0]);
        file_put(ends[1]);
        return numbers[0];
    }
    numbers[1] = fd_install(ends[1], close_on_exec, 0);
    if (numbers[1] < 0) {
        fd_close(numbers[0]);
        file_put(ends[1]);
        return numbers[1];
    }
    if (copy_to_user(fds, numbers, sizeof(numbers))) {
        fd_close(numbers[0]);
        fd_close(numbers[1]);
        return -EFAULT;
    }
    return 0;
}

long sys_pipe(int __user *fds) { return sys_pipe2(fds, 0); }
