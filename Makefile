# Quire. `make help` lists what can be made.
CC ?= gcc
O ?= build
MAKEFLAGS += --no-builtin-rules

INCLUDES := -nostdinc -isystem $(shell $(CC) -print-file-name=include) -isystem /usr/include -isystem /usr/include/x86_64-linux-gnu
WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter -Wno-sign-compare \
        -Wframe-larger-than=1024
KFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-pie -fno-pic -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
          -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing -fno-asynchronous-unwind-tables -fcf-protection=none \
          -fno-common $(WARN) $(INCLUDES) -Ikernel

SOURCES := $(filter-out $(SKIP),$(sort $(wildcard kernel/*.c kernel/*/*.c kernel/*/*.S kernel/arch/x86_64/*.c kernel/arch/x86_64/*.S)))
OBJECTS := $(patsubst %,$(O)/%.o,$(basename $(SOURCES)))

all: $(O)/quire.elf quire

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(KFLAGS) $(EXTRA) -MMD -MP -c $< -o $@
$(O)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(KFLAGS) $(EXTRA) -MMD -MP -c $< -o $@
-include $(OBJECTS:.o=.d)
