# Two commands matter to a newcomer: make run, make test. The others serve whoever works on the project.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUPPLY := build/supply
PARTS := chassis services/collector services/analyzer services/casework services/notifier gateway clients/python cli deploy/local
PROTOS := $(shell find protos -name '*.proto' -not -path '*/build/*')

.PHONY: setup run test check chaos strain-casework bench-pipeline bench-answers bench-bursts bench-casework bench-collector bench-forecast bench-gateway bench-idle bench-import bench-scale bench-search bench-topics docs-pictures protos-breaking protos-docs protos-keep stubs lock
.PHONY: audit client-types sbom

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

run: setup ## PORT=8080 SAMPLES=1 DATABASE=sqlite|postgres VAR=var
	@PORT='$(PORT)' SAMPLES='$(SAMPLES)' DATABASE='$(DATABASE)' VAR='$(VAR)' $(BIN)/python -m huiyin_local

test: setup check ## style, types, seams and every test but the slow suites
	@$(BIN)/pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile --no-loadscope-reorder

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

chaos: setup ## kills processes at random in mid-import, TIMES=100
	@TIMES=$(or $(TIMES),100) $(BIN)/pytest -m chaos tests/e2e

strain-casework: setup ## fifty clients act on the same twenty cases for DURATION=60 seconds, on both databases
	@DURATION=$(or $(DURATION),60) $(BIN)/pytest -q -s -p no:logging tests/integration/casework/test_casework_at_once.py

fuzz-raw: setup ## malformed requests on raw sockets, REQUESTS=10000; and the end of 1,000 streams
	@REQUESTS=$(or $(REQUESTS),10000) $(BIN)/pytest -m fuzz tests/integration/gateway/test_gateway_raw.py

fuzz-http: setup ## requests drawn from the OpenAPI document, MINUTES=20
	@MINUTES=$(or $(MINUTES),20) $(BIN)/pytest -m fuzz tests/e2e/test_document.py

bench-pipeline: setup ## the whole path on real texts; EVAL_DATA= names a folder with messages.xlsx
	@$(BIN)/python -m bench.pipeline

bench-answers: setup ## how well past answers are found; EVAL_DATA= names a folder with replies.csv
	@$(BIN)/python -m bench.answers

bench-bursts: setup ## how soon bursts are alarmed, and how often falsely
	@$(BIN)/python -m bench.bursts

bench-casework: setup ## steps of cases a second on both databases, and lists of ROWS=100000 open cases
	@ROWS=$(or $(ROWS),100000) $(BIN)/python -m bench.casework

bench-events: setup ## how well and how fast posts are joined to events; EVAL_DATA= names a folder with messages.xlsx
	@$(BIN)/python -m bench.events

bench-collector: setup ## visits of FEEDS=2000 feeds beside bare httpx and feedparser, first ones and unchanged ones
	@FEEDS=$(or $(FEEDS),2000) $(BIN)/python -m bench.collector

bench-forecast: setup ## back-test of the forecast of 24 hours; EVAL_DATA= as above
	@$(BIN)/python -m bench.forecast

bench-gateway: setup ## requests a second beside a bare Starlette handler, and the stream to CLIENTS=1000
	@$(BIN)/python -m bench.gateway

bench-idle: setup ## what SOURCES=10000 sources cost while none is due
	@SOURCES=$(or $(SOURCES),10000) $(BIN)/python -m bench.idle

bench-import: setup ## memory and speed of imports of ROWS=1000000 rows, and of workbooks of a tenth of them
	@ROWS=$(or $(ROWS),1000000) $(BIN)/python -m bench.imports

bench-scale: setup ## what a post costs among 1,000, 10,000 and 100,000 live events
	@$(BIN)/python -m bench.scale

bench-search: setup ## queries of ten kinds over ROWS=1000000 posts
	@ROWS=$(or $(ROWS),1000000) $(BIN)/python -m bench.search

bench-topics: setup ## how well a trained model tells topics; EVAL_DATA= names a folder with labelled.csv
	@$(BIN)/python -m bench.topics

docs-pictures: setup ## takes one case from end to end and writes what it showed into docs/casework.md; needs chromium
	@$(BIN)/python docs/pictures/draw.py

protos-breaking: setup ## says what would break users of the last release, or of what was kept before there is one
	@$(BIN)/python protos/contracts.py breaking

protos-keep: setup ## takes the contracts as they are for what may not break
	@$(BIN)/python protos/contracts.py keep

client-types: setup ## writes the types of the Python client from the contracts
	@$(BIN)/python clients/python/shapes.py

protos-docs: setup ## writes the reference of the contracts to docs/reference
	@$(BIN)/python protos/contracts.py docs

stubs: $(VENV)/.stubs

$(SUPPLY)/.tools: deploy/supply/requirements.txt
	@$(PYTHON) -m venv $(SUPPLY)/tools
	@$(SUPPLY)/tools/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

audit: $(SUPPLY)/.tools ## says which pinned packages have known weaknesses; asks pypi.org
	@$(SUPPLY)/tools/bin/python deploy/supply/audit.py requirements.txt deploy/supply/requirements.txt

sbom: $(SUPPLY)/.tools ## writes the bill of materials of all that runs, as CycloneDX, to build/sbom.cdx.json
	@rm -rf $(SUPPLY)/installed && $(PYTHON) -m venv --without-pip $(SUPPLY)/installed
	@PIP_CONSTRAINT=requirements.txt $(SUPPLY)/tools/bin/pip --python $(SUPPLY)/installed/bin/python install --quiet \
		--disable-pip-version-check ./protos $(addprefix ./,$(PARTS))
	@$(SUPPLY)/tools/bin/cyclonedx-py environment $(SUPPLY)/installed/bin/python --pyproject deploy/supply/pyproject.toml \
		--output-reproducible --validate --output-file build/sbom.cdx.json
	@echo "build/sbom.cdx.json has the bill of materials"

lock: ## resolve the requirements.txt anew from the requirements.in beside them
	@$(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet uv
	@build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate requirements.in -o requirements.txt
	@build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		-c requirements.txt deploy/supply/requirements.in -o deploy/supply/requirements.txt
