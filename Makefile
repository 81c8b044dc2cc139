# Each target works alone on a bare checkout: it makes the virtual environment and installs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Tests and recipes find real data sets here; where the folder is absent they say so and skip.
ifneq ($(wildcard ../shared/data),)
export SECATEURS_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test test-slow bench docs lint format clean

demo: $(STAMP)
	$(BIN)/secateurs demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

bench: $(STAMP)
	$(BIN)/python benchmarks/surgery.py
	$(BIN)/python -m benchmarks.tracing
	$(BIN)/python -m benchmarks.training

# The site of the documentation, in site/; a link that leads nowhere is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs site

# torch first and pinned, so that no later package pulls another build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,plots,export,docs,dev]'
	touch $@
