/* smp.c - wake the other CPUs: INIT, then a start-up interrupt to each; all come up at once, through the trampoline
 * (entry.S).
 *
 * A CPU is counted in cpu_count only when it is fully up; then all go to the scheduler together, so that nobody sees a
 * number of CPUs that still grows. Afterwards the boot tables and the boot stack are given to the allocator. */
#include "arch/x86_64/x86.h"
#include "task/task.h"
#include "vm/frame.h"

#define INIT_NS 10000000UL    /* between INIT and start-up (SDM volume 3, 8.4.4.1); QEMU needs none */
#define AGAIN_NS 100000000UL  /* who has not come by then is called once more */
#define WAIT_NS 10000000000UL /* a host with few CPUs runs many of ours one after the other */

struct cpu_arch *trampoline_cpus[256]; /* by APIC id; entry.S picks its own */
static bool go;
static unsigned arrived;

noreturn void smp_cpu_main(struct cpu_arch *a);
void smp_cpu_main(struct cpu_arch *a) {
    cpu_block_load(a);
    cpu_start(a);
    atomic_store(&a->alive, true);
    atomic_add(&arrived, 1);
    while (!atomic_load(&go))
        cpu_pause();
    clock_start();
    irq_on();
    sched_cpu_main();
}

static struct cpu_arch *block_make(unsigned id, u32 apic_id) {
    struct cpu_arch *a = pages_alloc(0, FRAME_ZEROED);
    void *top = kstack_map(2);
    _Static_assert(sizeof(struct cpu_arch) <= PAGE_SIZE, "one page a CPU");
    if (!a || !top)
        panic("smp_start: no memory for CPU %u", id);
    cpu_block_init(a, id);
    a->cpu.apic_id = apic_id;
    a->cpu.kernel_stack = (u64)top;
    if (!cpu_stacks_alloc(a))
        panic("smp_start: no memory for the interrupt stacks of CPU %u", id);
    return a;
}

static void call(unsigned count, bool start) {
    for (unsigned id = 1; id < count; id++)
        if (!atomic_load(&((struct cpu_arch *)cpu_of[id])->alive))
            apic_wake(cpu_of[id]->apic_id, start, 0);
}

static bool wait(unsigned count, u64 ns) {
    for (u64 end = clock_ns() + ns; atomic_load(&arrived) + 1 < count && clock_ns() < end;)
        cpu_pause();
    return atomic_load(&arrived) + 1 == count;
}

static void boot_memory_free(void) {
    for (char *page = _boot_bss; page < _end; page += PAGE_SIZE)
        pages_free(phys_to_va(image_phys(page)), 0);
}

void smp_start(void) {
    extern char trampoline[], trampoline_end[];
    unsigned count = 1;
    for (unsigned i = 0; i < apic_cpu_count; i++) {
        if (apic_cpu_ids[i] == cpu_self()->apic_id)
            continue;
        trampoline_cpus[apic_cpu_ids[i]] = block_make(count, apic_cpu_ids[i]);
        count++;
    }
    memcpy(phys_to_va(0), trampoline, trampoline_end - trampoline);
    call(count, false);
    if (count > 1 && !cpu_has.hypervisor)
        clock_delay(INIT_NS);
    call(count, true);
    if (!wait(count, AGAIN_NS))
        call(count, true);
    if (!wait(count, WAIT_NS))
        for (unsigned id = 1; id < count; id++)
            if (!((struct cpu_arch *)cpu_of[id])->alive)
                panic("CPU %u (APIC id %u) does not start", id, cpu_of[id]->apic_id);
    boot_memory_free();
    atomic_store(&cpu_count, count);
    atomic_store(&go, true);
    kprintf(LOG_INFO "smp: %u CPU%s\n", count, count > 1 ? "s" : "");
}
