# Qafila's commands; `make help` lists them. Needs make, git and Debian's base; everything else is set up from here.

PYTHON := .venv/bin/python
SETUP := sh image/host/setup.sh
BARE := sh image/host/bare.sh
# Debian keeps Orthanc and mkfs where a plain user's PATH does not look.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

SEEDS ?= 20000
CRASH_SEEDS ?= 5000
JOBS ?= 2
CUTS ?= 200
KILLS ?= 100
SIZES ?= 20
ERRORS ?= 100

.PHONY: help setup setup-run demo test lint sim bench bench-links power-cuts kills full-disks disk-errors \
	debian13-root test-debian12 test-debian13 demo-debian12 demo-debian13 requirements

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing: Debian packages (root or sudo) and .venv; says what it does
	@$(SETUP) test

setup-run:
	@$(SETUP) run

demo: setup-run ## Centre, unit and two modalities on this machine; HEADLESS=1 without a screen, SEND="PATH..." your own files
	@.venv/bin/qafila demo $(if $(HEADLESS),--headless) $(if $(SEND),--send $(SEND))

test: setup ## All tests that take seconds, with every Orthanc found here
	@$(PYTHON) -m pytest -q -m "not slow" -n $(JOBS) --dist loadfile --durations 15

lint: setup ## Formatting, lint, types, import contracts
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports

sim: setup ## SEEDS=20000 simulated worlds and CRASH_SEEDS=5000 crashes of the store
	@$(PYTHON) -m tests.simulation --seeds $(SEEDS) --jobs $(JOBS)
	@$(PYTHON) -m tests.store.crash_seeds --seeds $(CRASH_SEEDS)

bench: setup ## Measure; results go to docs/performance.md by hand
	@$(PYTHON) -m bench

bench-links: setup ## Ours and its peers on emulated bad links, 45 minutes (root); LINKS_OPTIONS="--links A --parts ours"
	@$(PYTHON) -m bench.links $(LINKS_OPTIONS)

power-cuts: setup ## CUTS=200 simulated power cuts on each Orthanc (root, loop devices)
	@$(PYTHON) -m tests.power_cuts --cuts $(CUTS)

kills: setup ## KILLS=100 kill -9 at random moments of each process
	@$(PYTHON) -m tests.kills --count $(KILLS)

full-disks: setup ## SIZES=20 small disks filled under the unit, on each Orthanc (root, loop devices)
	@$(PYTHON) -m tests.full_disks --sizes $(SIZES)

disk-errors: setup ## ERRORS=100 EIO, ENOSPC and EROFS put into the unit's system calls, on each Orthanc (root, strace)
	@$(PYTHON) -m tests.disk_errors --count $(ERRORS)

debian13-root: setup ## Build .cache/debian13, so that tests also run Debian 13's Orthanc (root)
	@sh image/host/debian13.sh

test-debian12: ## make test of HEAD in a bare Debian 12 root (root)
	@$(BARE) bookworm test

test-debian13: ## make test of HEAD in a bare Debian 13 root (root)
	@$(BARE) trixie test

demo-debian12: ## make demo HEADLESS=1 of HEAD in a bare Debian 12 root (root)
	@$(BARE) bookworm demo HEADLESS=1

demo-debian13: ## make demo HEADLESS=1 of HEAD in a bare Debian 13 root (root)
	@$(BARE) trixie demo HEADLESS=1

UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate pyproject.toml requirements/build.in
requirements: ## Pin the requirements anew from pyproject.toml (maintainers; needs uv)
	$(UV_COMPILE) --upgrade -o requirements/run.txt
	$(UV_COMPILE) --upgrade --extra dev -c requirements/run.txt -o requirements/dev.txt
