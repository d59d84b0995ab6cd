# `make demo` and `make test` set up everything they need: Python 3.11 or newer and make suffice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH := $(VENV)/.bench
LOWEST := $(VENV)-lowest

.PHONY: help demo run test test-long test-lowest lint bench bench-copies bench-events bench-formats bench-growth bench-latency \
	bench-store bench-transfer clean

help: ## show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,postgres]'
	@touch $@

demo: $(READY) ## run the daemon on the seed articles and show what it finds
	@$(BIN)/python seeds/demo.py

run: $(READY) ## run the daemon on ./inbox
	@mkdir -p inbox
	$(BIN)/ingestd run --watch inbox

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -n auto --dist worksteal

test-long: $(READY) ## run the tests at their full sizes (an hour or more)
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python -m pytest --long

$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-lowest.txt --editable '.[dev,postgres]'
	@touch $@

test-lowest: $(LOWEST)/.ready ## run the tests with the lowest versions that pyproject.toml allows, on Python 3.11
	$(LOWEST)/bin/python -m pytest -n auto --dist worksteal tests/unit tests/formats tests/integration

lint: $(READY) ## run the linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BENCH): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

bench: $(BENCH) ## the whole beside the script a user would write, in turns; writes docs/benchmarks.md
	$(BIN)/python -m tests.benchmark.end_to_end --write

bench-copies: $(BENCH) ## finding copies beside datasketch and rensa, and the index up to 1,000,000 articles
	$(BIN)/python -m tests.benchmark.copies

bench-formats: $(READY) ## how fast each kind of file is read, beside the library that reads it
	$(BIN)/python -m tests.benchmark.formats

bench-latency: $(READY) ## from a file renamed into the folder to its commit, at 50, 100 and 1,000 files a second
	$(BIN)/python -m tests.benchmark.latency

bench-growth: $(READY) ## what one more article costs with up to 1,000,000 stored and in the window; writes docs/growth.md
	$(BIN)/python -m tests.benchmark.growth --write

bench-store: $(READY) ## SQLite and PostgreSQL in turns, and both up to 1,000,000 articles
	$(BIN)/python -m tests.benchmark.growth --store

bench-events: $(READY) ## what finding events costs with 10,000 and 50,000 articles in the window
	$(BIN)/python -m tests.benchmark.events

bench-transfer: $(READY) ## what is set on two labelled corpora on the third; how true probabilities are
	$(BIN)/python -m tests.benchmark.transfer

clean: ## remove the environment and all that was built
	rm -rf $(VENV) $(LOWEST) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
