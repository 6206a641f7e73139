.DEFAULT_GOAL := help
PY := .venv/bin/python
READY := .venv/ready

.PHONY: help study ladder walk test slow check lint type layers bench fmt readme docs notebooks

help:  ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(READY): pyproject.toml constraints.txt
	python3 -m venv .venv
	$(PY) -m pip install -q --no-compile -c constraints.txt torch==2.13.0
	$(PY) -m pip install -q --no-compile -c constraints.txt -e '.[dev]'
	$(PY) -m compileall -qq -j 0 .venv/lib || true  # on all cores, which pip does on one; some files are templates
	touch $(READY)

study: $(READY)  ## The main job: Stage 1 and Stage 2 on the embedded panel, compared, into results/
	.venv/bin/nextday run stage1
	.venv/bin/nextday run stage2
	.venv/bin/nextday run stage7

ladder: $(READY)  ## All seven stages on the embedded panel, and the control (an hour)
	.venv/bin/nextday run all

walk: $(READY)  ## Stage 2 over five test ranges (half an hour)
	.venv/bin/nextday run stage2 --folds 5 --out results/walk_forward

# The processes of tests start in two thirds of the time where modules are compiled once.
test slow: export PYTHONDONTWRITEBYTECODE =

test: $(READY)  ## Fast tests
	$(PY) -m pytest -n auto --dist worksteal

slow: $(READY)  ## Slow tests: simulations, long runs
	$(PY) -m pytest -n auto -m slow

check: lint type layers test  ## What CI runs

lint: $(READY)  ## Format, style, likely bugs, docstrings
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

type: $(READY)  ## Static types
	$(PY) -m mypy

layers: $(READY)  ## No package imports one to its right
	.venv/bin/lint-imports

bench: $(READY)  ## What is claimed about speed, against the commit before and a plain sequential loop
	$(PY) benchmarks/before.py
	$(PY) benchmarks/bench.py

fmt: $(READY)  ## Format and sort imports
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

readme: $(READY)  ## Bring results/ into docs/ and the figures of README.md
	$(PY) docs/generate.py --from results

docs: $(READY)  ## The documentation, into build/site; needs no network
	$(PY) docs/generate.py
	$(PY) -m sphinx -W --keep-going -q -b html docs build/site
	@echo build/site/index.html

notebooks: $(READY)  ## Run the notebooks of examples/ and the examples of the pages again, and store their output
	$(PY) examples/execute.py
	$(PY) docs/pages.py --write docs/*.md
