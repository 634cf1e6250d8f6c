# The Python layer: a virtual environment in .venv, the package built into it, its tests.

PYTHON ?= python3
PYTHON_VENV := $(CURDIR)/.venv
PYTHON_BIN := $(PYTHON_VENV)/bin
PYTHON_DIR := bindings-python

.PHONY: build-python test-python

$(PYTHON_VENV)/.ready: $(PYTHON_DIR)/requirements-dev.txt $(PYTHON_DIR)/requirements-clients.txt
	$(PYTHON) -m venv $(PYTHON_VENV)
	$(PYTHON_BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -r ,$^)
	touch $@

build-python: $(PYTHON_VENV)/.ready
	VIRTUAL_ENV=$(PYTHON_VENV) $(PYTHON_BIN)/maturin develop --quiet --release --locked \
		--manifest-path $(PYTHON_DIR)/Cargo.toml

# pytest ends with its own summary line; stubtest holds the stubs against the built module.
test-python: build-python
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m pytest
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m mypy.stubtest tidegate
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m mypy python/tidegate tests/types ../examples/python

# What pacing adds to a call when nothing waits, beside aiolimiter.
.PHONY: bench-pacer
bench-pacer: build-python $(PYTHON_VENV)/.ready-bench
	$(PYTHON_BIN)/python benches/python/pacer.py --check
