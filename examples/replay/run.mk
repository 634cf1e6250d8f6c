# make run [LOG=path] [POLICY=path]: replays a log of requests through a policy in all four hosts,
# compares every decision, and prints one table. Paths are relative to the repository's root.
# make record-trace: records tests/traces/service.csv anew, in about four minutes.
# Builds on ffi/ffi.mk, bindings-python/python.mk and bindings-node/node.mk.

LOG ?= tests/traces/service.csv
POLICY ?= examples/policies/data-api.toml

RUN_DIR := .build/run
RUN_HOSTS := rust c python node
RUN_TOOL = $(C_BUILT_DIR)/tidegate-replay
RUN_EVENTS := $(RUN_DIR)/events
RUN_ARGS := $(RUN_EVENTS) "$(POLICY)" $(RUN_DIR)

.PHONY: run build-run record-trace

# What an earlier run left is removed first, so that it cannot pass for this one's.
run: build-run
	@rm -f $(RUN_EVENTS) $(foreach host,$(RUN_HOSTS),$(RUN_DIR)/$(host).*)
	@$(RUN_TOOL) prepare --log "$(LOG)" --events $(RUN_EVENTS)
	@echo "policy: $(POLICY)"
	@$(RUN_TOOL) replay --events $(RUN_EVENTS) --policy "$(POLICY)" --out $(RUN_DIR)
	@$(RUN_DIR)/replay-c $(RUN_ARGS)
	@$(PYTHON_BIN)/python examples/replay/replay.py $(RUN_ARGS)
	@NODE_PATH=$(RUN_DIR)/node_modules node examples/replay/replay.js $(RUN_ARGS)
	@$(RUN_TOOL) report --events $(RUN_EVENTS) --out $(RUN_DIR) $(RUN_HOSTS)

build-run: build-c build-python build-node
	$(CARGO) build --profile $(TIDEGATE_PROFILE) --locked --quiet -p tidegate-replay
	@mkdir -p $(RUN_DIR)/lib $(RUN_DIR)/node_modules
	@ln -sfn $(abspath $(C_BUILT_DIR))/$(C_BUILT) $(RUN_DIR)/lib/$(C_BUILT)
	@ln -sfn $(C_BUILT) $(RUN_DIR)/lib/$(C_SONAME)
	@ln -sfn $(CURDIR)/$(NODE_DIR) $(RUN_DIR)/node_modules/tidegate
	$(CC) -std=c11 -O2 -Wall -Wextra -Iinclude examples/replay/replay.c -o $(RUN_DIR)/replay-c \
		-L$(RUN_DIR)/lib -ltidegate -Wl,-rpath,$(abspath $(RUN_DIR)/lib)

record-trace:
	$(PYTHON) examples/replay/record/load.py --out tests/traces/service.csv
