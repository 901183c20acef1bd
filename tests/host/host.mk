# Tests of kernel/vm on this machine: the kernel's own files, compiled with the sanitizers, on a hosted machine.
HOST_CC ?= gcc
HOST_FLAGS := -std=gnu17 -D_GNU_SOURCE -DQUIRE_HOSTED -O1 -g -fno-omit-frame-pointer -fno-strict-aliasing -Wall -Wextra \
              -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Wno-sign-compare -Ikernel -Itests/host \
              -fsanitize=address,undefined -fno-sanitize=nonnull-attribute -fno-sanitize-recover=undefined
# These may sleep, so each call of them from another file is checked for locks held.
HOST_WRAPPED := frame_alloc slab_alloc slab_alloc_zeroed kmalloc kzalloc
HOST_LINK := $(foreach f,$(HOST_WRAPPED),-Wl,--wrap=$(f))
HOST_VM := $(filter-out $(SKIP),$(wildcard kernel/vm/*.c))
HOST_OBJECTS := $(patsubst %.c,$(O)/host/%.o,$(HOST_VM) $(wildcard tests/host/*.c))

$(O)/host/kernel/%.o: kernel/%.c tests/host/host.mk tests/host/hooks.h
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_FLAGS) $(HOST_EXTRA) -include tests/host/hooks.h -MMD -MP -c $< -o $@
$(O)/host/tests/%.o: tests/%.c tests/host/host.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_FLAGS) $(HOST_EXTRA) -MMD -MP -c $< -o $@
$(O)/host-tests: $(HOST_OBJECTS)
	$(HOST_CC) $(HOST_FLAGS) $(HOST_EXTRA) $(HOST_LINK) $^ -o $@
host-test: $(O)/host-tests ## test kernel/vm on this machine
	$(O)/host-tests
-include $(HOST_OBJECTS:.o=.d)
.PHONY: host-test
