.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py pyproject.toml $(wildcard ext/switchgear/hotpath/*)

help: ## what each verb does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(VENV)/.runtime: requirements/runtime.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	@touch $@

$(VENV)/.develop: requirements/develop.lock | $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/develop.lock
	@touch $@

$(VENV)/.built: $(SOURCES) $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

build: $(VENV)/.built ## create .venv and compile the extension modules

serve: build ## start the gateway on http://127.0.0.1:8080
	$(BIN)/switchgear serve $(ARGS)

test: build $(VENV)/.develop ## the whole test suite, with a real Redis and PostgreSQL
	$(BIN)/python -m pytest $(ARGS)

lint: build $(VENV)/.develop ## ruff, mypy --strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: build $(VENV)/.develop ## benchmarks side by side with nginx, held against benchmarks/budgets.toml
	@mkdir -p results
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-json=results/micro.json -q
	$(BIN)/python benchmarks/overhead.py $(ARGS)
	$(BIN)/python benchmarks/gate.py $(GATE)

loadtest: build $(VENV)/.develop ## Locust, headless: steady, burst, streaming, failover
	for scenario in steady burst streaming failover; do $(BIN)/python loadtests/run.py $$scenario || exit 1; done

soak: build $(VENV)/.develop ## ten minutes of load while workers, Redis and PostgreSQL fail; prints a verdict
	$(BIN)/python loadtests/soak.py $(ARGS)

fuzz: build $(VENV)/.develop ## the fuzzers of the compiled modules, a minute each
	for target in sse peek http1 translate; do $(BIN)/python tests/fuzz/run.py $$target --seconds 60 || exit 1; done

lock: $(VENV)/.develop ## resolve the requirements again
	for set in runtime develop; do $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 requirements/$$set.in -o requirements/$$set.lock || exit 1; done
	for set in tests/sdk/requirements/*.in; do $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $$set -o $${set%.in}.txt || exit 1; done

clean: ## remove what was built
	rm -rf $(VENV) .venv-sdks build dist results src/switchgear/hotpath/*.so src/*.egg-info

.PHONY: help build serve test lint bench loadtest soak fuzz lock clean
