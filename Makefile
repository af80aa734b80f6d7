# Every recipe is a line that could be typed by hand. `make` alone prints this help.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
DEV := .venv/.installed
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
PARTS ?= $(sort $(notdir $(patsubst %/run.py,%,$(wildcard benchmarks/*/run.py))))

.PHONY: help install run test check format fast simulate chaos fire fuzz audit bench schemas flows histories lock clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(DEV) ## install everything into .venv, from the locks alone

run: $(DEV) ## run everything in one process with a local Twilio; needs no account and no Kafka
	$(BIN)/cordboard run --local-twilio

test: check ## all checks, then all tests, the fast ones first; some 9 minutes on two cores
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(DEV) ## linters, types, import rules, generated files; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=tests/support $(BIN)/lint-imports
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m engine.diagrams --check

format: $(DEV) ## let ruff mend and format what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fast: $(DEV) ## only the tests that are done in a moment
	$(BIN)/pytest -m "not slow and not kafka"

SEEDS ?= 0-2000

simulate: $(DEV) ## run the whole system on simulated time, log, network and Twilio: make simulate SEEDS=0-100000, or SEEDS=17
	PYTHONPATH=.:tests/support $(BIN)/python -m simulation $(SEEDS)

CHAOS := WEBHOOKS KILLS BROKERS TOGETHER SEED RATE AT_ONCE TAKEOVERS MINUTES REPORT

chaos: $(DEV) ## real Kafka, real processes, kill -9 under load: make chaos WEBHOOKS=250000 KILLS=60 BROKERS=3 SEED=1
	PYTHONPATH=.:tests/support $(BIN)/python -m chaos $(foreach word,$(CHAOS),$(if $(filter-out undefined,$(origin $(word))),$(word)=$($(word))))

ROUNDS ?= 1000

fire: $(DEV) ## kill a process on the journal at every place, and look for what is lost: make fire ROUNDS=10000
	PYTHONPATH=.:tests/support $(BIN)/python -m journal_fire $(ROUNDS)

CASES ?= 0-1000000

fuzz: $(DEV) ## damaged input of every kind: make fuzz CASES=1000000, a range, or one case such as CASES=forms:17
	PYTHONPATH=.:tests/support $(BIN)/python -m fuzzing $(CASES)

audit: $(DEV) ## ask the public advisory databases about every locked version; needs the internet
	$(BIN)/uv tool run pip-audit --strict --disable-pip --require-hashes -r requirements/runtime.txt

bench: $(DEV) ## measure on this machine; one part alone: make bench PARTS=ingress
	for part in $(PARTS); do echo "== $$part"; PYTHONPATH=tests/support $(BIN)/python -m benchmarks.$$part.run; done

schemas: $(DEV) ## write everything generated anew: JSON Schemas, AsyncAPI, diagrams, pages
	$(BIN)/python -m schemas.generate --write
	$(BIN)/python -m engine.diagrams --write
	$(BIN)/python -m cordboard.settings_page --write

flows: $(DEV) ## play every call flow against the local Twilio and write docs/flows anew
	PYTHONPATH=tests/support $(BIN)/python -m flow_book

histories: $(DEV) ## record a history of every call flow anew, for tests/replay; those of older versions stay
	PYTHONPATH=tests/support $(BIN)/python -m histories

lock: $(DEV) ## resolve the newest allowed versions into requirements/
	$(COMPILE) --upgrade pyproject.toml -o requirements/runtime.txt
	$(COMPILE) --upgrade pyproject.toml --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	echo 'hatchling>=1.27,<2' | $(COMPILE) --upgrade - -c requirements/dev.txt -o requirements/build.txt

clean: ## remove .venv, caches and everything that running has left behind
	rm -rf .venv .cordboard .cordboard-test build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEV): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Cordboard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
