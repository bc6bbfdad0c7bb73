# make repro · make test · make check; each makes the virtual environment first, if need be.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
SAGEMAKER := $(VENV)/ready-sagemaker
BENCH := .venv-bench
# The address of an index of CPU builds of torch; empty: the usual build, with CUDA on Linux.
TORCH_INDEX ?=
# Of the experiment that `make quick` runs.
NAME := quick
# One process a core. Consecutive tests share what is costly to make, so they go to the same process; an idle one takes some.
PYTEST := python -m pytest -n logical --dist worksteal
TORCH := $(shell grep -E '^torch(vision)?==' requirements.lock)

export PATH := $(CURDIR)/$(BIN):$(PATH)
# DVC starts stages through the shell that the environment names, and asks for the user's name and home. A container may
# name a shell that refuses to start anything, and have a user without name and home.
export SHELL
# Names of files are UTF-8, whatever the locale says.
export PYTHONUTF8 := 1
ifeq ($(USER)$(LOGNAME),)
export USER := user-$(shell id -u)
endif
ifeq ($(HOME),)
export HOME := $(CURDIR)/.dvc/tmp
endif
# The programs of $(BIN) run as Python modules: once the folder has moved, their own names no longer work.
DVC := python -m dvc
NO_GIT := DVC works in a git repository, and this folder is none: git init && git add -A && git commit -m Start

.PHONY: help venv sagemaker repro quick runs jobs prune reference reference-report readme conform compare same-bytes test test-fast check check-params times bench bench-accuracy bench-scaling lock

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

venv: $(READY) ## Make the virtual environment .venv with the pinned packages

$(READY): requirements.lock requirements-cuda.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and f"Python 3.11.4 or later is needed, since older ones unpack archives without a check, and $(PYTHON) is {sys.version.split()[0]}: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH_INDEX),)
	$(BIN)/python -m pip install --quiet --progress-bar off --disable-pip-version-check -r requirements.lock -r requirements-cuda.lock
else
	$(BIN)/python -m pip install --quiet --progress-bar off --disable-pip-version-check --index-url $(TORCH_INDEX) $(TORCH)
	$(BIN)/python -m pip install --quiet --progress-bar off --disable-pip-version-check -r requirements.lock
endif
	@touch $@

sagemaker: $(SAGEMAKER) ## Install what SageMaker needs in addition, and its stand-in for the tests

$(SAGEMAKER): $(READY) requirements-sagemaker.lock
	$(BIN)/python -m pip install --quiet --progress-bar off --disable-pip-version-check -r requirements-sagemaker.lock
	@touch $@

repro: $(READY) ## Make everything that is not up to date, to the report in data/report/
	@test -e .git || git rev-parse --git-dir > /dev/null 2>&1 || { echo "$(NO_GIT)"; exit 1; }
	$(DVC) repro
	@python -m stages.tools.times
	@echo "The report: data/report/index.html and data/report/report.pdf"

quick: $(READY) ## A smoke run with the quick protocol, beside your results; its report in data/quick/: NAME=… names it
	$(DVC) exp run --temp --force --name $(NAME) --set-param protocol=quick
	@rm -rf data/quick
	@$(DVC) get --quiet . data/report --rev $(NAME) --out data/quick
	@echo "The report: data/quick/index.html and data/quick/report.pdf"

runs: $(READY) ## Say which runs are finished and what they reached: make runs V="cnn kernel_5" for single variants
	@python -m stages.tools.run_list $(V)

jobs: $(SAGEMAKER) ## Show the jobs on SageMaker that are to be made, and their price; ARGS=stop, cost or retry
	@python -m stages.cloud $(or $(ARGS),plan)

prune: $(READY) ## Remove the finished runs used longest ago from the store: make prune GB=2 (default: what compute.yaml says)
	@python -m stages.tools.prune $(GB)

reference-report: $(READY) ## Render the report of the published results in data/reference/, without training: make reference-report P=default
	@python -m stages.tools.reference report $(P)

readme: $(READY) ## Write the README's answer and its picture from data/reference/
	@python -m stages.tools.reference readme

conform: $(READY) ## Say whether what was trained here agrees with the published results
	@python -m stages.tools.reference conform $(P)

reference: $(READY) ## Make the published results that are missing, hours of it: make reference P=replication
	@python -m stages.tools.reference make $(P)

compare: $(READY) ## Set experiments or git revisions side by side: make compare A=… B=… (HEAD and workspace); FORMAT=markdown
	@python -m stages.tools.compare $(or $(A),$(if $(B)$(C),HEAD)) $(B) $(C) $(if $(FORMAT),--format $(FORMAT))

same-bytes: $(SAGEMAKER) ## Train a protocol here and in jobs over a stand-in for AWS, and compare every byte: make same-bytes P=default
	PYTHONPATH=. python tests/same_bytes.py $(or $(P),quick)

test: $(SAGEMAKER) ## Run every test, on all cores
	$(PYTEST) --durations=20

test-fast: $(READY) ## Run the tests that take seconds
	$(PYTEST) -m "not slow"

check: $(SAGEMAKER) ## Lint, formats, types, dead links, then every test
	python -m ruff check .
	python -m ruff format --check .
	python -m mypy
	python tests/links.py
	$(PYTEST)

check-params: $(READY) ## Say what is wrong with params.yaml or hypotheses.yaml, or nothing
	@python -m stages.check

times: $(READY) ## What each stage took when it last ran here
	@python -m stages.tools.times

bench: $(BENCH)/ready ## Images trained a second, beside PyTorch's loop, Lightning and Keras: make bench ARGS="--rounds 3"
	@$(DVC) repro --quiet download
	@python -m bench $(ARGS)

bench-accuracy: $(READY) ## Seconds to the accuracy of a published loop, beside that loop; takes half an hour or more
	@$(DVC) repro --quiet download
	@python -m bench.accuracy $(ARGS)

bench-scaling: $(READY) ## What make repro costs as variants are added; takes long
	@python -m bench.scaling $(ARGS)

# It sees what .venv has, so that everybody runs on the same torch.
$(BENCH)/ready: $(READY) bench/requirements.lock
	$(BIN)/python -m venv $(BENCH)
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > $$($(BENCH)/bin/python -c "import site; print(site.getsitepackages()[0])")/venv.pth
	$(BENCH)/bin/python -m pip install --quiet --progress-bar off --disable-pip-version-check --no-deps -r bench/requirements.lock
	@touch $@

lock: ## Pin what pyproject.toml asks for (needs uv); what is pinned stays, unless UPGRADE=--upgrade
	cat requirements.lock requirements-cuda.lock requirements-sagemaker.lock > all.tmp # uv keeps what the file has
	cp all.tmp lock.tmp
	cat requirements.lock bench/requirements.lock > bench.tmp
	uv pip compile pyproject.toml $(UPGRADE) --extra dev --extra sagemaker --extra sagemaker-dev --universal --python-version 3.11 --no-header --no-annotate --quiet --output-file all.tmp
	uv pip compile pyproject.toml $(UPGRADE) --extra dev --universal --python-version 3.11 --no-header --no-annotate --quiet --constraint all.tmp --output-file lock.tmp
	(echo "# The CUDA side of torch on Linux. \`make lock\` writes this file."; grep -E '^(nvidia|cuda|triton)' lock.tmp) > requirements-cuda.lock
	(echo "# Every version that the project runs on. \`make lock\` writes this file from pyproject.toml."; grep -vE '^(nvidia|cuda|triton)' lock.tmp) > requirements.lock
	(echo "# What SageMaker needs beside these, and its tests. \`make lock\` writes this file."; grep -vxFf lock.tmp all.tmp) > requirements-sagemaker.lock
	uv pip compile bench/requirements.in $(UPGRADE) --constraint requirements.lock --universal --python-version 3.11 --no-header --no-annotate --quiet --output-file bench.tmp
	(echo "# What the bench needs beside these. \`make lock\` writes this file from requirements.in."; grep -vxFf lock.tmp bench.tmp | grep -vE '^(nvidia|cuda|triton)') > bench/requirements.lock
	rm lock.tmp all.tmp bench.tmp
