# The only commands anyone must know:
#
#   make run      replay a trace of real requests in all four hosts and compare every decision
#   make test     install what tests need and run the tests of every layer
#   make bench    ours beside the peers, one table a host
#   make fmt      format everything
#   make check    formatting, lints, header, stubs: what CI asks before the tests
#
# Longer checks: make loom, make stress, make fuzz, make sanitize (they say what they need).

.DEFAULT_GOAL := help
.PHONY: help test test-core bench fmt check loom stress clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 9

include ffi/ffi.mk
include bindings-python/python.mk
include bindings-node/node.mk
include examples/replay/run.mk
include benches/benches.mk

# One `make` at a time may build: the layers share cargo's target folder and would only wait for it.
.NOTPARALLEL:

test: check test-core loom test-c test-python test-node test-run
	@echo "all layers passed"

# The engine, the oracle, the replay tool; documentation examples included.
test-core:
	$(CARGO) test --locked -p tidegate -p tidegate-model -p tidegate-replay

# Every interleaving of two threads over the store's records, with the real types.
loom:
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom \
		$(CARGO) test --locked --profile model -p tidegate --lib models

# The main job, on the recorded trace: fails when the hosts differ in a single decision.
.PHONY: test-run
test-run: run

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps -p tidegate

fmt:
	$(CARGO) fmt --all

# Many threads, random calls, ten times longer than in `make test`.
stress:
	TIDEGATE_STRESS=10 $(CARGO) test --locked --release -p tidegate --test store --test stress

clean:
	rm -rf target .build .venv bindings-node/node_modules bindings-node/tidegate.node
