# make bench: Tidegate beside its peers, one table a host, and the same as JSON in .build/bench.
# make bench-quick: tiny sizes, to see that everything runs. make bench-instructions: callgrind.sh.
# make bench-plots: costs over keys and threads as docs/speed.json, drawn as docs/speed-*.svg.
# make test-instructions: callgrind.sh where its figures were recorded; else a line that says why not.
# make test-secrets: a right secret takes the same instructions as a wrong one; a part of test-instructions.
# make criterion: the curves in Rust, 1 to 1M keys (TIDEGATE_BENCH_KEYS=10000000: 10M).
# Builds on ffi/ffi.mk, bindings-python/python.mk and bindings-node/node.mk; paths are relative to the root.

BENCH_DIR := benches
BENCH_OUT := .build/bench
BENCH_RELEASE = $(C_TARGET_DIR)/release
BENCH_ARGS ?=

.PHONY: bench bench-quick bench-plots bench-plots-quick bench-instructions bench-instructions-update \
	build-bench criterion test-benches test-instructions test-secrets

bench: build-bench
	@echo '--- Rust'
	@$(BENCH_RELEASE)/table $(BENCH_ARGS) --json $(BENCH_OUT)/rust.json
	@echo '--- C'
	@$(BENCH_RELEASE)/table $(BENCH_ARGS) --json $(BENCH_OUT)/c.json --c $(BENCH_OUT)/bench-c
	@echo '--- Python'
	@$(PYTHON_BIN)/python $(BENCH_DIR)/python/bench.py $(BENCH_ARGS) --json $(BENCH_OUT)/python.json
	@echo '--- Node.js'
	@node $(BENCH_DIR)/node/bench.js $(BENCH_ARGS) --json $(BENCH_OUT)/node.json

bench-quick:
	@$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) bench BENCH_ARGS=--quick

build-bench: build-c build-python build-node $(PYTHON_VENV)/.ready-bench \
		$(BENCH_DIR)/node/node_modules/.package-lock.json
	$(CARGO) build --release --locked --quiet -p tidegate-benches
	@mkdir -p $(BENCH_OUT)/lib
	@ln -sfn $(abspath $(BENCH_RELEASE))/$(C_BUILT) $(BENCH_OUT)/lib/$(C_BUILT)
	@ln -sfn $(C_BUILT) $(BENCH_OUT)/lib/$(C_SONAME)
	$(CC) -std=c11 -O2 -Wall -Wextra -D_POSIX_C_SOURCE=199309L -Iinclude $(BENCH_DIR)/c/bench.c \
		-o $(BENCH_OUT)/bench-c -L$(BENCH_OUT)/lib -ltidegate -Wl,-rpath,$(abspath $(BENCH_OUT)/lib)

# The pinned peers.
$(PYTHON_VENV)/.ready-bench: $(BENCH_DIR)/python/requirements.txt $(PYTHON_VENV)/.ready
	$(PYTHON_BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(BENCH_DIR)/node/node_modules/.package-lock.json: $(BENCH_DIR)/node/package-lock.json
	cd $(BENCH_DIR)/node && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

# The pictures of the documentation, and the figures that they are drawn from.
bench-plots:
	$(CARGO) build --release --locked --quiet -p tidegate-benches
	$(BENCH_RELEASE)/growth $(BENCH_ARGS) --json docs/speed.json
	$(BENCH_RELEASE)/plots docs/speed.json docs

bench-plots-quick:
	$(CARGO) build --release --locked --quiet -p tidegate-benches
	@mkdir -p $(BENCH_OUT)
	$(BENCH_RELEASE)/growth --quick --json $(BENCH_OUT)/speed.json
	$(BENCH_RELEASE)/plots $(BENCH_OUT)/speed.json $(BENCH_OUT)

bench-instructions:
	$(CARGO) build --release --locked --quiet -p tidegate-benches --bin call
	$(BENCH_DIR)/callgrind.sh $(BENCH_RELEASE)/call

bench-instructions-update:
	$(CARGO) build --release --locked --quiet -p tidegate-benches --bin call
	$(BENCH_DIR)/callgrind.sh $(BENCH_RELEASE)/call --update

# Fails when a hot path takes over 5 % more instructions than recorded. Counts mean something only with the compiler
# that they were recorded with.
test-instructions: test-secrets
	@why_not=$$($(BENCH_DIR)/callgrind.sh --why-not) || exit 1; \
	if [ -n "$$why_not" ]; then echo "test-instructions: skipped: $$why_not"; \
	else $(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) bench-instructions; fi

# Compares counts of one build with each other, so any compiler will do.
test-secrets:
	@if ! command -v valgrind > /dev/null; then echo 'test-secrets: skipped: valgrind is not installed'; \
	else $(CARGO) build --release --locked --quiet -p tidegate-benches --bin call \
		&& $(BENCH_DIR)/callgrind.sh $(BENCH_RELEASE)/call --secrets; fi

# What the figures rest on: medians, statistics of the worst call, pictures; and that the curves build.
test-benches:
	$(CARGO) test --locked --quiet -p tidegate-benches --lib --test memory

criterion:
	$(CARGO) bench --locked -p tidegate-benches

# What the adapters for web frameworks add to a request, beside their peers on the same applications.
.PHONY: bench-adapters
bench-adapters: bench-adapters-python bench-adapters-node
