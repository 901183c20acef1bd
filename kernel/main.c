/* main.c - the order of start-up: memory, processors, tasks; then, in a task of its own, devices, files, the program.
 */
#include "main.h"
#include "fs/swapfile.h"

#include "boot/boot.h"
#include "fs/vfs.h"
#include "lib/random.h"
#include "task/background.h"
#include "task/task.h"
#include "vm/frame.h"
#include "vm/slab.h"
#include "vm/space.h"

struct boot_config boot_config;

static void set_sysctls(void) {
    for (unsigned i = 0; i < boot_config.sysctl_count; i++) {
        int error = sysctl_set(boot_config.sysctls[i]);
        if (error)
            host_fail(125, "--sysctl %s: %s", boot_config.sysctls[i],
                      error == -ENOENT   ? "there is no such knob"
                      : error == -EINVAL ? "the knob does not take this value"
                                         : "the knob cannot be set");
    }
}

/* From here on things may sleep: the command is asked what to run, the files are mounted, the program starts. */
static void start(void *unused argument) {
    int error;
    host_init();
    if (boot_option("panic")) /* for the test of what a panic looks like from outside */
        panic("asked for on the command line, with %lu frames free", (unsigned long)frame_free_count());
    if ((error = host_configure(&boot_config)))
        panic("no configuration from the command: error %d", error);
    clock_set_wall(boot_config.wire.wall_ns);
    random_seed(boot_config.wire.seed, sizeof(boot_config.wire.seed));
    vfs_init();
    swap_start();
    background_start();
    if ((error = vfs_mount_all(&boot_config)))
        host_fail(125, "the file systems cannot be mounted: error %d", -error);
    set_sysctls();
    if (boot_config.wire.flags & WIRE_WANT_TRACE && !recorder_start())
        host_fail(125, "--trace: no memory for the recorder");
    if ((error = process_start_first(&boot_config)))
        host_fail(125, "the first process cannot be started: error %d", -error);
    kthread_exit();
}

void kernel_main(void) {
    frame_init(boot_ranges, boot_range_count);
    slab_init();
    arch_init_late();
    vm_init();
    task_init();
    smp_start();
    if (!kthread_start("start", start, NULL))
        panic("no memory for the first task");
    sched_cpu_main();
}
