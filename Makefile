# The two commands of the README: `make demo` and `make test`. Both need Python >= 3.11 and nothing
# else; they work in a virtual environment of their own, .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: demo test lint clean

# Dependencies are installed again only when pyproject.toml changed; the package itself every time,
# so that what runs and what is tested is the installed package.
$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet '.[mujoco]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet '.[dev]'
	touch $@ $(VENV)/.demo

define install
$(BIN)/python -m pip install --quiet --no-deps --force-reinstall .
endef

# Train TRPO on HalfCheetah-v5 (MuJoCo) for 1,000,000 steps, then evaluate the policy.
demo: $(VENV)/.demo
	$(install)
	$(BIN)/surefoot train trpo HalfCheetah-v5 --steps 1000000 --out $(RUN)
	$(BIN)/surefoot evaluate $(RUN)
	@echo "the run lies in $(RUN)"

lint: $(VENV)/.dev
	$(install)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Lint, types, and all tests.
test: lint
	$(BIN)/pytest --numprocesses 2 --dist loadgroup

clean:
	rm -rf $(VENV)
