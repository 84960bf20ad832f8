# Everything here needs Python (3.11 or newer) and make; the first target you run sets up .venv.
#
#   make train ARGS="--preset digits --steps 500"     arguments for the program behind a target
#   make test  PYTHON=python3.13                      another interpreter to set up .venv with

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# Silences the theme's notice that it ends in 2027; the plugins in mkdocs.yml are chosen for that.
export NO_MKDOCS_2_WARNING := 1
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup train test prove docs render serve lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## set up .venv with the known-good versions

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed; $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.13" % v[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@

train: $(INSTALLED) ## train, sample and score a DDPM on real digits
	$(BIN)/python -m ddpm_ref.train $(ARGS)

test: $(INSTALLED) ## hold the code to the proved expressions
	$(BIN)/python -m pytest $(ARGS)

prove: $(INSTALLED) ## decide every claim and print the table
	$(BIN)/python -m derivations $(ARGS)

docs: $(INSTALLED) ## check the generated pages and build the site into site/
	$(BIN)/python -m derivations.proof.render --check
	$(BIN)/python -m mkdocs build --strict

render: $(INSTALLED) ## write docs/derivations/ anew from the chapters
	$(BIN)/python -m derivations.proof.render

serve: $(INSTALLED) ## show the site at http://127.0.0.1:8000 while you edit
	$(BIN)/python -m mkdocs serve

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

clean: ## remove what these targets made, except runs/
	rm -rf .venv site dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
