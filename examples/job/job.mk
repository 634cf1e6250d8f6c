# make example-job: thousands of items from concurrent workers against a server that limits, by pacers and by
# other ways; prints tables and draws .build/job/job.svg (JOB_ARGS="--dialect epoch …").
# make example-job-quick: a few hundred items. make test-job: the same, with what must hold on any machine.
# make job-plot: draws docs/client-job.svg anew.
# Builds on bindings-python/python.mk; paths are relative to the root.

JOB_DIR := examples/job
JOB_OUT := .build/job
JOB_ARGS ?=

.PHONY: build-job example-job example-job-quick job-plot test-job

build-job: build-python $(PYTHON_VENV)/.ready-job
	@mkdir -p $(JOB_OUT)

$(PYTHON_VENV)/.ready-job: $(JOB_DIR)/requirements.txt $(PYTHON_VENV)/.ready
	$(PYTHON_BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

example-job: build-job
	@$(PYTHON_BIN)/python $(JOB_DIR)/job.py --plot $(JOB_OUT)/job.svg $(JOB_ARGS)

example-job-quick: build-job
	@$(PYTHON_BIN)/python $(JOB_DIR)/job.py --quick --plot $(JOB_OUT)/job.svg $(JOB_ARGS)

job-plot: build-job
	@$(PYTHON_BIN)/python $(JOB_DIR)/job.py --plot docs/client-job.svg $(JOB_ARGS)

# Counts are held, times are not: those depend on the machine.
test-job: build-job
	@$(PYTHON_BIN)/python -m pytest -q $(JOB_DIR)
	@$(PYTHON_BIN)/python -m mypy --strict --python-version 3.10 $(JOB_DIR)
