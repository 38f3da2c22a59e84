# Two commands matter: `make repro` and `make test`. Both set everything up by themselves.
PYTHON ?= python3
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup repro test check quick lint types audit tests coverage slow chaos params bench clean

# Stages and tools are found in the environment first, whatever is activated.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
READY := .venv/.ready

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: $(READY) ## make .venv from pyproject.toml under constraints.txt

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "graftwork: Python 3.11 or later is needed; set PYTHON=..."; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"graftwork: Python 3.11 or later is needed, {v.major}.{v.minor} was found; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --no-warn-script-location --constraint constraints.txt --editable ".[dev]"
	@touch $(READY)

repro: $(READY) ## run the default experiment on real photos and print its result
	@GRAFTWORK_RESULTS=later python -m dvc repro
	@python -m graftwork results --root .

test: check tests ## set up, lint, check types, test

check: lint types ## lint, types, known advisories about the libraries (which fail nothing)
	-@python .ci/audit.py

quick: lint types ## under a minute: lint, types, tests of what changed and the fast core
	OMP_NUM_THREADS=1 python -m pytest -x -m "not slow" -n 2 --dist loadfile $$(python tests/changed.py)

lint: $(READY)
	ruff check .
	ruff format --check .
	lint-imports --no-logo

types: $(READY)
	mypy

audit: $(READY)
	@python .ci/audit.py

tests: $(READY)
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --durations=10 $(ARGS)

coverage: ## the same tests, more than half as long again: which lines they reach; under 90 % it fails
	@$(MAKE) tests ARGS="--cov --cov-fail-under=90"

slow: $(READY) ## tests that take minutes or need a browser
	python -m pytest -m slow

chaos: $(READY) ## kill trainings at random, and see that they go on: make chaos ARGS="--seed 1", or "--fuzz 10"
	OMP_NUM_THREADS=1 PYTHONPATH=src:.:tests python -m faults.chaos $(ARGS)

params: $(READY) ## compose conf/ into params.yaml: make params SET="transfer=linear_probe seed=1"
	python -m pipelines.params $(SET)

bench: $(READY) ## measure the ratios that the README reports
	python -m benchmarks

clean: ## remove what runs made (data, store, results), not the environment
	rm -rf data store model exports reports costs runs run.json mlflow.db* mlartifacts .mlflow.lock .graftwork.* tensorboard dvclive dvc_plots dvc.lock .dvc/cache .dvc/tmp
