# One entry point for people and CI. `make` alone lists what there is; every target sets up what it needs.

RUN := .venv/bin/python
export LAMBDA_PYTHON ARCHITECTURE
# Some images set it. Then each process would compile everything again.
export PYTHONDONTWRITEBYTECODE :=
# A name in PATH may be a shim that fails, or too old: each is asked. PYTHON=... overrules the search.
FIND_PYTHON = for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3) ""; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && break; done
NO_PYTHON = No Python of 3.11 or newer was found: install one (Debian: apt install python3 \
	python3-venv), or name it: make setup PYTHON=/path/to/python3

NO_VENV = This Python lacks its venv module (Debian: apt install python3-venv), or .venv cannot be written: see above.
# A user's constraints are moot beside hashes, and pip refuses the two together.
PIP = PIP_CONSTRAINT=/dev/null PIP_USER=0 .venv/bin/python -m pip install --quiet --disable-pip-version-check
empty :=
READY := .venv/ready-in$(subst /,-,$(subst $(empty) $(empty),_,$(CURDIR)))

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-sam simulate mutants lint audit build bench bench-cold lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with everything in it, at pinned and hashed versions

# Written last, so that a set-up that was cut off starts over; it names the folder, because a moved venv has dead scripts.
# uv takes a second where pip takes half a minute; pip takes over where uv cannot run, or where only pip knows the mirror.
$(READY): requirements-setup.lock requirements-dev.lock pyproject.toml
	@$(FIND_PYTHON); test -n "$$python" || { echo "$(NO_PYTHON)" >&2; exit 1; }; \
	echo "Setting up .venv ..."; "$$python" -m venv --clear .venv || { echo "$(NO_VENV)" >&2; exit 1; }
	@$(PIP) --require-hashes -r requirements-setup.lock
	@.venv/bin/uv pip sync --quiet --require-hashes requirements-dev.lock || $(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-index --no-deps --no-build-isolation -e .
	@touch "$@"

demo: setup ## See six days of the service, start to end, on this machine
	@$(RUN) -m ops.tools.demo

test: setup ## Run the tests, one case for each outcome
	@$(RUN) -m pytest -n auto --dist loadfile -m "not matrix and not containers"

# The faults mostly wait for leases and retries, so there are many more workers than cores.
test-all: test ## Run the tests, then every further case, and every fault at every step (CI runs this)
	@$(RUN) -m pytest -n auto --dist loadfile -m matrix --ignore tests/faults
	@$(RUN) -m pytest -n 8 -m matrix tests/faults

test-sam: setup ## Build for this machine and test `sam local invoke` (needs Docker, or podman and root)
	@$(MAKE) --no-print-directory build ARCHITECTURE=native
	@$(RUN) -m pytest -m containers tests/containers

simulate: setup ## Simulate a charity's year, day by day, with faults (SEED=7 DAYS=365 ASSIGNMENTS=300)
	@$(RUN) -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(DAYS),--days $(DAYS)) \
		$(if $(ASSIGNMENTS),--assignments $(ASSIGNMENTS)) $(if $(TROUBLE),--trouble $(TROUBLE))

mutants: setup ## See which mistakes in the code no test notices (takes hours; PART=alerts: only files with that in their path)
	@$(RUN) -m tests.mutation $(PART)

lint: setup ## Check format, style, types, import directions, migrations, template and workflows
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	.venv/bin/lint-imports
	.venv/bin/squawk migrations/*.sql
	.venv/bin/cfn-lint template.yaml infra/*.yaml
	.venv/bin/actionlint

audit: setup ## Look for known vulnerabilities in the locked versions (needs the network; exit status 3: could not look)
	@$(RUN) -m ops.tools.audit

build: setup ## Build what Lambda runs (ARCHITECTURE=native: for this machine), and validate the template
	@$(RUN) -m ops.tools.build

bench: setup ## Measure the numbers that the design promises
	@$(RUN) -m ops.tools.bench

bench-cold: setup ## Measure cold starts of the built artifacts
	@$(RUN) -m ops.tools.bench.cold

ARTIFACTS = cron scheduler watchdog admin courier feedback unsubscribe postgres-layer tokens-layer

# Universal: one lock for every platform and Python we support. No header or annotation, so that it
# holds no address and its diff is versions only.
# Extras stay, because pip in its hash mode asks for them by name.
LOCK = .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-header --no-strip-extras --quiet --upgrade

lock: setup ## Renew the lock files from pyproject.toml
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	echo uv | $(LOCK) - -o requirements-setup.lock
	for artifact in $(ARTIFACTS); do $(LOCK) --constraint requirements.lock --group $$artifact \
		-o ops/tools/build/locks/$$artifact.lock || exit; done
	for tool in runtime sam audit mutation; do $(LOCK) --group $$tool -o ops/tools/build/locks/$$tool.lock || exit; done

clean: ## Remove .venv, builds and caches
	rm -rf .venv build dist .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
