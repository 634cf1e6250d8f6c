# make test-readme: the programs and policies of README.md and of the pages below as pasted, and examples/rust. Included by
# the Makefile after ffi/ffi.mk, bindings-python/python.mk and bindings-node/node.mk.

README_BUILD := $(CURDIR)/.build/readme
README_PREFIX := $(README_BUILD)/prefix
README_PAGES := README.md docs/c.md docs/rust.md

.PHONY: test-readme

# C programs are compiled against a tree of its own that `make install` leaves here.
test-readme: build-python build-node
	@$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) install DESTDIR= \
		PREFIX=$(README_PREFIX) LIBDIR=$(README_PREFIX)/lib INCLUDEDIR=$(README_PREFIX)/include > /dev/null
	$(PYTHON_BIN)/python tests/readme/run_readme.py \
		--work $(README_BUILD)/programs --prefix $(README_PREFIX) --target $(abspath $(C_TARGET_DIR)) \
		$(README_PAGES)
	$(PYTHON_BIN)/python -m unittest discover --quiet --start-directory tests/readme
	$(CARGO) run --quiet --locked -p tidegate-hello > $(README_BUILD)/hello.out
	diff -u examples/rust/hello.out $(README_BUILD)/hello.out
