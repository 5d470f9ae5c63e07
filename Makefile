# make up            everything from nothing: environment, local clouds, the dev stack
# make help          the other targets
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

STACK ?= dev
PYTHON ?= python3
VENV := .venv
FACTORY := $(VENV)/bin/factory
# Bytecode is compiled once at install; without it every import takes three times as long.
export PYTHONDONTWRITEBYTECODE :=
# As pip does: the machine's certificates count, so that a company's own mirror is trusted.
export UV_SYSTEM_CERTS ?= true

.PHONY: help setup up preview plan offers refresh down lab lab-down lab-test node-test test test-fast test-alone faults check format lock prices bench clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=name picks another stack than dev"

setup: $(VENV)/.installed ## Install the locked environment into .venv

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "model-factory needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) from requirements.lock (once; about a minute)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@test -x $(VENV)/bin/uv || awk '/^uv==/{on=1} on{print} on&&!/\\$$/{exit}' requirements.lock > $(VENV)/uv.lock
	@test -x $(VENV)/bin/uv || $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@$(VENV)/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python $(VENV)/bin/python requirements.lock
	@$(VENV)/bin/uv pip install --quiet --no-deps --no-build-isolation --python $(VENV)/bin/python --editable .
	@touch $@

up: setup ## Create or update the stack (starts the local clouds for dev)
	@$(FACTORY) up --stack $(STACK) --yes $(ARGS)

preview: setup ## Show what `make up` would change
	@$(FACTORY) preview --stack $(STACK)

plan: setup ## Show what today's prices would move (ARGS="--apply", ARGS="--why MODEL")
	@$(FACTORY) plan --stack $(STACK) $(ARGS)

offers: setup ## List what can be bought where (ARGS="--accelerator l4 --spot --sort price")
	@$(FACTORY) offers $(ARGS)

refresh: setup ## Compare the state with the clouds and show drift
	@$(FACTORY) refresh --stack $(STACK) --yes

down: setup ## Delete everything the stack created, then stop the local clouds
	@$(FACTORY) destroy --stack $(STACK) --yes --stop-clouds

lab: setup ## A real Kubernetes behind the local clouds, and a model that answers (Linux with Go)
	@$(FACTORY) lab up $(ARGS)

lab-down: setup ## Delete all that `make lab` started: processes, mounts, namespaces, files
	@$(FACTORY) lab down

lab-test: setup ## Run the tests that need a real control plane
	@$(FACTORY) lab build
	@$(VENV)/bin/python -m pytest -m "lab and not realnode"

node-test: setup ## Run the tests that need a real node: root, and programs that it installs on Debian
	@$(FACTORY) lab machine
	@$(FACTORY) lab build
	@$(VENV)/bin/python -m pytest -m realnode

test: setup ## Run every test but those of lab-test, in 45 minutes of CPU time
	@$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m "not lab and not realnode"

# Rooms that start clouds, providers and engines. Elsewhere such a test is marked slow.
WHOLE := tests/stacks tests/local/clouds tests/local/engine tests/local/providers
FAST := $(VENV)/bin/python -m pytest -q -m "not slow and not lab and not realnode"

test-fast: setup ## Run the tests that need no engine and no cloud, in under a minute of CPU time
	@$(FAST) $(addprefix --ignore=,$(WHOLE))

# By itself each file shows that it needs no other, in a random pair that it disturbs none. SEED=commit repeats an order.
SEED ?= $(shell git rev-parse --short HEAD)
test-alone: setup ## Run the files of test-fast each by itself, then in random pairs
	@files="$$(git ls-files 'tests/*/test_*.py' $(addprefix ':!',$(WHOLE)))"; \
	    run='said=$$($(FAST) -p no:cacheprovider "$$@" 2>&1) || [ $$? = 5 ] || { echo "$$said"; echo "failed: $$*"; exit 1; }'; \
	    echo "$$files" | xargs -P 2 -n 1 bash -c "$$run" _; \
	    echo "$$files" | shuf --random-source=<(yes $(SEED)) | xargs -P 2 -n 2 bash -c "$$run" _; \
	    echo "$$(echo "$$files" | wc -l) files pass alone and in random pairs (SEED=$(SEED))"

faults: setup ## Spoil every kind of call to both clouds in every way, and tell the figures
	@$(VENV)/bin/python -m pytest -q -m faults tests/local/providers tests/stacks/test_lost_answers.py

check: setup ## Check format, lint, types and import rules
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/basedpyright
	@PYTHONPATH=. $(VENV)/bin/lint-imports

format: setup ## Format the code
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

lock: setup ## Resolve pyproject.toml into requirements.lock again
	@$(VENV)/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header --quiet --output-file requirements.lock

prices: setup ## Refresh the price tables from the clouds' own sources (ARGS="--cloud aws --dry-run")
	@$(FACTORY) prices $(ARGS)

bench: setup ## Measure engine and planning (prints figures and what they are compared with)
	@$(VENV)/bin/python benchmarks/engine.py
	@$(VENV)/bin/python benchmarks/plan.py

clean: ## Remove the environment and all local state (stops the local clouds first)
	@test ! -x $(FACTORY) || $(FACTORY) clouds stop
	@rm -rf $(VENV) .factory .pytest_cache .ruff_cache .hypothesis
