# The Python layer: a virtual environment in .venv, the package built into it, its tests.

PYTHON ?= python3
PYTHON_VENV := $(CURDIR)/.venv
PYTHON_BIN := $(PYTHON_VENV)/bin
PYTHON_DIR := bindings-python

.PHONY: build-python test-python example-data-api example-platform bench-adapters-python

$(PYTHON_VENV)/.ready: $(addprefix $(PYTHON_DIR)/requirements-,dev.txt adapters.txt clients.txt)
	$(PYTHON) -m venv $(PYTHON_VENV)
	$(PYTHON_BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -r ,$^)
	touch $@

build-python: $(PYTHON_VENV)/.ready
	VIRTUAL_ENV=$(PYTHON_VENV) $(PYTHON_BIN)/maturin develop --quiet --profile $(TIDEGATE_PROFILE) --locked \
		--manifest-path $(PYTHON_DIR)/Cargo.toml

# pytest ends with its own summary line; stubtest holds the stubs against the built module.
test-python: build-python
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m pytest
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m mypy.stubtest tidegate
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m mypy python/tidegate tests/types ../examples/python
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m mypy ../examples/data-api/service.py
	cd $(PYTHON_DIR) && $(PYTHON_BIN)/python -m mypy ../examples/platform/service.py

# Two small services on http://127.0.0.1:8000, until Ctrl-C: what each shows is at the head of its service.py.
example-data-api: build-python
	cd examples/data-api && $(PYTHON_BIN)/python -m uvicorn service:app

example-platform: build-python
	cd examples/platform && $(PYTHON_BIN)/python -m gunicorn --threads 8 --no-control-socket service:app

# What the adapters add to a request, beside slowapi and Flask-Limiter.
bench-adapters-python: build-python
	$(PYTHON_BIN)/python benches/python/adapters.py --check

# What pacing adds to a call when nothing waits, beside aiolimiter.
.PHONY: bench-pacer-python
bench-pacer-python: build-python $(PYTHON_VENV)/.ready-bench
	$(PYTHON_BIN)/python benches/python/pacer.py --check
