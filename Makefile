# The two commands of the README: `make demo` and `make test`. Both need Python >= 3.11 and nothing
# else; they work in a virtual environment of their own, .venv. `make test PYTHON=python3.13` has
# another one, .venv-3.13. `make bench-speed` makes two more, of the libraries that it compares with.

PYTHON ?= python3
VERSION := $(patsubst python%,%,$(filter-out python python3,$(notdir $(PYTHON))))
VENV := .venv$(addprefix -,$(VERSION))
BIN := $(VENV)/bin
RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)

# What a version of Python is tested with, if not with the newest of everything.
CONSTRAINTS := $(addprefix --constraint ,$(wildcard tests/constraints-$(VERSION).txt))
# A file's tests stay in one process, which computes what they share once.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
# The numeric core, a run of each kind, the command line, and exported policies.
SAMPLE := tests/core tests/cli tests/agents/test_exporting.py tests/training/test_training.py

.PHONY: demo docs pages pictures dist test test-rest test-all test-sample lint bench-speed clean clean-tests

# Dependencies are installed again only when pyproject.toml changed; the package itself every time,
# so that what runs and what is tested is the installed package.
$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet '.[mujoco,report]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) '.[dev]'
	touch $@ $(VENV)/.demo $(VENV)/.docs

define install
$(BIN)/python -m pip install --quiet --no-deps --force-reinstall .
endef

# Train TRPO on HalfCheetah-v5 (MuJoCo) for 1,000,000 steps, then evaluate the policy. The run's
# report is written at its end.
demo: $(VENV)/.demo
	$(install)
	$(BIN)/surefoot train trpo HalfCheetah-v5 --steps 1000000 --out $(RUN)
	$(BIN)/surefoot evaluate $(RUN)
	@echo "the run is in $(RUN); open $(RUN)/report.html in a browser"

$(VENV)/.docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet '.[docs]'
	touch $@

# The documentation as a site, to be read from its files.
docs: $(VENV)/.docs
	$(install)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "the site begins at build/site/index.html"

# What is generated within the pages, from the code and from README.md.
pages: $(VENV)/.dev
	$(BIN)/python docs/regenerate.py

# Those of README.md, from a run of a million steps: minutes. They need Chromium.
pictures: $(VENV)/.dev
	$(install)
	test -d runs/cheetah || $(BIN)/surefoot train trpo HalfCheetah-v5 --steps 1000000 --out runs/cheetah
	$(BIN)/python docs/pictures.py runs/cheetah

lint: $(VENV)/.dev
	$(install)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Lint, types, and the tests that take minutes together.
test: lint
	$(PYTEST) --durations 20

# The others: they compile much, or look at long runs.
test-rest: lint
	$(PYTEST) --durations 20 -m slow

# All tests.
test-all: lint
	$(PYTEST) --durations 20 -m ""

# What tells most of another version of Python.
test-sample: $(VENV)/.dev
	$(install)
	$(PYTEST) $(SAMPLE)

.venv-%/.done: benchmarks/speed/requirements-%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(@D)/bin/python -m pip install --quiet -r $<
	touch $@

# Speed of whole training loops against the peers', about 45 minutes; goes on where it was stopped.
bench-speed: $(VENV)/.dev .venv-peers/.done .venv-rejax/.done
	$(install)
	$(BIN)/python -m benchmarks.speed run
	$(BIN)/python -m benchmarks.speed table

# A wheel and an sdist in dist/, checked as a package index checks them.
dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/python -m twine check --strict dist/*

# Programs that the tests have compiled.
clean-tests:
	rm -rf .test-cache

clean: clean-tests
	rm -rf .venv .venv-3.* .venv-peers .venv-rejax
