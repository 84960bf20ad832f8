# Everything here needs Python (3.11.5 or newer) and make; the first target you run sets up .venv.
#
#   make train ARGS="--preset digits --steps 500"     arguments for the program behind a target
#   make test  PYTHON=python3.13                      another interpreter to set up .venv with

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Silences the theme's notice that it ends in 2027; the plugins in mkdocs.yml are chosen for that.
export NO_MKDOCS_2_WARNING := 1
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup train test prove mutants bugs fuzz vectors peers docs docs-test zensical render pictures serve lint lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## set up .venv with the known-good versions

$(INSTALLED): pyproject.toml constraints.txt requirements-dev.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11, 5) or sys.exit("Python 3.11.5 or newer is needed; $(PYTHON) is %d.%d.%d. Name another one: make PYTHON=python3.13" % v[:3])'
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) -c constraints.txt torch
	$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

train: $(INSTALLED) ## train, sample and score a DDPM on real digits
	$(BIN)/python -m ddpm_ref.train $(ARGS)

test: $(INSTALLED) ## hold the code to the proved expressions
	$(BIN)/python -m pytest $(ARGS)

prove: $(INSTALLED) ## decide every claim and print the table
	$(BIN)/python -m derivations $(ARGS)

mutants: $(INSTALLED) ## change the mathematics one place at a time and see a test fail; hours for all
	$(BIN)/python checks/mutants.py $(ARGS)

bugs: $(INSTALLED) ## make the mistakes that were made in public and see the tests fail
	$(BIN)/python checks/bugs.py $(ARGS)

fuzz: $(INSTALLED) ## draw wrong input for every boundary
	$(BIN)/python checks/fuzz.py $(ARGS)

PEERS := monai labml-nn denoising-diffusion-pytorch

peers: ## check other implementations, in .venv-peers, and write the page about them
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -c constraints-peers.txt -e '.[peers]' $(PEERS)
	@missing=; for peer in reference original diffusers $(PEERS); do \
	  echo "$$peer"; \
	  .venv-peers/bin/python -W ignore -m ddpm_ref.conformance $$peer --summary docs/conformance/results/$$peer.json >/dev/null; \
	  [ $$? -le 1 ] || missing="$$missing $$peer"; \
	done; \
	.venv-peers/bin/python -m ddpm_ref.conformance.matrix docs/conformance || exit 1; \
	[ -z "$$missing" ] || { echo "Not checked, and kept as they were:$$missing" >&2; exit 1; }

vectors: $(INSTALLED) ## write the conformance vectors anew
	$(BIN)/python -m derivations.vectors

docs: $(INSTALLED) ## check the generated pages and build the site into site/
	$(BIN)/python -m derivations.proof.render --check
	$(BIN)/python docs/runs/write.py --check
	$(BIN)/python docs/pictures/draw.py --check
	$(BIN)/python -m derivations.vectors --check
	$(BIN)/python -m derivations.proof.export --check
	$(BIN)/python -m ddpm_ref.conformance.matrix docs/conformance --check
	@for check in mutants bugs faults fuzz numerics dependencies source; do \
	  $(BIN)/python checks/$$check.py --check || exit 1; \
	done
	$(BIN)/python -m derivations.proof.site

docs-test: $(INSTALLED) ## read the built site in headless Chromium, from disk, with the network off
	$(BIN)/python -m pytest -rs -m browser tests/test_browser.py tests/test_site.py $(ARGS)

# The theme's authors' next generator reads the same mkdocs.yml; nothing here depends on it.
zensical: ## build the site with zensical, in an environment of its own, into site/
	$(PYTHON) -m venv .venv-zensical
	.venv-zensical/bin/python -m pip install --quiet --disable-pip-version-check zensical==0.0.73 mkdocstrings==1.0.8 mkdocstrings-python==2.0.11
	.venv-zensical/bin/zensical build -f mkdocs.yml

render: $(INSTALLED) ## write docs/derivations/ anew from the chapters
	$(BIN)/python -m derivations.proof.render

pictures: $(INSTALLED) ## draw the site's pictures and write the page of runs anew
	$(BIN)/python docs/runs/write.py
	$(BIN)/python docs/pictures/draw.py

serve: $(INSTALLED) ## show the site at http://127.0.0.1:8000 while you edit
	$(BIN)/python -m mkdocs serve

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

lock: ## pin and hash anew what `make setup` installs, and read the licences
	$(BIN)/python checks/lock.py
	$(BIN)/python checks/dependencies.py

clean: ## remove what these targets made, except runs/
	rm -rf .venv .venv-peers .venv-zensical site dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
