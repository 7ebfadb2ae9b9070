# The commands a person types. `make run` and `make test` set up all that they need; a second run skips the set-up.

PYTHON ?= python3.11
PORT ?= 8000
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: help run run-cosmos test install check format lock clean

help:  ## Say what there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

run: install  ## Serve the gateway on http://127.0.0.1:8000 (PORT=, STORE_URL= override).
	@PORT=$(PORT) $(VENV)/bin/gateway serve

run-cosmos: install  ## Serve from Azure Cosmos DB as a test server on this machine imitates it.
	@scripts/run-cosmos

test: install  ## Formatting, lint, types, import contracts, and all tests with coverage.
	@scripts/check

install: $(INSTALLED)  ## The set-up alone: a virtual environment in .venv.

$(INSTALLED): requirements/dev.txt pyproject.toml scripts/install
	@PYTHON=$(PYTHON) scripts/install $(VENV)
	@touch $@

format: install  ## Format the code and mend what the linter can mend.
	@$(VENV)/bin/ruff check --fix --quiet .
	@$(VENV)/bin/ruff format --quiet .

lock:  ## Resolve the dependencies anew into requirements/, with hashes.
	@scripts/lock

clean:  ## Remove the virtual environment and what the tools left (never data/).
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov build dist
