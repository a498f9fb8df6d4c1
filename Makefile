# Two commands matter to a newcomer: make run, make test. The others serve whoever works on the project.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARTS := chassis services/collector services/analyzer services/casework services/notifier gateway cli
PROTOS := $(shell find protos -name '*.proto' -not -path '*/build/*')

.PHONY: setup stubs lock

setup: $(VENV)/.stubs $(VENV)/.parts

$(VENV)/.requirements: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Huiyin needs Python 3.11 or newer; set PYTHON= to one.")'
	@echo "Setting up .venv (the first time takes a minute or two) …"
	@$(PYTHON) -m venv $(VENV) || { echo "The virtual environment cannot be made; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.stubs: $(VENV)/.requirements $(PROTOS) protos/pyproject.toml protos/hatch_build.py
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall ./protos
	@touch $@

$(VENV)/.parts: $(VENV)/.requirements $(addsuffix /pyproject.toml,$(PARTS))
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps $(addprefix -e ./,$(PARTS))
	@touch $@

stubs: $(VENV)/.stubs

lock: ## resolve requirements.txt anew from requirements.in
	@$(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet uv
	@build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate requirements.in -o requirements.txt
