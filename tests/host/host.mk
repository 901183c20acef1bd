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
HOST_WRAPPED += space_fault space_enter space_leave walk_down walk_holds machine_flush_everyone reclaim_exclude reclaim_include
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

# The model again, for speed: optimised, without sanitizers, and CPUs that only switch between operations.
FAST_FLAGS = $(HOST_BASE) -O2 -DHOST_FAST -include sys/types.h
FAST_OBJECTS := $(patsubst %.c,$(O)/fast/%.o,$(HOST_VM) $(addprefix tests/host/,main.c fiber.c machine.c file.c flat.c model.c \
                  model_test.c shrink.c swap_device.c explore.c rules.c wrap.c))
$(O)/fast/%.o: %.c tests/host/host.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(FAST_FLAGS) $(HOST_EXTRA) -MMD -MP -c $< -o $@
$(O)/host-model: $(FAST_OBJECTS)
	$(HOST_CC) $(FAST_FLAGS) $(HOST_EXTRA) $(HOST_LINK) $^ -o $@
host-model: $(O)/host-model ## 1,200,000 operations of kernel/vm beside the model
	$(O)/host-model --more 3

host-soak: $(O)/host-model ## the model with ever new seeds, until some fail or Ctrl-C is typed
	$(O)/host-model --quick --more 100000

host-test: $(O)/host-tests $(O)/host-explore $(O)/host-model ## test kernel/vm on this machine
	$(O)/host-tests
	$(O)/host-model --more 3
	$(O)/host-explore --explore
	$(O)/host-explore --rules

# Which lines and branches the tests reach. A test ends by _exit, which would write nothing down.
PLAIN_FLAGS = $(HOST_BASE) -O1 -include sys/types.h
COV_FLAGS = $(PLAIN_FLAGS) --coverage -D_exit=exit
COV_OBJECTS := $(patsubst $(O)/host/%,$(O)/coverage/%,$(HOST_OBJECTS))
$(O)/coverage/kernel/%.o: kernel/%.c tests/host/host.mk tests/host/hooks.h
	@mkdir -p $(@D)
	$(HOST_CC) $(COV_FLAGS) -include tests/host/hooks.h -c $< -o $@
$(O)/coverage/tests/%.o: tests/%.c tests/host/host.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(filter-out --coverage,$(COV_FLAGS)) -c $< -o $@
$(O)/coverage/host-tests: $(COV_OBJECTS)
	$(HOST_CC) $(COV_FLAGS) $(HOST_LINK) $^ -o $@
host-coverage: $(O)/coverage/host-tests ## lines and branches of kernel/vm that the host tests reach
	find $(O)/coverage -name '*.gcda' -delete
	$(O)/coverage/host-tests
	python3 tests/host/coverage.py $(O)/coverage kernel/vm

# Is it noticed when a condition of kernel/vm is wrong? Each mutant is one file compiled again and the tests run until
# one fails. A sample by default: make host-mutate MUTANTS=200 SEED=7 FILES=kernel/vm/gap.c, all of them with MUTANTS=0.
MUTANTS ?= 60
SEED ?= 1
host-mutate: ## change conditions and operators of kernel/vm one at a time: some test must fail
	HOST_CC="$(HOST_CC)" HOST_FLAGS="$(PLAIN_FLAGS)" HOST_LINK="$(HOST_LINK)" \
	python3 tests/host/mutate.py --build $(O)/mutate --count $(MUTANTS) --seed $(SEED) $(or $(FILES),$(HOST_VM))
host-mutants: $(O)/host-explore ## leave out the flushes of kernel/vm one at a time: some test must fail
	$(O)/host-explore --mutants

-include $(HOST_OBJECTS:.o=.d) $(EXPLORE_OBJECTS:.o=.d) $(TSAN_OBJECTS:.o=.d) $(FAST_OBJECTS:.o=.d)
.PHONY: host-test host-tsan host-model host-soak host-coverage host-mutate host-mutants
