# Two commands from a fresh clone:  make demo,  make test.   PYTHON=python3.12 picks the interpreter.
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv-$(VERSION)
BIN := $(VENV)/bin
OUT ?= runs/demo

.PHONY: demo test test-slow lint types docs clean

demo: $(VENV)/.installed
	$(BIN)/python -m analysis spectrum --data digits --model mlp --activation tanh --n 300 \
	    --augment identity rotation:30 rotation-bilinear:30 flip-crop noise:0.1 noise:0.5 noise:2 \
	    --draws 5 --networks 3 --compare-kernels 20 --overwrite --out $(OUT) $(DEMO_ARGS)

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest -n auto $(TEST_ARGS)

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow $(TEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# The stamps are newer than setup.cfg once an install has succeeded, so a second run installs nothing.
$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "ntk_aug needs Python >= 3.11; $(PYTHON) is $(VERSION). Try PYTHON=python3.12 make ..."; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv-* runs docs/_build .pytest_cache .ruff_cache .mypy_cache *.egg-info
