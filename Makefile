# `make demo` and `make test` work on a fresh machine: each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell nproc)
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)

.PHONY: demo demo-null demo-ablations real test lint check smoke lock clean

demo: .venv/ready
	$(BIN)/python -m polychromic.check profiles/demo/study.yaml
	$(SNAKEMAKE) --profile profiles/demo all
	$(BIN)/python -m polychromic.summarize results/demo

demo-null: .venv/ready
	$(SNAKEMAKE) --profile profiles/demo --configfile profiles/demo/study.yaml profiles/demo/null.yaml -- all
	$(BIN)/python -m polychromic.summarize results/demo-null

demo-ablations: .venv/ready
	$(SNAKEMAKE) --profile profiles/demo --configfile profiles/demo/study.yaml profiles/demo/ablations.yaml -- all
	$(BIN)/python -m polychromic.summarize results/demo-ablations

smoke: .venv/ready
	$(SNAKEMAKE) --profile profiles/demo --configfile profiles/demo/study.yaml profiles/demo/smoke.yaml -- all
	$(BIN)/python -m polychromic.summarize results/smoke

check: .venv/ready
	$(BIN)/python -m polychromic.check config.yaml

test: .venv/ready lint
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint --profile profiles/demo

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# Resolve requirements.in afresh; then run `make test`, and commit lock and envs together.
lock:
	rm -rf .venv && $(PYTHON) -m venv .venv && $(BIN)/python -m pip install -r requirements.in
	$(PYTHON) envs/lock.py

clean:
	rm -rf results .snakemake
