/* acpi.c - the ACPI tables that we read: MADT, which names the CPUs and the IO-APICs, and DSDT for the virtio-mmio
 * devices (which QEMU's microvm names on the kernel's command line only when ACPI is off). ACPI 6.4, sections 5.2.5
 * to 5.2.12, 6.4.3.4 and 6.4.3.6.
 *
 * No AML is interpreted: a device's resources are descriptors of fixed form behind its name.
 *
 * Read once, under the boot tables, before the memory it lies in is given out. Without it apic.c falls back to QEMU's
 * firmware interface. */
#include "arch/x86_64/x86.h"
#include "boot/boot.h"

#define READABLE_END (1UL << 30) /* what the boot tables map */

struct header {
    char signature[4];
    u32 bytes;
    u8 revision, checksum;
    char text[26];
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 36, "5.2.6");

struct root_pointer {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 bytes;
    u64 xsdt;
} __attribute__((packed));

struct madt {
    struct header header;
    u32 local_apic, flags;
    u8 entries[];
} __attribute__((packed));

enum { MADT_CPU = 0, MADT_IO_APIC = 1, MADT_CPU_X2 = 9 };
#define CPU_ENABLED 1u

static u32 number(const u8 *at) {
    u32 value;
    memcpy(&value, at, 4);
    return value;
}

static const void *table_at(u64 phys, size_t bytes) {
    return phys && phys < READABLE_END && bytes <= READABLE_END - phys ? phys_to_va(phys) : NULL;
}

static const void *table_checked(u64 phys, const char *signature) {
    const struct header *h = table_at(phys, sizeof(*h));
    if (!h || memcmp(h->signature, signature, 4) || h->bytes < sizeof(*h) || !table_at(phys, h->bytes))
        return NULL;
    u8 sum = 0;
    for (u32 i = 0; i < h->bytes; i++)
        sum += ((const u8 *)h)[i];
    return sum == 0 ? h : NULL;
}

static void cpu_add(u32 apic_id, u32 flags) {
    if (flags & CPU_ENABLED && apic_id <= 255 && apic_cpu_count < CPU_MAX)
        apic_cpu_ids[apic_cpu_count++] = apic_id;
}

static void madt_read(const struct madt *m) {
    const u8 *end = (const u8 *)m + m->header.bytes;
    for (const u8 *e = m->entries; e + 2 <= end && e[1] >= 2 && e + e[1] <= end; e += e[1]) {
        if (e[0] == MADT_CPU && e[1] >= 8)
            cpu_add(e[3], number(e + 4));
        else if (e[0] == MADT_CPU_X2 && e[1] >= 16)
            cpu_add(number(e + 4), number(e + 8));
        else if (e[0] == MADT_IO_APIC && e[1] >= 12)
            apic_io_add(number(e + 4), number(e + 8));
    }
}

struct boot_device boot_devices[BOOT_DEVICES_MOST];
unsigned boot_device_count;

/* Behind the name of a virtio-mmio device, "LNRO0005": a 32-bit fixed memory range (0x86), then an extended interrupt
 * (0x89) with one line. Where its own descriptors are missing, the search must not find the next device's. */
static void device_read(const u8 *at, const u8 *end) {
    static const u8 memory[] = {0x86, 9, 0}, interrupt[] = {0x89, 6, 0};
    struct boot_device d = {0};
    for (; at + 12 <= end && memcmp(at, "LNRO0005", 8); at++) {
        if (!memcmp(at, memory, sizeof(memory)))
            d = (struct boot_device){.phys = number(at + 4), .bytes = number(at + 8)};
        if (memcmp(at, interrupt, sizeof(interrupt)) || at[4] != 1 || at + 9 > end || !d.phys)
            continue;
        d.gsi = number(at + 5);
        if (boot_device_count < BOOT_DEVICES_MOST)
            boot_devices[boot_device_count++] = d;
        return;
    }
}

/* FADT names DSDT at offset 40 (5.2.9). */
static void dsdt_read(const struct header *fadt) {
    const struct header *dsdt = fadt->bytes >= 44 ? table_checked(number((const u8 *)fadt + 40), "DSDT") : NULL;
    if (!dsdt)
        return;
    const u8 *end = (const u8 *)dsdt + dsdt->bytes;
    for (const u8 *at = (const u8 *)(dsdt + 1); at + 8 <= end; at++)
        if (!memcmp(at, "LNRO0005", 8))
            device_read(at + 8, end);
}

void acpi_init(void) {
    const struct root_pointer *root = table_at(boot_rsdp, sizeof(*root));
    if (!root || memcmp(root->signature, "RSD PTR ", 8))
        return;
    bool wide = root->revision >= 2 && root->xsdt;
    const struct header *list = table_checked(wide ? root->xsdt : root->rsdt, wide ? "XSDT" : "RSDT");
    if (!list)
        return;
    size_t each = wide ? 8 : 4;
    for (const char *at = (const char *)(list + 1); at + each <= (const char *)list + list->bytes; at += each) {
        u64 phys = 0;
        memcpy(&phys, at, each);
        const struct madt *m = table_checked(phys, "APIC");
        const struct header *fadt = table_checked(phys, "FACP");
        if (m)
            madt_read(m);
        if (fadt)
            dsdt_read(fadt);
    }
}
