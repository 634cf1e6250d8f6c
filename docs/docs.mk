# The documentation as a site. Included by the Makefile; needs bindings-python/python.mk before it.
#
#   make docs         writes it to .build/site; a broken link is an error
#
# The programs on its pages are run by `make test-readme`.

DOCS_SITE := .build/site

.PHONY: docs

$(PYTHON_VENV)/.ready-docs: docs/requirements.txt $(PYTHON_VENV)/.ready
	$(PYTHON_BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

docs: $(PYTHON_VENV)/.ready-docs
	$(PYTHON_BIN)/python -m sphinx -W --keep-going --quiet --builder html docs $(DOCS_SITE)
	@echo "open $(DOCS_SITE)/index.html"
