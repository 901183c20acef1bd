# Quire. `make help` lists what can be made.
ifeq ($(origin CC),default)
CC := gcc
endif
O ?= build
MAKEFLAGS += --no-builtin-rules $(if $(V),,--silent)
.DELETE_ON_ERROR:

INCLUDES := -nostdinc -isystem $(shell $(CC) -print-file-name=include 2>/dev/null) -isystem /usr/include -isystem /usr/include/x86_64-linux-gnu
WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter -Wno-sign-compare \
        -Wframe-larger-than=1024
KFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-pie -fno-pic -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
          -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing -fno-asynchronous-unwind-tables -fcf-protection=none \
          -fno-common $(WARN) $(INCLUDES) -Ikernel

# No padding between functions and before jumps' targets: it costs 40 KiB of the image. Where the compiler has the options.
TIGHT := -falign-functions=1 -falign-jumps=1 -falign-loops=1 -falign-labels=1
KFLAGS += $(shell $(CC) -Werror $(TIGHT) -E -x c /dev/null >/dev/null 2>&1 && echo '$(TIGHT)')
SOURCES := $(filter-out $(SKIP),$(sort $(wildcard kernel/*.c kernel/*/*.c kernel/*/*.S kernel/arch/x86_64/*.c kernel/arch/x86_64/*.S)))
OBJECTS := $(patsubst %,$(O)/%.o,$(basename $(SOURCES)))
# For size: what is no part of a fault, a switch, fork, the entry of a system call, or of reading and writing.
FAST := $(patsubst %,$(O)/kernel/%.o,fs/pipe fs/io fs/file fs/fd fs/path fs/dentry sys/table sys/rw sys/pipe sys/process)
$(filter-out $(FAST),$(filter $(O)/kernel/fs/% $(O)/kernel/net/% $(O)/kernel/sys/% $(O)/kernel/dev/% $(O)/kernel/boot/%,$(OBJECTS))): KFLAGS += -Os

all: $(O)/quire.elf quire

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(KFLAGS) $(EXTRA) -MMD -MP -c $< -o $@
$(O)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(KFLAGS) $(EXTRA) -MMD -MP -c $< -o $@
-include $(OBJECTS:.o=.d)

# The vdso: code for user mode, an ELF image of its own within the kernel's.
VDSO := kernel/arch/x86_64/vdso
$(O)/vdso.so: $(VDSO)/vdso.c $(VDSO)/vdso.ld $(VDSO)/data.h
	@mkdir -p $(@D)
	$(CC) $(KFLAGS) -fpic -mcmodel=small -fasynchronous-unwind-tables $(EXTRA) -nostdlib -shared -Wl,-T,$(VDSO)/vdso.ld \
	  -Wl,-soname,linux-vdso.so.1,--hash-style=both,--build-id=none,--eh-frame-hdr,-s,-z,max-page-size=4096,-z,noexecstack $< -o $@
$(O)/kernel/arch/x86_64/vdso_image.o: KFLAGS += -DVDSO_FILE='"$(O)/vdso.so"'
$(O)/kernel/arch/x86_64/vdso_image.o: $(O)/vdso.so

# The image is linked twice: first without the table of function names, then with the one made from the first (symbols.c).
LINK := $(CC) -nostdlib -static -Wl,-T,kernel/quire.ld -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096
$(O)/quire.first: $(OBJECTS) kernel/quire.ld
	$(LINK) $(OBJECTS) -o $@
$(O)/symbols.S: $(O)/quire.first kernel/lib/symbols.awk
	nm -n $< | awk -f kernel/lib/symbols.awk >$@
$(O)/quire.elf: $(O)/symbols.S
	$(CC) -c $< -o $(O)/symbols.o
	$(LINK) $(OBJECTS) $(O)/symbols.o -o $@

# ---- the command: one program for this machine, beside its kernel; `quire` here is a copy of the one in build/
TOOL_FLAGS := -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wshadow \
              -fstack-protector-strong
TOOL_OBJECTS := $(patsubst %.c,$(O)/%.o,$(wildcard tool/*.c)) \
                $(patsubst kernel/vm/%.c,$(O)/tool/vm/%.o,$(wildcard kernel/vm/policy*.c))

$(O)/tool/%.o: tool/%.c
	@mkdir -p $(@D)
	$(CC) $(TOOL_FLAGS) $(EXTRA) -MMD -MP -c $< -o $@
$(O)/tool/sim.o: TOOL_FLAGS += -DQUIRE_HOSTED -Ikernel
$(O)/tool/vm/%.o: kernel/vm/%.c # the policies, for `quire sim`
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wshadow,$(TOOL_FLAGS)) -Wno-unused-parameter -DQUIRE_HOSTED -Ikernel $(EXTRA) -MMD -MP -c $< -o $@
$(O)/quire: $(TOOL_OBJECTS)
	$(CC) $(TOOL_FLAGS) $(EXTRA) $^ -pthread -o $@
quire: $(O)/quire
	cp --remove-destination $< $@
-include $(TOOL_OBJECTS:.o=.d)

# ---- what people type
# What a run needs, and what the tests need beside it. Installed by apt-get where it is missing, and said so (tool/set-up).
NEEDS := gcc libc6-dev linux-libc-dev qemu-system-x86 python3
TEST_NEEDS := $(NEEDS) busybox clang clang-format gawk perl sqlite3 dash tar gzip procps strace gdb lua5.4 vim less htop expect nbdkit
TEST_NEEDS += openssh-client curl openssl iputils-ping nginx-light redis-server netcat-openbsd

run: ## build, and run a program that forks and maps, and see what memory did
	@tool/set-up $(NEEDS)
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@echo '$$ ./quire run -m 64M --stats -- python3 tests/programs/tour.py'
	./quire run -m 64M --stats -- python3 tests/programs/tour.py

test: ## build with gcc and with clang, and run every test
	@tool/set-up $(TEST_NEEDS)
	@$(MAKE) --no-print-directory -j$$(nproc) EXTRA=-Werror all
	@$(MAKE) --no-print-directory -j$$(nproc) CC=clang O=build-clang EXTRA=-Werror build-clang/quire.elf build-clang/quire
	@$(MAKE) --no-print-directory check-format
	@$(MAKE) --no-print-directory -j$$(nproc) host-test host-tsan
	tests/run

SOAK_NEEDS := $(TEST_NEEDS) bc cmake default-jdk-headless dialog g++ git golang-go make man-db nano nodejs php-cli postgresql redis-tools rsync ruby
SOAK_NEEDS += stress-ng tmux xz-utils zstd fio rt-tests stressapptest sysbench mariadb-server rustc ocaml-nox erlang-base sbcl guile-3.0 mono-mcs
SOAK_NEEDS += mono-runtime trinity r-base-core swi-prolog-nox luajit pypy3 tcl8.6 valgrind qemu-user
SOAK_NEEDS += at cron bind9 bind9-dnsutils unbound samba smbclient slapd ldap-utils
SOAK_NEEDS += dbus-tests golang-src libglib2.0-tests libpython3.11-testsuite ostree-tests systemd-tests
SOAK_NEEDS += ffmpeg xvfb xterm xdotool chromium
EXPLORE_MOST ?= 50000 # interleavings of one scenario: ten times what make test tries
soak: ## the long tests, until one fails or Ctrl-C is typed (ROUNDS=1: once)
	@tool/set-up $(SOAK_NEEDS)
	@$(MAKE) --no-print-directory -j$$(nproc) all $(O)/host-explore $(O)/host-tsan $(O)/host-model
	$(O)/host-explore --explore --most $(EXPLORE_MOST)
	$(O)/host-tsan --more 20
	$(O)/host-model --quick --more 10
	tests/run --tight
	tests/run --soak $(if $(ROUNDS),--rounds $(ROUNDS))

FORMATTED = $(wildcard kernel/*.[ch] kernel/*/*.[ch] kernel/*/*/*.[ch] tool/*.[ch] bench/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch])
abi-record: ## write down again what Debian's 6.1 answers to the programs in tests/abi
	tests/abi/record

format: ## lay out every C file by .clang-format
	clang-format -i $(FORMATTED)
check-format: ## say which C files are not laid out so
	clang-format --dry-run --Werror $(FORMATTED)

BENCH_NEEDS := $(NEEDS) binutils
TRIMMED_NEEDS := bc bison flex libelf-dev xz-utils
bench: ## measure Quire beside Debian's Linux (QUICK=1: in five minutes; TRIMMED=1: beside a small Linux, too, built for it)
	@tool/set-up $(BENCH_NEEDS) $(if $(TRIMMED),$(TRIMMED_NEEDS))
	@$(MAKE) --no-print-directory -j$$(nproc) all
	bench/run $(if $(QUICK),--quick) $(if $(TRIMMED),--trimmed)
bench-files: ## python, git and gcc, cold and warm, on Quire and on Debian's Linux with this machine's files as root
	@tool/set-up $(BENCH_NEEDS) git
	@$(MAKE) --no-print-directory -j$$(nproc) all
	bench/files
bench-swap: ## which pages go when memory is short: each policy beside Debian's Linux, its default reclaim and MGLRU
	@tool/set-up $(BENCH_NEEDS)
	@$(MAKE) --no-print-directory -j$$(nproc) all
	bench/swap $(BENCH_SWAP)

clean: ## remove what make made
	rm -rf build build-clang build-shadow quire

help: ## this list
	@echo 'make: the kernel, build/quire.elf, and the command, ./quire (V=1 shows the commands)'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1: \2/p' Makefile tests/host/host.mk

-include tests/host/host.mk
.PHONY: all run test soak bench bench-files bench-swap abi-record format check-format clean help host-test
