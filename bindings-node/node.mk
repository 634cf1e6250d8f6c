# The Node layer; included by the Makefile at the root. Needs Node, npm and cargo.

NODE_DIR := $(dir $(lastword $(MAKEFILE_LIST)))

PLANS_DIR := $(NODE_DIR)../examples/plans-api/

.PHONY: build-node test-node test-plans-api example-plans-api

# Compiles the addon (bindings-node/tidegate.node).
build-node:
	cd $(NODE_DIR) && node scripts/build.js

# The pinned compiler, types, and frameworks that there are adapters for, for the tests alone; no script of theirs is run.
$(NODE_DIR)node_modules/.package-lock.json: $(NODE_DIR)package.json $(NODE_DIR)package-lock.json
	cd $(NODE_DIR) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

test-node: build-node $(NODE_DIR)node_modules/.package-lock.json test-plans-api
	cd $(NODE_DIR) && node --expose-gc --test test/*.test.js
	cd $(NODE_DIR) && node_modules/.bin/tsc --project test/types
	cd $(NODE_DIR) && node_modules/.bin/tsc --project test/types/koa

# The example: a service with plans, and its page /usage in a browser.
$(PLANS_DIR)node_modules/.package-lock.json: $(PLANS_DIR)package.json $(PLANS_DIR)package-lock.json
	cd $(PLANS_DIR) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

test-plans-api: build-node $(PLANS_DIR)node_modules/.package-lock.json
	@$(PLANS_DIR)browser.sh
	cd $(PLANS_DIR) && node --test

# What the adapters add to a request, beside express-rate-limit and @fastify/rate-limit.
.PHONY: bench-adapters-node
bench-adapters-node: build-node benches/node/node_modules/.package-lock.json
	node benches/node/adapters.js $(BENCH_ARGS)

# What a pacer adds to a call that need not wait, beside p-throttle and bottleneck.
.PHONY: bench-pacer-node
bench-pacer-node: build-node benches/node/node_modules/.package-lock.json
	node benches/node/pacer.js $(BENCH_ARGS)

# Starts it with some clients: http://127.0.0.1:8080/usage (PORT=…; TRAFFIC= for none).
TRAFFIC ?= 1
example-plans-api: build-node $(PLANS_DIR)node_modules/.package-lock.json
	cd $(PLANS_DIR) && TRAFFIC=$(TRAFFIC) node main.js
