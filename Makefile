# backpropd - make help lists the targets. Objects and programs go to $(B); nothing else is written.
#? make            build build/backpropd, build/libbackprop.a and build/bench_train
#? make demo       install what is missing, build, train a CNN on Fashion-MNIST over HTTP, show it live
#? make check      install what is missing, build, run all tests
#? make asan       the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
#? make ubsan      the unit tests under UndefinedBehaviorSanitizer alone
#? make tsan       the unit tests under ThreadSanitizer (the core with plain threads in place of OpenMP)
#? make tsan-http  the daemon's tests with the daemon under ThreadSanitizer (SUITES="event share" narrows it)
#? make torture    the daemon's tests in full: 200 kills, each call and each allocation fails ... (SUITES="kill faults")
#? make torture-http  100,000 malformed requests at the daemon under AddressSanitizer (MUTATED_REQUESTS=n), 500
#?                 clients on one job and what they cost it, slow clients, how long answers take while two jobs train
#? make accuracy   200 steps of whole nets beside PyTorch's losses, and how far PyTorch is from itself
#? make fuzz       libFuzzer on one of tests/fuzz/targets.def, with clang: TARGET=model FUZZ="-runs=100000" or what else it takes
#? make bench      speed and memory of training beside PyTorch, Keras, JAX and KANN, in the same run (BENCH=--quick)
#? make shapes     training steps of convolutions, nets and layers that are in none of these, beside PyTorch (SHAPES="--only 5x5,first")
#? make install    PREFIX=/usr/local DESTDIR=: program, units, settings, documents; make uninstall takes them away
#? make lint       the house rules; make format and make format-check: the layout of the sources
#? make clean      remove build/
#?
#? Variables: B=directory  CC=compiler  WERROR=-Werror  SAN=address,undefined|thread  OPENMP=  PYTHON=

B        ?= build
ifeq ($(origin CC),default)
CC        = gcc
endif
PREFIX   ?= /usr/local
DESTDIR  ?=
PYTHON   ?= python3
ARCH     := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)

# SAN=address,undefined or SAN=thread builds instrumented; OPENMP= builds the core without threads, OPENMP=-DBP_PTHREADS
# with plain ones (core/base/team.h).
SAN      ?=
OPENMP   ?= -fopenmp
WERROR   ?=
OPT      ?= $(if $(SAN),-O1 -fno-omit-frame-pointer,-O2)
WARN      = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unknown-pragmas $(WERROR)
SANFLAGS  = $(if $(SAN),-fsanitize=$(SAN) $(if $(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined))
# Lines are all that a sanitizer's report needs, and take a fifth less time to compile than variables.
CFLAGS   ?= $(if $(SAN),-g1,-g)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -pthread $(OPT) $(WARN) $(SANFLAGS) $(CFLAGS) -MMD -MP
CORE_CFLAGS = $(ALL_CFLAGS) $(OPENMP) $(if $(SAN),,-O3) -fno-math-errno -fno-trapping-math -Icore/include -Icore
KERNEL_CFLAGS = $(CORE_CFLAGS)
# Structures are cleared by plain stores: gcc's string instructions take long to begin: 4 % of the step of a 4-16-3
# perceptron. Asked for where the compiler knows how.
PLAIN_STORES := -mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign
PLAIN_STORES := $(shell $(CC) $(PLAIN_STORES) -E -x c /dev/null >/dev/null 2>&1 && echo $(PLAIN_STORES))
SERVER_CFLAGS = $(ALL_CFLAGS) -Iserver -Icore/include

# Looked up when needed, because `make demo` and `make check` install the packages first.
PKGS      = libmicrohttpd jansson sqlite3 libarchive inih
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS  = $(shell pkg-config --libs $(PKGS))
CHECK_LIBS = $(shell pkg-config --libs check)

# ---- instruction sets: every core/kernels/*.c but kernels.c is compiled once for each ----
ISAS_x86_64  = baseline avx2 avx512
ISAS         = $(or $(ISAS_$(ARCH)),baseline)
ISA_baseline =
ISA_avx2     = -mavx2 -mfma
ISA_avx512   = -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mprefer-vector-width=512

CORE_SRC    := $(filter-out core/examples/%,$(filter-out core/kernels/%,$(wildcard core/*/*.c))) core/kernels/kernels.c
KERNEL_SRC  := $(filter-out core/kernels/kernels.c,$(wildcard core/kernels/*.c))
SERVER_SRC  := $(filter-out server/main.c,$(wildcard server/*.c server/*/*.c))

core_objs    = $(CORE_SRC:%.c=$(B)/$(1)/%.o) $(foreach i,$(ISAS),$(KERNEL_SRC:%.c=$(B)/$(1)/$(i)/%.o))
OBJ_F32      = $(call core_objs,f32)
OBJ_F64      = $(call core_objs,f64)
OBJ_SERVER   = $(SERVER_SRC:%.c=$(B)/%.o) $(B)/server/embed.o

.PHONY: all
all: $(B)/backpropd $(B)/libbackprop.a $(B)/bench_train

$(B)/libbackprop.a: $(OBJ_F32)
$(B)/libbackprop_f64.a: $(OBJ_F64)
%.a:
	@mkdir -p $(@D)
	rm -f $@ && $(AR) rcs $@ $^

# What objects are made by: when it changes, all are made anew.
OPTIONS      = $(subst ','\'',$(CC) $(ALL_CFLAGS) $(OPENMP) $(ISAS))
.PHONY: always
$(B)/options: always
	@mkdir -p $(@D)
	@echo '$(OPTIONS)' | cmp -s - $@ || echo '$(OPTIONS)' >$@

# The plain C oracle, which tests alone use, is not instrumented: it took two thirds of the time of theirs.
define core_rules
$(B)/$(1)/core/kernels/kernels.o: OWN_FLAGS = $(ISAS:%=-DBP_HAVE_%)
$(B)/$(1)/core/conv/ref.o: OWN_FLAGS = $(if $(SAN),-O2 -fno-sanitize=all)
$(B)/$(1)/%.o: %.c $(B)/options
	@mkdir -p $$(@D)
	$$(CC) $$(CORE_CFLAGS) $$(PLAIN_STORES) $(2) $$(OWN_FLAGS) -c $$< -o $$@
endef
define kernel_rules
$(B)/$(1)/$(3)/%.o: %.c $(B)/options
	@mkdir -p $$(@D)
	$$(CC) $$(KERNEL_CFLAGS) $(2) -DBP_ISA=$(3) $(ISA_$(3)) -c $$< -o $$@
endef
$(eval $(call core_rules,f32,))
$(eval $(call core_rules,f64,-DBP_DOUBLE))
$(foreach i,$(ISAS),$(eval $(call kernel_rules,f32,,$(i))))
$(foreach i,$(ISAS),$(eval $(call kernel_rules,f64,-DBP_DOUBLE,$(i))))

# "wide", in tests alone: the code of 64-byte vectors and the large tile, lowered to what this machine can run. Tests need
# not wait for it to be fast code: a file took 34 s to compile, and takes 4.
ISA_wide     = -O1 -DBP_VEC_BYTES=64 -Wno-psabi $(if $(filter x86_64,$(ARCH)),$(ISA_avx2))
WIDE_F32     = $(KERNEL_SRC:%.c=$(B)/f32/wide/%.o)
WIDE_F64     = $(KERNEL_SRC:%.c=$(B)/f64/wide/%.o)
$(eval $(call kernel_rules,f32,,wide))
$(eval $(call kernel_rules,f64,-DBP_DOUBLE,wide))

$(B)/server/%.o: server/%.c $(B)/options
	@mkdir -p $(@D)
	$(CC) $(SERVER_CFLAGS) $(PKG_CFLAGS) -c $< -o $@

# Migrations and the dashboard are linked into the program.
EMBEDDED := $(sort $(wildcard migrations/*.sql server/web/*.html server/web/*.js server/web/*.css server/web/*.svg server/web/vendor/* server/api/openapi.json))
$(B)/server/embed.o: server/embed.S $(EMBEDDED)
	@mkdir -p $(@D)
	$(CC) -Iserver -MMD -MP -c $< -o $@

$(B)/backpropd: $(B)/server/main.o $(OBJ_SERVER) $(B)/libbackprop.a
	$(CC) $(ALL_CFLAGS) $(OPENMP) $^ $(PKG_LIBS) -lm -o $@

$(B)/bench_train: $(B)/tests/bench/bench_train.o $(filter $(B)/server/spec/% $(B)/server/base/problem.o,$(OBJ_SERVER)) $(B)/libbackprop.a
	$(CC) $(ALL_CFLAGS) $(OPENMP) $^ $(PKG_LIBS) -lm -o $@

# ---- make bench: beside its peers, in the same run. BENCH="--workload w2,w3 --threads 2" narrows it, BENCH=--quick shortens it ----
$(B)/bench_peak: tests/bench/bench_peak.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O3 $(if $(filter x86_64 aarch64,$(ARCH)),-march=native) $(OPENMP) $(WARN) $< -o $@
# Peers are installed below $(B)/bench-env, unless $(PYTHON) has them.
.PHONY: bench
bench: $(B)/bench_train $(B)/bench_peak
	$(PYTHON) tests/bench/bench.py --build $(B) $(BENCH)

# PYTHON has to have torch.
.PHONY: shapes
shapes: $(B)/bench_train
	$(PYTHON) tests/bench/bench_shapes.py --build $(B) $(SHAPES)

$(B)/bench_conv: $(B)/tests/bench/bench_conv.o $(B)/libbackprop.a
	$(CC) $(ALL_CFLAGS) $(OPENMP) $^ -lm -o $@

# The core without the server: core/examples/train.c, with backprop.h alone.
$(B)/example_train: core/examples/train.c $(B)/libbackprop.a
	$(CC) $(ALL_CFLAGS) $(OPENMP) -Icore/include $^ -lm -o $@

# ---- tests: one runner a height; each tests/<height>/test_*.c is a suite ----
$(B)/tests/core64/%.o: tests/core/%.c $(B)/options
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(OPENMP) -DBP_DOUBLE -Icore/include -Icore -Itests -c $< -o $@
$(B)/tests/%.o: tests/%.c $(B)/options
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(OPENMP) -Icore/include -Icore -Iserver -Itests $(PKG_CFLAGS) -c $< -o $@

TEST_CORE    = $(patsubst %.c,$(B)/%.o,$(wildcard tests/core/*.c))
TEST_CORE64  = $(patsubst tests/core/%.c,$(B)/tests/core64/%.o,$(wildcard tests/core/*.c))
TEST_SERVER  = $(patsubst %.c,$(B)/%.o,$(wildcard tests/server/*.c) tests/http/client.c) \
	$(patsubst %.c,$(B)/%.o,$(filter-out tests/fuzz/entry.c tests/fuzz/strcmp.c tests/fuzz/mutate%,$(wildcard tests/fuzz/*.c)))
TEST_HTTP    = $(patsubst %.c,$(B)/%.o,$(wildcard tests/http/*.c) tests/server/http_cases.c)
$(B)/test_core: $(TEST_CORE) $(WIDE_F32) $(B)/tests/runner.o $(B)/libbackprop.a
$(B)/test_core64: $(TEST_CORE64) $(WIDE_F64) $(B)/tests/runner.o $(B)/libbackprop_f64.a
$(B)/test_server: $(TEST_SERVER) $(B)/tests/runner.o $(OBJ_SERVER) $(B)/libbackprop.a
$(B)/test_http: $(TEST_HTTP) $(B)/tests/runner.o
# What tests load into the daemon to make its calls fail.
$(B)/faults.so: $(wildcard tests/faults/*.c tests/faults/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-builtin -fPIC -shared $(WARN) -Itests $(filter %.c,$^) -ldl -o $@
# And to set its clock off.
$(B)/clock.so: tests/clock/clock.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -fPIC -shared $(WARN) $< -ldl -o $@
# The core's allocations are counted (tests/core/allocation.h).
$(B)/test_core $(B)/test_core64: TEST_LDFLAGS = $(foreach f,malloc calloc realloc aligned_alloc bp_mem_new,-Wl,--wrap=$(f))
$(B)/test_core $(B)/test_core64 $(B)/test_server $(B)/test_http:
	$(CC) $(ALL_CFLAGS) $(OPENMP) $^ $(TEST_LDFLAGS) $(PKG_LIBS) $(CHECK_LIBS) -lm -o $@

UNIT_TESTS = $(B)/test_core $(B)/test_core64 $(B)/test_server
.PHONY: check check-unit check-http check-systemd check-page asan ubsan tsan tsan-http
# All processors, unless the caller said how many.
PARALLEL     = $(if $(findstring --jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
# The packages come first, so everything that looks at compilers and libraries happens in a make of its own.
check:
	@sh tests/tools/packages.sh check
	@$(MAKE) --no-print-directory $(PARALLEL) all $(UNIT_TESTS) $(B)/test_http
	@$(MAKE) --no-print-directory check-systemd
	@$(MAKE) --no-print-directory check-page
	@$(MAKE) --no-print-directory check-unit
	@$(MAKE) --no-print-directory check-http
# Side by side, for forked tests mostly wait; each one's lines stay together.
CHECK_UNIT = $(UNIT_TESTS:$(B)/%=check-%) check-example_train
check-unit:
	@$(MAKE) --no-print-directory --output-sync=target $(PARALLEL) $(CHECK_UNIT)
.PHONY: $(CHECK_UNIT)
$(CHECK_UNIT): check-%: $(B)/%
	@./$<
check-http: $(B)/test_http $(B)/backpropd $(B)/faults.so $(B)/clock.so
	BACKPROPD=$(B)/backpropd ./$(B)/test_http
.PHONY: torture
torture: $(B)/test_http $(B)/backpropd $(B)/faults.so $(B)/clock.so
	TORTURE=1 BACKPROPD=$(B)/backpropd ./$(B)/test_http $(SUITES)
.PHONY: torture-http
torture-http: $(B)/test_http $(B)/backpropd
	@$(MAKE) --no-print-directory B=$(B)/asan SAN=address,undefined $(B)/asan/backpropd
	MUTATED_REQUESTS=$(or $(MUTATED_REQUESTS),100000) BACKPROPD=$(B)/asan/backpropd ./$(B)/test_http mutated
	CROWD_CLIENTS=500 BACKPROPD=$(B)/backpropd ./$(B)/test_http crowd
	$(PYTHON) tests/http/slow_clients.py $(B)
	$(PYTHON) tests/bench/bench_api.py $(B)
	$(PYTHON) tests/bench/bench_sse.py $(B)
.PHONY: accuracy
accuracy: $(B)/test_core $(B)/test_core64
	@set -e; for t in $^; do ACCURACY=1 CK_TIMEOUT_MULTIPLIER=10 ./$$t whole_nets; done
check-page: $(B)/backpropd
	@BACKPROPD=$(B)/backpropd $(PYTHON) tests/web/test_page.py
check-systemd: $(B)/backpropd
	@sh tests/systemd/check.sh $(B)

# The unit tests, instrumented; each in a build directory of its own. ThreadSanitizer does not know libgomp, so under it
# the core's threads are plain ones. All is slower, so the tests' time limits grow too.
TSAN = SAN=thread OPENMP=-DBP_PTHREADS
asan:
	@CK_TIMEOUT_MULTIPLIER=10 $(MAKE) --no-print-directory B=$(B)/asan SAN=address,undefined check-unit
ubsan:
	@CK_TIMEOUT_MULTIPLIER=10 $(MAKE) --no-print-directory B=$(B)/ubsan SAN=undefined check-unit
tsan:
	@CK_TIMEOUT_MULTIPLIER=10 $(MAKE) --no-print-directory B=$(B)/tsan $(TSAN) check-unit
# The daemon's own tests. A report does not end it, nor change how it ends: reports are files, and any is a failure. Left
# out are those whose library takes the place of the allocator, and those that measure the daemon's memory and speed.
TSAN_SUITES = $(filter-out contain faults full memory planned scale, \
	$(patsubst tests/http/test_%.c,%,$(sort $(wildcard tests/http/test_*.c))))
TSAN_REPORTS = $(abspath $(B))/tsan/reports
tsan-http: $(B)/test_http
	@$(MAKE) --no-print-directory B=$(B)/tsan $(TSAN) $(B)/tsan/backpropd $(B)/tsan/clock.so
	@rm -rf $(TSAN_REPORTS) && mkdir -p $(TSAN_REPORTS)
	CK_TIMEOUT_MULTIPLIER=10 TSAN_OPTIONS="log_path=$(TSAN_REPORTS)/report exitcode=0" BACKPROPD=$(B)/tsan/backpropd \
		./$(B)/test_http $(or $(SUITES),$(TSAN_SUITES)); failed=$$?; ! cat $(TSAN_REPORTS)/* 2>/dev/null && exit $$failed

# ---- make fuzz TARGET=job: one of tests/fuzz/targets.def by libFuzzer. FUZZ="-runs=100000" ends it ----
# A target is linked with what it reaches alone, because libFuzzer looks at every edge after each run. What inputs are
# made of is known to the mutators, and said in tests/fuzz/words/, so comparisons are not traced, which made runs up to
# several times as long; nor are features weighed by how rare they are (entropic). Mutators are not looked at themselves.
# TZ: else libarchive asks for the time zone's file at each member of a zip.
FUZZ_CC   ?= clang
TARGET    ?= model
FUZZ_DEF   = tests/fuzz/targets.def
FUZZ_NAMES := $(shell sed -n 's/^FUZZ_TARGET(\([a-z_]*\),.*)$$/\1/p' $(FUZZ_DEF))
fuzz_field = $(shell sed -n 's/^FUZZ_TARGET($(1), *\([a-z_]*\), *\([0-9]*\), *\([0-9]*\))$$/\$(2)/p' $(FUZZ_DEF))
FUZZ_ENTRY = $(FUZZ_NAMES:%=$(B)/tests/fuzz/entry_%.o)
$(FUZZ_ENTRY): $(B)/tests/fuzz/entry_%.o: tests/fuzz/entry.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DTARGET=$* -DMUTATOR=$(call fuzz_field,$*,1) -Iserver -Itests -c $< -o $@
FUZZ_OBJ   = $(patsubst %.c,$(B)/%.o,$(filter-out %/entry.c %/replay.c %/strcmp.c,$(wildcard tests/fuzz/*.c)) tests/server/json_mutate.c)
$(patsubst %.c,$(B)/%.o,$(wildcard tests/fuzz/mutate_*.c) tests/server/json_mutate.c): CFLAGS += $(MUTATOR_EXTRA)
$(B)/tests/fuzz/strcmp.o: CFLAGS += -fno-builtin $(UNTRACED)
$(B)/libfuzz.a: $(FUZZ_OBJ) $(OBJ_SERVER)
$(FUZZ_NAMES:%=$(B)/fuzz_%): $(B)/fuzz_%: $(B)/tests/fuzz/entry_%.o $(B)/tests/fuzz/strcmp.o $(B)/libfuzz.a $(B)/libbackprop.a
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $^ $(PKG_LIBS) -lm -o $@
.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory B=$(B)/fuzz CC="$(FUZZ_CC)" SAN=fuzzer-no-link,address,undefined OPENMP= ISAS=baseline \
		OPT="-O2 -fno-omit-frame-pointer -fno-sanitize-coverage=trace-cmp" MUTATOR_EXTRA=-fno-sanitize=all \
		UNTRACED=-fno-sanitize=fuzzer-no-link \
		WARN="-Wall -Wno-unknown-pragmas -Wno-string-concatenation" $(B)/fuzz/fuzz_$(TARGET)
	@mkdir -p $(B)/fuzz/found/$(TARGET)
	TZ=UTC0 ASAN_OPTIONS=quarantine_size_mb=1:malloc_context_size=2:max_malloc_fill_size=256 $(B)/fuzz/fuzz_$(TARGET) \
		-artifact_prefix=$(B)/fuzz/$(TARGET)- $(addprefix -dict=,$(wildcard tests/fuzz/words/$(TARGET).dict)) \
		-max_len=$(call fuzz_field,$(TARGET),2) -malloc_limit_mb=$(call fuzz_field,$(TARGET),3) -timeout=25 -entropic=0 \
		$(FUZZ) $(B)/fuzz/found/$(TARGET) tests/fuzz/corpus/$(TARGET)

# ---- make demo: everything from missing packages to a trained network; DEMO_EPOCHS=n shortens it ----
.PHONY: demo
demo: DEMO_BEGAN := $(shell date +%s)
demo:
	@sh tests/tools/packages.sh run
	@echo "Building (log: $(B)/demo/build.log)"
	@mkdir -p $(B)/demo
	@$(MAKE) --no-print-directory $(PARALLEL) $(B)/backpropd >$(B)/demo/build.log 2>&1 || \
		{ tail -20 $(B)/demo/build.log; exit 1; }
	@DEMO_BEGAN=$(DEMO_BEGAN) sh tests/demo/demo.sh $(B)

# ---- make install: PREFIX and DESTDIR as usual; units find the program where it was put ----
BINDIR     ?= $(PREFIX)/bin
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
DOCDIR     ?= $(PREFIX)/share/doc/backpropd
UNITS       = backpropd.service backpropd.socket
DOCS        = $(wildcard README.md ARCHITECTURE.md CHANGELOG.md LICENSE server/api/openapi.json)
SUBST       = sed -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' -e 's|@DOCDIR@|$(DOCDIR)|g'
.PHONY: install uninstall
install: $(B)/backpropd
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(SYSCONFDIR) $(UNITDIR) $(SYSUSERSDIR) $(DOCDIR))
	install -m 755 $(B)/backpropd $(DESTDIR)$(BINDIR)/backpropd
	@set -e; for u in $(UNITS); do \
		echo "install $(DESTDIR)$(UNITDIR)/$$u"; \
		$(SUBST) systemd/$$u >$(DESTDIR)$(UNITDIR)/$$u; chmod 644 $(DESTDIR)$(UNITDIR)/$$u; done
	install -m 644 systemd/backpropd.sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/backpropd.conf
	[ -e $(DESTDIR)$(SYSCONFDIR)/backpropd.conf ] || install -m 644 systemd/backpropd.conf $(DESTDIR)$(SYSCONFDIR)/backpropd.conf
	install -m 644 $(DOCS) $(DESTDIR)$(DOCDIR)
# Settings and the state directory stay.
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/backpropd $(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS)) $(DESTDIR)$(SYSUSERSDIR)/backpropd.conf
	rm -rf $(DESTDIR)$(DOCDIR)

.PHONY: help
help:
	@sed -n 's/^#? //p' $(firstword $(MAKEFILE_LIST))

.PHONY: lint format format-check clean
lint:
	sh tests/tools/lint.sh
C_FILES = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(C_FILES)
format-check:
	clang-format --dry-run -Werror $(C_FILES)
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.DELETE_ON_ERROR:
