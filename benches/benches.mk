# make bench: Tidegate beside its peers, one table a host, and the same as JSON in .build/bench.
# make bench-quick: tiny sizes, to see that everything runs. make bench-instructions: callgrind.sh.
# make criterion: the curves in Rust, 1 to 1M keys (TIDEGATE_BENCH_KEYS=10000000: 10M).
# Builds on ffi/ffi.mk, bindings-python/python.mk and bindings-node/node.mk; paths are relative to the root.

BENCH_DIR := benches
BENCH_OUT := .build/bench
BENCH_RELEASE = $(C_TARGET_DIR)/release
BENCH_ARGS ?=

.PHONY: bench bench-quick bench-instructions build-bench criterion

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

bench-instructions:
	$(CARGO) build --release --locked --quiet -p tidegate-benches
	$(BENCH_DIR)/callgrind.sh $(BENCH_RELEASE)/call

criterion:
	$(CARGO) bench --locked -p tidegate-benches
