# The two commands: `make demo` and `make test`. Each does its own set-up.

PYTHON ?= python3
VENV ?= .venv
# A WES server of other people, for the tests; its dependencies fit nobody else's environment, so it has one of its own.
TOIL_VENV := .venv-toil
TOIL := toil[server,cwl,aws]==9.6.0
# What the benchmarks measure us against, apart for the same reason.
BENCH_VENV := .venv-bench
# What `make run` installs, without the tools of development: starts are measured with it.
RUN_VENV := .venv-run
BENCH := fastapi==0.165.0 uvicorn[standard]==0.54.0 python-multipart==0.0.34 orjson==3.13.0 asyncpg==0.32.0 pyjwt==2.15.1
BENCH_ARGS ?=
PYTEST_ARGS ?=
DEMO_ARGS ?=
RUN_ARGS ?=
SCREENSHOTS_ARGS ?=

BIN := $(VENV)/bin
# Names what is installed, so that a new dependency, or an old environment, is noticed by content and not by date.
KEY := $(shell { echo '$(CURDIR) $(PYTHON)'; cat setup.cfg constraints.txt scripts/make-venv; } | sha256sum | cut -c1-16)
TO_RUN := $(VENV)/.to-run-$(KEY)
TO_TEST := $(VENV)/.to-test-$(KEY)
TOIL_KEY := $(shell { echo '$(CURDIR) $(PYTHON) $(TOIL)'; cat constraints-toil.txt scripts/make-venv; } | sha256sum | cut -c1-16)
TO_TEST_TOIL := $(TOIL_VENV)/.to-test-$(TOIL_KEY)
BENCH_KEY := $(shell { echo '$(CURDIR) $(PYTHON) $(BENCH)'; cat constraints-bench.txt scripts/make-venv; } | sha256sum | cut -c1-16)
TO_BENCH := $(BENCH_VENV)/.to-bench-$(BENCH_KEY)
TO_MEASURE := $(RUN_VENV)/.to-run-$(KEY)

.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(TO_RUN) packages  ## Run one real imputation end to end, then keep serving (DEMO_EXIT=1: end there)
	@$(BIN)/python -m app demo $(if $(filter 1,$(DEMO_EXIT)),--exit) $(DEMO_ARGS)

.PHONY: test
test: lint types $(TO_TEST_TOIL)  ## Run all checks and tests (PYTEST_ARGS="-k name -x" selects tests)
	@scripts/debian-packages curl jq unzip chromium libatomic1
	@$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

.PHONY: bench
bench: $(TO_TEST) $(TO_BENCH) $(TO_MEASURE)  ## Measure us beside our peers (BENCH_ARGS="ingest relay --rounds 5"), for a quiet machine
	@scripts/debian-packages nginx wrk curl 7zip
	@$(BIN)/python -m bench $(BENCH_ARGS)

.PHONY: run
run: $(TO_RUN)  ## Run the platform (RUN_ARGS="--port 9000")
	@$(BIN)/python -m app serve $(RUN_ARGS)

.PHONY: format
format: setup  ## Put the code into its one format
	@$(BIN)/ruff check --fix app tests bench scripts
	@$(BIN)/ruff format app tests bench scripts

.PHONY: lint
lint: setup  ## Check style, format and the direction of imports
	@$(BIN)/ruff check app tests bench scripts
	@$(BIN)/ruff format --check app tests bench scripts
	@$(BIN)/lint-imports --no-logo

.PHONY: types
types: setup  ## Check types
	@$(BIN)/mypy

.PHONY: setup
setup: $(TO_TEST)  ## Make the virtual environment (every other target does so itself)

.PHONY: screenshots
screenshots: $(TO_TEST)  ## Take pictures of every page into build/screenshots (SCREENSHOTS_ARGS="--readme --only jobs")
	@scripts/debian-packages chromium
	@$(BIN)/python -m tests.screenshots $(SCREENSHOTS_ARGS)

.PHONY: packages
packages:  ## Install the Debian packages for real imputation, if root; else say what is missing
	@scripts/debian-packages

.PHONY: lock
lock:  ## Choose the newest versions of everything that setup.cfg does not name, into constraints*.txt
	@scripts/lock $(PYTHON) constraints.txt --editable '.[embedded,dev]'
	@scripts/lock $(PYTHON) constraints-toil.txt '$(TOIL)'
	@scripts/lock $(PYTHON) constraints-bench.txt $(BENCH)

.PHONY: clean
clean:  ## Remove the virtual environments and all caches; data directories stay
	rm -rf $(VENV) $(TOIL_VENV) $(BENCH_VENV) build *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find app tests -name __pycache__ -prune -exec rm -rf {} +

# Half of what the tests need is no use to those who only run it.
$(TO_RUN):
	@scripts/make-venv $(PYTHON) $(VENV) --constraint constraints.txt --editable '.[embedded]'
	@rm -f $(VENV)/.to-*
	@touch $@

$(TO_MEASURE):
	@scripts/make-venv $(PYTHON) $(RUN_VENV) --constraint constraints.txt --editable '.[embedded]'
	@rm -f $(RUN_VENV)/.to-*
	@touch $@

$(TO_TEST):
	@scripts/make-venv $(PYTHON) $(VENV) --constraint constraints.txt --editable '.[embedded,dev]'
	@rm -f $(VENV)/.to-*
	@touch $@ $(TO_RUN)

$(TO_TEST_TOIL):
	@scripts/make-venv $(PYTHON) $(TOIL_VENV) --constraint constraints-toil.txt '$(TOIL)'
	@rm -f $(TOIL_VENV)/.to-*
	@touch $@

$(TO_BENCH):
	@scripts/make-venv $(PYTHON) $(BENCH_VENV) --constraint constraints-bench.txt $(BENCH)
	@rm -f $(BENCH_VENV)/.to-*
	@touch $@
