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
.PHONY: help test test-core bench fmt check loom stress sanitize fuzz clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 9

# How the C library, the addons of Python and Node and the replay tool are built: as users have them. `make test` builds
# them as cargo builds tests, with every check of the language on and in a fraction of the time.
TIDEGATE_PROFILE ?= release
export TIDEGATE_PROFILE
test: export TIDEGATE_PROFILE = dev

include ffi/ffi.mk
include bindings-python/python.mk
include bindings-node/node.mk
include examples/replay/run.mk
include examples/job/job.mk
include benches/benches.mk
include tests/readme/readme.mk
include docs/docs.mk
include examples/c-service/service.mk

# One `make` at a time may build: the layers share cargo's target folder and would only wait for it.
.NOTPARALLEL:

# Three lanes: what waits for clients and servers most of the time, Python's and Node's, and what only computes. No two
# of them build the same thing; what needs all hosts comes last.
test: check test-core
	@mkdir -p .build
	@echo 'test-node, test-instructions and loom run beside what follows; what they print comes after it'
	@lanes=; for lane in test-node test-apart; do \
		nice -n 5 $(MAKE) --no-print-directory $$lane > .build/$$lane.log 2>&1 & lanes="$$lanes $$!"; done; \
	$(MAKE) --no-print-directory test-hosts; failed=$$?; \
	for lane in $$lanes; do wait $$lane || failed=1; done; \
	cat .build/test-apart.log .build/test-node.log; exit $$failed
	@$(MAKE) --no-print-directory test-readme test-run
	@echo 'all layers passed'

.PHONY: test-hosts test-apart
test-hosts: test-c test-c-service test-python test-job docs test-benches
test-apart: test-instructions loom

# The engine, the oracle, the replay tool; documentation examples included. PROPTEST_CASES=1000 for a longer look.
test-core:
	PROPTEST_CASES=$${PROPTEST_CASES:-24} $(CARGO) test --locked -p tidegate -p tidegate-model -p tidegate-replay

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

# AddressSanitizer over the engine's tests; needs a nightly toolchain (rustup toolchain install nightly).
# (ThreadSanitizer does not know fences, which the sequence locks are made of; `make loom` does.)
SANITIZER_TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
sanitize:
	@rustup toolchain list 2> /dev/null | grep -q nightly \
		|| { echo 'sanitize needs a nightly toolchain: rustup toolchain install nightly' >&2; exit 1; }
	RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=target/sanitize \
		$(CARGO) +nightly test --locked --target $(SANITIZER_TARGET) -p tidegate \
		--test store --test stress --test waiting

# Random policies and random calls, a minute each; needs nightly and cargo-fuzz (cargo install cargo-fuzz).
FUZZ_SECONDS ?= 60
fuzz:
	@$(CARGO) fuzz --version > /dev/null 2>&1 \
		|| { echo 'fuzz needs a nightly toolchain and cargo-fuzz: cargo install cargo-fuzz' >&2; exit 1; }
	for target in policy calls headers; do \
		$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

clean:
	rm -rf target .build .venv bindings-node/node_modules bindings-node/tidegate.node
