/* swap.c - swapon(2), swapoff(2). */
#include "fs/swapfile.h"
#include "sys/sys.h"

long sys_swapon(const char __user *name, int flags) { return swap_on(name, flags); }
long sys_swapoff(const char __user *name) { return swap_off(name); }
