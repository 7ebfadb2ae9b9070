# The commands a person types. `make run` and `make test` set up all that they need; a second run skips the set-up.

PYTHON ?= python3.11
PORT ?= 8000
IMAGE ?= cosmos-cqrs-gateway
ENGINE ?= docker
VENV := .venv
INSTALLED := $(VENV)/.installed

MODULES := web/node_modules/.package-lock.json
BUNDLE := gateway/static/playground.html
PEERS := benchmarks/peers/node_modules/.package-lock.json
PAGES := schema.graphql $(shell find web -type f -not -path '*/node_modules/*' -not -name generated.ts)

.PHONY: help run run-cosmos test install web browser bench bench-quick bench-growth peers check format audit image lock clean

help:  ## Say what there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: install  ## Serve the gateway on http://127.0.0.1:8000 (PORT=, STORE_URL= override).
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory web || echo "The pages are not built; serving without."
	@PORT=$(PORT) $(VENV)/bin/gateway serve

run-cosmos: install  ## Serve from Azure Cosmos DB as a test server on this machine imitates it.
	@scripts/run-cosmos

test: install browser  ## Formatting, lint, types, import contracts, and all tests with coverage.
	@scripts/check

install: $(INSTALLED)  ## The set-up alone: a virtual environment in .venv.

$(INSTALLED): requirements/dev.txt pyproject.toml scripts/install
	@PYTHON=$(PYTHON) scripts/install $(VENV)
	@touch $@

web: $(BUNDLE)  ## The playground and the order desk, built to be served (needs Node 20).

$(BUNDLE): $(MODULES) $(PAGES)
	@npm --prefix web run --silent build -- --logLevel warn

$(MODULES): web/package-lock.json web/.npmrc
	@cd web && npm ci --silent
	@touch $@

browser:  ## Chromium for the tests, installed where that can be done.
	@scripts/chromium || true

bench: install peers  ## What it costs, beside others: results.json, docs/performance.md (10 minutes).
	@$(VENV)/bin/python -m benchmarks full

bench-quick: install peers  ## The same in 2 minutes, printed only.
	@$(VENV)/bin/python -m benchmarks quick

bench-growth: install  ## How cost grows with orders, clients, subscribers and sizes (6 minutes).
	@$(VENV)/bin/python -m benchmarks growth

peers:  ## What the gateway is measured beside, on Node.js, installed where that can be done.
	@! command -v npm >/dev/null || $(MAKE) --silent $(PEERS) || echo "Measuring without the peers."

$(PEERS): benchmarks/peers/package-lock.json benchmarks/peers/.npmrc benchmarks/peers/install
	@benchmarks/peers/install
	@touch $@

format: install  ## Format the code and mend what the linter can mend.
	@$(VENV)/bin/ruff check --fix --quiet .
	@$(VENV)/bin/ruff format --quiet .
	@[ ! -d web/node_modules ] || npm --prefix web run --silent format

audit:  ## Look for known vulnerabilities in the locked dependencies, where the advisory service can be reached.
	@scripts/audit

image:  ## Build the container image (IMAGE= names it, ENGINE= is docker or podman).
	@$(ENGINE) build --tag $(IMAGE) .

lock:  ## Resolve the dependencies anew into requirements/, with hashes.
	@scripts/lock

clean:  ## Remove the virtual environment and what the tools left (never data/).
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov build dist \
	  gateway/static web/node_modules benchmarks/peers/node_modules
