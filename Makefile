# One door for people and CI. `make` alone lists what there is; every target sets up what it needs.

RUN := .venv/bin/python
export LAMBDA_PYTHON ARCHITECTURE
# A name in PATH may be a shim that fails, or too old: each is asked. PYTHON=... overrules the search.
FIND_PYTHON = for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3) ""; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && break; done
NO_PYTHON = No Python of 3.11 or newer was found: install one (Debian: apt install python3 \
	python3-venv), or name it: make setup PYTHON=/path/to/python3

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint build bench bench-cold lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The finished venv answers for itself first, in a blink; only then is a Python looked for.
setup: ## Make .venv with everything in it, at pinned and hashed versions
	@$(if $(PYTHON),false,$(RUN) -E -S -m ops.bootstrap --check) 2>/dev/null || { $(FIND_PYTHON); \
	test -n "$$python" || { echo "$(NO_PYTHON)" >&2; exit 1; }; \
	"$$python" -m ops.bootstrap; }

demo: setup ## See six days of the service, start to end, on this machine
	@$(RUN) -m ops.demo

test: setup ## Run all tests
	@$(RUN) -m pytest -n logical --dist loadfile

lint: setup ## Check format, style, types, import directions, migrations, template and workflows
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	.venv/bin/lint-imports
	.venv/bin/squawk migrations/*.sql
	.venv/bin/cfn-lint template.yaml infra/*.yaml
	.venv/bin/actionlint

build: setup ## Build what Lambda runs (ARCHITECTURE=x86_64 for the other one), and validate the template
	@$(RUN) -m ops.build

bench: setup ## Measure the numbers that the design promises
	@$(RUN) -m ops.bench

bench-cold: setup ## Measure cold starts of the built artifacts
	@$(RUN) -m ops.bench_cold

ARTIFACTS = cron scheduler watchdog admin postgres-layer tokens-layer

# Universal: one lock for every platform and Python we support. No header or annotation, so that it
# holds no address and its diff is versions only.
LOCK = .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-header --quiet --upgrade

lock: setup ## Renew the lock files from pyproject.toml
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	echo uv | $(LOCK) - -o requirements-setup.lock
	for artifact in $(ARTIFACTS); do $(LOCK) --constraint requirements.lock --group $$artifact \
		-o ops/build/locks/$$artifact.lock || exit; done
	for tool in runtime sam picture; do $(LOCK) --group $$tool -o ops/build/locks/$$tool.lock || exit; done

clean: ## Remove .venv, builds and caches
	rm -rf .venv build dist .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
