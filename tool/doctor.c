/* doctor.c - `quire doctor`: looks at each thing a run needs, and says what is missing and what to do about it. */
#include "doctor.h"
#include "machine.h"
#include "options.h"
#include "run.h"
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool all_well = true;

static void line(const char *mark, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void line(const char *mark, const char *what, const char *format, ...) {
    va_list list;
    va_start(list, format);
    printf("%-4s %-8s ", mark, what);
    vprintf(format, list);
    putchar('\n');
    fflush(stdout);
    va_end(list);
    all_well = all_well && strcmp(mark, "no") != 0;
}

static void look_at_qemu(void) {
    char text[65536];
    const char *qemu = machine_qemu();
    if (!qemu) {
        line("no", "QEMU", "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86");
        return;
    }
    machine_ask("--version", NULL, text, sizeof text);
    bool old = !machine_version_ok(text);
    line(old ? "no" : "ok", "QEMU", "%s: %.*s%s", qemu, (int)strcspn(text, "\n"), text,
         old ? "; 7.2 or later is needed" : "");
    machine_ask("-device", "help", text, sizeof text);
    if (strstr(text, "\"virtio-9p-device\""))
        line("ok", "9p", "QEMU can show this machine's files to the guest");
    else
        line("no", "9p", "this QEMU was built without virtio-9p: use Debian's");
}

static void look_at_kernel(void) {
    const char *kernel = machine_kernel();
    struct stat st;
    if (!kernel || stat(kernel, &st) != 0)
        line("no", "kernel", "build/quire.elf is not there: run make");
    else
        line("ok", "kernel", "%s, %ld KiB", kernel, (long)(st.st_size / 1024));
}

static bool look_at_kvm(void) {
    const char *why;
    bool kvm = machine_kvm(&why);
    if (kvm)
        line("ok", "KVM", "usable");
    else
        line("--", "KVM", "%s; programs run by emulation (TCG), several times slower", why);
    return kvm;
}

static void look_at_boot(bool kvm) {
    struct options options;
    options_default(&options);
    options.accel = kvm ? ACCEL_KVM : ACCEL_TCG;
    unsigned long long ns = run_boot(&options, kvm);
    if (ns)
        line("ok", "boot", "the kernel comes up in %.2f s under %s", (double)ns / 1e9, kvm ? "KVM" : "TCG");
    else
        line(kvm ? "--" : "no", "boot", "the kernel does not come up under %s", kvm ? "KVM" : "TCG");
}

int doctor(void) {
    printf("ok   %-8s %ld processors, %ld MiB of memory\n", "host", sysconf(_SC_NPROCESSORS_ONLN),
           (long)(sysconf(_SC_PHYS_PAGES) / 256));
    look_at_qemu();
    look_at_kernel();
    bool kvm = look_at_kvm();
    if (all_well) {
        if (kvm)
            look_at_boot(true);
        look_at_boot(false);
    }
    if (all_well)
        puts("Programs can be run: quire run -- PROGRAM");
    return all_well ? 0 : EXIT_QUIRE;
}
