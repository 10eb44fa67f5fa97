# `make demo` and `make test` are all that is needed; both start from a bare checkout and Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
DEMO_ARGS ?=
TEST_ARGS ?=

# Each stamp says that the environment holds this installation of the files it depends on. A development installation is
# editable and has everything that the demo needs, so that the demo uses it where there is one.
DEMO := $(VENV)/.installed-demo
DEV := $(VENV)/.installed-dev
INSTALLED := $(if $(wildcard $(DEV)),$(DEV),$(DEMO))
SOURCES := $(shell find recsys api pipelines privrec -type f -not -name '*.pyc')
SETTINGS := pyproject.toml constraints.txt
# What an operator may install, without torch, whose versions are not pinned: an environment of its own, so that nothing of the
# development extra is taken for a part of the product.
RUNTIME := build/runtime
BILL := dist/privrec.cdx.json
AUDIT_ARGS ?=

# Two test processes on two cores: a pool of BLAS threads in each would only fight over them.
test fast: export OPENBLAS_NUM_THREADS := 1
# The compose file refuses to be read without its secrets; any value will do to check it.
lint: export PRIVREC_POSTGRES_PASSWORD := lint
lint: export PRIVREC_VALKEY_PASSWORD := lint

.DELETE_ON_ERROR:
.PHONY: help demo test fast lint sbom audit format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Install privrec into .venv and run the whole product on real purchases
	$(BIN)/privrec demo $(DEMO_ARGS)

test: $(DEV) ## Install the development extra into .venv and run the tests
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered $(TEST_ARGS)

fast: $(DEV) ## Run the tests that need no server and take no time: a minute on two cores
	$(BIN)/pytest -n 2 -q -m "not slow and not service and not e2e" $(TEST_ARGS)

lint: $(DEV) ## Check style, types, import contracts and deployment files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/docker-compose --file docker-compose.yml config --quiet
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck .ci/run
	$(BIN)/pre-commit validate-config

sbom: $(BILL) ## Write the bill of materials of what is installed to serve (CycloneDX), and list its licences
	$(BIN)/python -m tools.licences $(BILL)

audit: $(BILL) ## Ask for known vulnerabilities of what is in the bill; AUDIT_ARGS=--required: fail where nobody answers
	$(BIN)/python -m tools.audit $(BILL) $(AUDIT_ARGS)

format: $(DEV) ## Put every Python file into the house's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove the environment and everything that can be made again; privrec-data stays
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'expected Python 3.11 or newer, got' "$$($(PYTHON) --version 2>&1)"'; run make PYTHON=python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DEMO): $(SETTINGS) $(SOURCES) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt '.[demo]'
	@touch $@

$(DEV): $(SETTINGS) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@rm -f $(DEMO)
	@touch $@

$(RUNTIME)/.installed: $(SETTINGS) $(SOURCES) | $(DEV)
	rm -rf $(RUNTIME)
	$(BIN)/python -m venv --without-pip $(RUNTIME)
	$(PIP) --python=$(RUNTIME)/bin/python install --quiet --constraint constraints.txt '.[embedded,otel,plot,postgres]'
	@touch $@

$(BILL): $(RUNTIME)/.installed
	@mkdir -p $(@D)
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --validate --output-file $@ $(RUNTIME)/bin/python
