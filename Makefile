PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install search test test-all test-bitsandbytes lint types docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

search: install
	$(BIN)/reward-search run --run-dir runs/quick $(if $(wildcard runs/quick),--resume,--preset testbed-quick)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

test: install lint types
	$(BIN)/pytest -n 2

test-all: install lint types
	$(BIN)/pytest -n 2 -m ''

test-bitsandbytes: install
	$(BIN)/python -m pip install --quiet --no-deps --target build/bitsandbytes --constraint constraints.txt bitsandbytes
	PYTHONPATH=build/bitsandbytes $(BIN)/pytest -m bitsandbytes

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
