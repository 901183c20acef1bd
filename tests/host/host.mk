# Tests of kernel/vm on this machine: the kernel's own files, compiled for a hosted machine, twice:
#   host-tests    with the sanitizers
#   host-explore  without them, fast: every interleaving of the scenarios. What it finds, host-tests replays
HOST_CC ?= gcc
HOST_BASE := -std=gnu17 -D_GNU_SOURCE -DQUIRE_HOSTED -DMACHINE_CPUS=64 -g -fno-omit-frame-pointer -fno-strict-aliasing -Wall \
             -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Wno-sign-compare -Ikernel -Itests/host
HOST_FLAGS = $(HOST_BASE) -O1 -fsanitize=address,undefined -fno-sanitize=nonnull-attribute -fno-sanitize-recover=undefined
EXPLORE_FLAGS = $(HOST_BASE) -O2 -DTLB_SLOTS=128
# These may sleep, so each call of them from another file is checked for locks held; and what they free for translations.
HOST_WRAPPED := frame_alloc slab_alloc slab_alloc_zeroed kmalloc kzalloc frame_free frame_free_list
# These are where rules.c takes a rule away.
HOST_WRAPPED += space_fault space_enter space_leave walk_down walk_holds machine_flush_everyone
HOST_LINK := $(foreach f,$(HOST_WRAPPED),-Wl,--wrap=$(f))
HOST_VM := $(filter-out $(SKIP),$(wildcard kernel/vm/*.c))
HOST_OWN := $(wildcard tests/host/*.c)
HOST_OBJECTS := $(patsubst %.c,$(O)/host/%.o,$(HOST_VM) $(HOST_OWN))
EXPLORE_OBJECTS := $(patsubst %.c,$(O)/explore/%.o,$(HOST_VM) $(HOST_OWN))

$(O)/host/kernel/%.o: kernel/%.c tests/host/host.mk tests/host/hooks.h
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_FLAGS) $(HOST_EXTRA) -include tests/host/hooks.h -MMD -MP -c $< -o $@
$(O)/host/tests/%.o: tests/%.c tests/host/host.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_FLAGS) $(HOST_EXTRA) -MMD -MP -c $< -o $@
$(O)/host-tests: $(HOST_OBJECTS)
	$(HOST_CC) $(HOST_FLAGS) $(HOST_EXTRA) $(HOST_LINK) $^ -o $@
$(O)/explore/kernel/%.o: kernel/%.c tests/host/host.mk tests/host/hooks.h
	@mkdir -p $(@D)
	$(HOST_CC) $(EXPLORE_FLAGS) $(HOST_EXTRA) -include tests/host/hooks.h -MMD -MP -c $< -o $@
$(O)/explore/tests/%.o: tests/%.c tests/host/host.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(EXPLORE_FLAGS) $(HOST_EXTRA) -MMD -MP -c $< -o $@
$(O)/host-explore: $(EXPLORE_OBJECTS)
	$(HOST_CC) $(EXPLORE_FLAGS) $(HOST_EXTRA) $(HOST_LINK) $^ -o $@
# The same with the CPUs as real threads, for ThreadSanitizer. It knows no fences (-Wno-tsan): nothing here needs one to be
# free of races, only to be in order.
TSAN_FLAGS = $(HOST_BASE) -O1 -DHOST_THREADS -fsanitize=thread -Wno-tsan
TSAN_OBJECTS := $(patsubst %.c,$(O)/tsan/%.o,$(HOST_VM) $(wildcard tests/host/threads/*.c) \
                $(addprefix tests/host/,file.c machine.c main.c swap_device.c))
$(O)/tsan/kernel/%.o: kernel/%.c tests/host/host.mk tests/host/hooks.h
	@mkdir -p $(@D)
	$(HOST_CC) $(TSAN_FLAGS) $(HOST_EXTRA) -include tests/host/hooks.h -MMD -MP -c $< -o $@
$(O)/tsan/tests/%.o: tests/%.c tests/host/host.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(TSAN_FLAGS) $(HOST_EXTRA) -MMD -MP -c $< -o $@
$(O)/host-tsan: $(TSAN_OBJECTS)
	$(HOST_CC) $(TSAN_FLAGS) $(HOST_EXTRA) $^ -o $@
host-tsan: $(O)/host-tsan ## run kernel/vm in threads, under ThreadSanitizer
	$(O)/host-tsan
host-test: $(O)/host-tests $(O)/host-explore ## test kernel/vm on this machine
	$(O)/host-tests
	$(O)/host-explore --explore
	$(O)/host-explore --rules
-include $(HOST_OBJECTS:.o=.d) $(EXPLORE_OBJECTS:.o=.d) $(TSAN_OBJECTS:.o=.d)
.PHONY: host-test host-tsan
