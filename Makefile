# Everything is set up by the first command that needs it; a bare `make` lists the commands.
# Paths are relative throughout, so that a checkout below a folder with spaces works.

PYTHON ?= python3
ARGS ?=

# The ezmsg that is installed beside us: what everybody gets who installs one of ezmsg's packages, as ezmsg-sigproc. Another
# one, `make EZMSG=3.9.0 test`, has an environment of its own.
EZMSG_OF_VENV := 3.10.0b5
EZMSG_OTHER := 3.9.0
EZMSG ?= $(EZMSG_OF_VENV)

VENV := $(if $(filter $(EZMSG_OF_VENV),$(EZMSG)),.venv,.cache/ezmsg-$(EZMSG)/.venv)
PY := $(VENV)/bin/python
# A file stays in one process, so that what its tests share is made once.
TOGETHER := -n logical --maxprocesses 4 --dist loadfile
# Where ezmsg is used, and not the installed one alone: the rest is the same beside each.
BESIDE_EZMSG := tests/runtime tests/pipelines tests/ezmsg tests/tools tests/docs tests/examples tests/benchmarks \
  tests/faults/test_pipelines.py tests/ledger/test_metadata.py tests/ledger/folder/test_proven.py
TYPES := tests/packaging/test_packaging.py::test_types_of_the_installed_wheel
# A strict editable install is a folder of links, which mypy, pyright and editors can follow, and has a link for each file.
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=strict
BACKEND := 'setuptools>=77'
# numpy with it: without that, ezmsg 3.10 passes no message from one process to another.
BESIDE := 'ezmsg[axisarray]==$(EZMSG)'

# A virtual environment belongs to one Python and one folder: with another Python, or after a move, it is made anew.
PLACE := $(shell $(PYTHON) -c 'import os, sys, zlib; print("%d.%d-%08x" % (sys.version_info[0], sys.version_info[1], zlib.crc32(os.fsencode(os.getcwd()))))' 2>/dev/null)
MADE := $(VENV)/.made-$(PLACE)
RUN := $(VENV)/.installed-ezmsg-$(EZMSG)
DEV := $(VENV)/.installed-dev-ezmsg-$(EZMSG)
BENCH := $(VENV)/.installed-bench-ezmsg-$(EZMSG)
DECLARED := pyproject.toml setup.py
# Named after the list of files: with one more, one less, or one moved, it is another, and the links are made anew.
FILES := $(shell find ledger projections runtime tools -type f ! -name '.*' ! -name '*~' ! -path '*/__pycache__/*' ! -path '*/node_modules/*' | LC_ALL=C sort | cksum | cut -d ' ' -f 1)
LINKS := $(VENV)/.links-$(FILES)

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help install demo test test-other test-ezmsg test-long lint types page bench bench-large dist clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "  PYTHON=python3.12   the Python (3.11 or newer) that .venv is made with"
	@echo "  EZMSG=3.9.0         with this ezmsg, in an environment of its own below .cache; $(EZMSG_OF_VENV) otherwise"
	@echo "  ARGS='-k log -x'    handed to pytest, or to the command that is run"

demo: $(RUN) ## record a real ezmsg pipeline and walk through its history
	@mkdir -p recordings
	@$(VENV)/bin/ezmsg-ledger demo $(or $(ARGS),recordings/demo-$$(date +%Y%m%d-%H%M%S).ledger)

# Cheapest first. The typed check is also a part of the whole run; there it finds the wheel already installed.
test: $(DEV) ## lint, types on the installed wheel, then the tests: some ten minutes on two cores
	$(PY) -m ruff check .
	$(PY) -m pytest -q $(TYPES)
	$(PY) -m pytest $(TOGETHER) $(ARGS)

test-other: ## lint, types and the tests that use ezmsg, beside the other ezmsg (3.9.0), in an environment of its own
	@$(MAKE) EZMSG=$(EZMSG_OTHER) test ARGS="-m 'not environments and not long and not ezmsg_suite' $(ARGS) $(BESIDE_EZMSG)"

test-ezmsg: $(DEV) ## ezmsg's own test-suites, of both releases, and all that runs in environments of its own
	$(PY) -m pytest -m environments $(ARGS)

test-long: $(DEV) ## all attacks on the log, and their figures in docs/PROMISES.md (a quarter of an hour of two cores)
	$(PY) -m pytest -m long $(ARGS)
	$(PY) -m tests.faults --write docs/PROMISES.md

lint: $(DEV) ## ruff alone
	$(PY) -m ruff check .

types: $(DEV) ## mypy --strict on the wheel, installed in a clean environment
	$(PY) -m pytest -q $(TYPES)

page: $(DEV) ## build the debugger's page anew (needs Node.js and npm); the bundle is committed
	@$(PY) -m ezmsg.ledger.tools.debugger.api.openapi docs/debugger/openapi.json tools/debugger/web/src/server/shapes.ts
	@cd tools/debugger/web && npm ci --ignore-scripts --silent && node node_modules/esbuild/install.js && npm run --silent types && npm run --silent build

bench: $(BENCH) ## measure, beside the peers
	$(PY) -m benchmarks $(ARGS)

bench-large: $(BENCH) ## measure at fifty million events: 12 GB of disk, and more than an hour
	$(PY) -m benchmarks --only sizes-large $(ARGS)

dist: $(DEV) ## build the sdist and the wheel into dist/, and try both in clean environments
	@$(PY) tests/packaging/distribution.py dist

install: $(DEV) ## bring .venv up to date, as each of these does before it starts

clean: ## remove .venv, caches and build products; recordings stay
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist ezmsg_ledger.egg-info
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "ezmsg-ledger needs Python 3.11 or newer; '$(PYTHON)' is $$({ $(PYTHON) -V || echo missing; } 2>&1 | tail -n 1). Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; well under a minute on most connections) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Without a network too: what it takes was installed with the first links.
$(LINKS): $(MADE)
	@if [ -e $(RUN) ] && ls $(VENV)/.links-* >/dev/null 2>&1; then $(INSTALL) --no-deps --no-build-isolation -e .; fi
	@rm -f $(VENV)/.links-*
	@touch $@

$(RUN): $(MADE) $(DECLARED) | $(LINKS)
	@$(INSTALL) $(BACKEND) $(BESIDE) -e .
	@touch $@

# The larger installs contain the smaller: touching its stamp too keeps `make demo` after `make test` immediate.
$(DEV): $(MADE) $(DECLARED) | $(LINKS)
	@$(INSTALL) $(BACKEND) $(BESIDE) -e '.[dev]'
	@touch $(RUN) $@

$(BENCH): $(MADE) $(DECLARED) | $(LINKS)
	@$(INSTALL) $(BACKEND) $(BESIDE) -e '.[dev,bench]'
	@touch $(RUN) $(DEV) $@
