# `make study NAME=quickstart` and `make test` set everything up themselves.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
MEDZOO := $(BIN)/medzoo
INSTALL := -m pip install --disable-pip-version-check --no-deps
PIP := PYTHONUNBUFFERED=1 $(BIN)/python $(INSTALL)
# Of pip's many lines those of large packages, and the one before the long wait.
SHOW := awk '/(Downloading|Using cached) .* MB\)/ { split($$0, size, /[()]/); \
	split($$1 == "Using" ? $$3 : $$2, name, "-"); \
	print "  " name[1] " " name[2] " (" size[2] ")" } \
	/^Installing/ { print "  unpacking all packages, a minute or two" } \
	{ fflush() }' >&2
# The first supported interpreter on the path; override with PYTHON=...
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help setup study search report test test-slow test-data test-extras \
	test-wheel test-encoding test-jax chaos bench bench-gpu check facts docs lock

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*## /|/' | column -ts '|'

setup: $(VENV)/.installed ## make .venv with the locked versions that studies need

# Modules are compiled when they are first imported, and not all 9,000 at once.
$(VENV)/.locked: requirements.lock
	@if [ -z "$(PYTHON)" ]; then echo "No Python 3.11, 3.12 or 3.13 found." \
	"Install one, or say where it is: make PYTHON=/path/to/python3.12" >&2; exit 2; fi
	@echo "Setting up $(VENV) with $$($(PYTHON) --version); this happens once:" >&2
	@$(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(PIP) --no-compile -r $< | $(SHOW)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c "import keras, tensorflow, \
		matplotlib.figure, pandas, scipy.stats, sklearn.linear_model" 2>/dev/null
	@touch $@

$(VENV)/.installed: $(VENV)/.locked setup.cfg
	@$(PIP) --quiet --no-build-isolation -e .
	@echo "Set up." >&2
	@touch $@

# What tests, types and lint need beside it.
$(VENV)/.tools: requirements-dev.lock $(VENV)/.installed
	@echo "Adding what tests need; this happens once:" >&2
	@$(PIP) --quiet --no-compile -r $<
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -qj 0 $(VENV)/lib
	@touch $@

# Make variables that become flags.
SCOPE = $(if $(TASKS),--tasks $(TASKS)) $(if $(DATA),--data $(DATA)) \
	$(if $(SEEDS),--seeds $(SEEDS)) $(if $(OUT),--out $(OUT)) \
	$(if $(filter-out 0,$(SMOKE)),--smoke) $(ARGS)

study: $(VENV)/.installed ## run a study: make study NAME=optimizers [TASKS= DATA= SEEDS= WORKERS= SMOKE=1 OUT= ARGS=]
	@test -n "$(NAME)" || { $(MEDZOO) study list; echo; \
		echo "Say which study: make study NAME=quickstart" >&2; exit 2; }
	@$(MEDZOO) study run $(NAME) $(if $(WORKERS),--workers $(WORKERS)) $(SCOPE)

search: $(VENV)/.installed ## look for good values: make search NAME=skip_cnn [WORKERS= OUT= ARGS=]
	@test -n "$(NAME)" || { $(MEDZOO) search list; echo; \
		echo "Say which search: make search NAME=skip_cnn" >&2; exit 2; }
	@$(MEDZOO) search run $(NAME) $(if $(WORKERS),--workers $(WORKERS)) \
		$(if $(OUT),--out $(OUT)) $(ARGS)

report: $(VENV)/.installed ## rebuild the tables of a study from its records: make report NAME=optimizers
	@$(MEDZOO) study report $(NAME) $(SCOPE)

test: $(VENV)/.tools ## the default test suite
	@$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/.tools ## the long tests
	@$(BIN)/python -m pytest -m slow

test-data: $(VENV)/.tools ## the tests on real data (in the folder MEDZOO_TEST_DATA)
	@$(BIN)/python -m pytest -m "data and not slow"

EXTRAS := $(addprefix tests/test_,$(addsuffix .py,html published export trackers ray medical large))

test-extras: $(VENV)/.tools ## the tests that need Chromium, pdflatex or extras of setup.cfg
	@$(BIN)/python -m pytest -m "slow or extras" $(EXTRAS)

test-wheel: $(VENV)/.tools ## build a wheel, install it elsewhere, run a study
	@$(BIN)/python -m pytest -m slow tests/test_wheel.py

# Files are read and written by these.
ENCODING_TESTS := tests/hostile $(addprefix tests/test_,$(addsuffix .py,images encoding \
	custom_data bad_data mask_data explore audit card run files report_tables init \
	tables layouts store evidence_file saved spec resizing submission run_file html \
	plugins source report_write npz plan search_file outputs cli_flags))

test-encoding: $(VENV)/.tools ## tests of files where text is CP1252, as on Windows (needs localedef)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		localedef -f CP1252 -i de_DE "$$folder/de_DE.CP1252" && \
		LOCPATH=$$folder LC_ALL=de_DE.CP1252 PYTHONUTF8=0 \
		$(BIN)/python -m pytest $(ENCODING_TESTS)

# Another environment, in which there is no TensorFlow.
JAX := .venv-jax
JAX_TESTS := $(addprefix tests/test_,$(addsuffix .py,jax resident_jax stacked_jax models \
	batch_statistics losses training resume segmentation precision bench_gpu))

$(JAX)/.installed: requirements-jax.lock setup.cfg
	@echo "Setting up $(JAX), which has no TensorFlow:" >&2
	@$(PYTHON) -m venv $(JAX)
	@set -o pipefail; PYTHONUNBUFFERED=1 $(JAX)/bin/python $(INSTALL) -r $< \
		| $(SHOW)
	@$(JAX)/bin/python $(INSTALL) --quiet --no-build-isolation -e .
	@touch $@

test-jax: $(JAX)/.installed ## tests on JAX, where there is no TensorFlow
	@KERAS_BACKEND=jax $(JAX)/bin/python -m pytest -m "not slow" $(JAX_TESTS)

chaos: $(VENV)/.tools ## kill drivers and workers at random, and mutate files
	@$(BIN)/python -m pytest -m slow tests/test_chaos.py tests/hostile

# Flags for one of them: make bench ARGS_speed="--turns 2 --seconds 1"
bench: $(VENV)/.installed ## benchmarks against named alternatives: make bench [ONLY=speed] [ARGS_speed=...] (writes results/benchmarks)
	@$(foreach name,$(or $(ONLY),$(filter-out gpu,$(basename $(notdir \
		$(wildcard benchmarks/*.py))))),$(BIN)/python benchmarks/$(name).py \
		$(ARGS) $(ARGS_$(name)) &&) true

bench-gpu: ## one run and a stack on a GPU against plain Keras (needs JAX on it)
	@KERAS_BACKEND=jax $(or $(wildcard $(JAX)/bin/python),python3) benchmarks/gpu.py

check: $(VENV)/.tools ## lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy medzoo
	@MYPYPATH=benchmarks:tests $(BIN)/mypy benchmarks/*.py scripts/*.py

facts: $(VENV)/.tools ## renew the facts of the tasks from the installed medmnist
	@$(BIN)/python scripts/make_facts.py

# Another environment: the extra `docs` of setup.cfg, without TensorFlow.
DOCS := .venv-docs
DOCS_NEEDS := $(PYTHON) -c "import configparser as c; f = c.ConfigParser(); \
	f.read('setup.cfg'); print(f['options.extras_require']['docs'])"

$(DOCS)/.installed: setup.cfg
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r <($(DOCS_NEEDS))
	@touch $@

docs: $(DOCS)/.installed ## build the documentation site into site/
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(DOCS)/bin/mkdocs build --strict
	@echo "Open site/index.html"

# One version of each package for every Python, and the hashes of all its files.
LOCK := uv pip compile --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

# medmnist, which `make facts` and tests read, is installed alone: its own
# requirements bring several GB of torch, which nothing here uses.
lock: ## renew the lock files (needs uv on the path: pip install uv)
	@$(LOCK) setup.cfg --extra dev --extra search -o requirements-dev.lock
	@$(LOCK) setup.cfg --extra search --constraint requirements-dev.lock \
		-o requirements.lock
	@$(LOCK) setup.cfg --extra dev --extra search --extra jax \
		--constraint requirements-dev.lock \
		--override <(echo "tensorflow; python_version < '3'") \
		-o requirements-jax.lock
	@for lock in requirements-dev.lock requirements-jax.lock; do \
		$(LOCK) --no-deps <(echo "medmnist==3.0.2") >> $$lock; done
