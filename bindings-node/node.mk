# The Node layer; included by the Makefile at the root. Needs Node, npm and cargo.

NODE_DIR := $(dir $(lastword $(MAKEFILE_LIST)))

.PHONY: build-node test-node

# Compiles the addon (bindings-node/tidegate.node).
build-node:
	cd $(NODE_DIR) && node scripts/build.js

# The pinned compiler and Node's types, for the type tests alone; no script of theirs is run.
$(NODE_DIR)node_modules/.package-lock.json: $(NODE_DIR)package.json $(NODE_DIR)package-lock.json
	cd $(NODE_DIR) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

test-node: build-node $(NODE_DIR)node_modules/.package-lock.json
	cd $(NODE_DIR) && node --expose-gc --test test/*.test.js
	cd $(NODE_DIR) && node_modules/.bin/tsc --project test/types
