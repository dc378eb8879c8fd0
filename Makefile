# The two commands of the README: `make demo` and `make test`. Both need Python >= 3.11 and nothing
# else; they work in a virtual environment of their own, .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo

.PHONY: demo test lint clean

# pip's work is repeated only when pyproject.toml changed.
$(VENV)/.mujoco: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[mujoco]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.mujoco

# Train TRPO on HalfCheetah-v5 (MuJoCo) for 1,000,000 steps, then evaluate the policy.
demo: $(VENV)/.mujoco
	$(BIN)/surefoot train trpo HalfCheetah-v5 --steps 1000000 --out $(RUN)
	$(BIN)/surefoot evaluate $(RUN)
	@echo "the run lies in $(RUN)"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Lint, types, and all tests.
test: lint
	$(BIN)/python -m pytest --numprocesses 2

clean:
	rm -rf $(VENV)
