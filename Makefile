# The menu. `make` alone lists it.

PYTHON_BIN := .venv/bin/python
RUN := .venv/bin
CODE := pipeline spiders workers deploy tests

# Test servers started by `make services` that still answer; addresses set by hand stay as they are.
WITH_SERVICES = eval "$$($(PYTHON_BIN) -m deploy.services addresses)";
# Much of a test's time is waiting for processes: three at a time on two cores. 0 tests in this process, for a debugger.
TEST_PROCESSES ?= 3
PYTEST = $(RUN)/pytest -n $(TEST_PROCESSES) $(PYTEST_ARGS)
# Libraries are compiled when first used, and kept. Where that is forbidden every process would compile them anew:
# a command that takes 1.2 s takes 3.4, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test check lint types imports docstrings settings-check coverage format services services-stop \
	settings-reference openapi api-fuzz lock bench bench-crawl bench-embed bench-retrieve bench-recrawl bench-ticks bench-api bench-training isolation plot-revisits evaluate chaos fuzz clean

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## build .venv/ from the locked dependencies (no root needed)
	@deploy/setup/setup.sh

demo: setup ## crawl the sample site and ask it five questions (URL=https://… for another site)
	@$(PYTHON_BIN) -m deploy.demo $(if $(URL),'$(URL)')

services: setup ## start PostgreSQL, Redis and Qdrant for the tests, and bring a browser (containers, else native)
	@$(PYTHON_BIN) -m deploy.services start

services-stop: ## stop them and delete what they kept
	@[ ! -x $(PYTHON_BIN) ] || $(PYTHON_BIN) -m deploy.services stop

test: setup ## the whole test suite; what lacks a server is named at the end (PYTEST_ARGS="-k word")
	@$(WITH_SERVICES) $(PYTEST)

check: setup lint types imports docstrings settings-check coverage ## all that CI does: style, types, imports, docs, tests, coverage

lint: setup ## style: ruff, all rules
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: setup ## types: mypy, strict, tests included
	$(RUN)/mypy

imports: setup ## architecture: which part may import which
	$(RUN)/lint-imports --no-logo

docstrings: setup ## every public thing says what it is
	$(RUN)/interrogate --quiet pipeline spiders workers deploy

settings-check: setup ## the settings reference is what the code says
	$(PYTHON_BIN) -m deploy.setup.settings_reference --check

coverage: setup ## the test suite again, measured: at least 90 % of lines and of branches of pipeline/
	@rm -f .coverage .coverage.*
	@$(WITH_SERVICES) $(PYTEST) --cov --cov-report=
	@$(PYTHON_BIN) -m deploy.setup.coverage_floor

format: setup ## lay the code out
	$(RUN)/ruff check --fix-only --quiet .
	$(RUN)/ruff format .

settings-reference: setup ## write deploy/settings.md from the code
	$(PYTHON_BIN) -m deploy.setup.settings_reference

openapi: setup ## write deploy/openapi.json, the HTTP API's document, from the code
	$(PYTHON_BIN) -m deploy.setup.openapi

lock: setup ## resolve the dependencies anew and lock them by hash
	$(PYTHON_BIN) -m deploy.setup.lock

bench: setup ## crawl to answer, beside the same from stock parts (ARGS="--pages 100"; SITEWISE_EVAL_DATA adds a site)
	$(PYTHON_BIN) -m tests.benchmarks $(ARGS)

bench-crawl: setup build/crawlee ## crawling, beside Scrapy and crawlee (ARGS="--rounds 1 --site sample"; SITEWISE_EVAL_DATA adds sites)
	$(PYTHON_BIN) -m tests.benchmarks.crawl --peer-python build/crawlee/bin/python $(ARGS)

build/crawlee: # an environment of its own: what is only compared with is nobody's dependency
	$(PYTHON_BIN) -m venv $@.part
	$@.part/bin/python -m pip install --quiet --disable-pip-version-check 'crawlee[parsel]==1.11.0'
	@mv $@.part $@

bench-retrieve: setup build/llama_index ## a whole briefing by size and callers, beside LlamaIndex (ARGS="--chunks 10000 --orgs 100")
	$(WITH_SERVICES) $(PYTHON_BIN) -m tests.benchmarks.retrieve --peer-python build/llama_index/bin/python $(ARGS)

build/llama_index: # as above
	$(PYTHON_BIN) -m venv $@.part
	$@.part/bin/python -m pip install --quiet --disable-pip-version-check 'llama-index-core==0.14.25'
	@mv $@.part $@

bench-embed: setup ## embedding, beside stock sentence-transformers
	$(PYTHON_BIN) -m tests.benchmarks.embed $(ARGS)

bench-api: setup ## the HTTP API under load, beside the retrieval module alone (ARGS="--seconds 2 --connections 1 16")
	$(PYTHON_BIN) -m tests.benchmarks.api $(ARGS)

bench-training: setup ## writing, publishing and linting scenarios over HTTP (ARGS="--scenarios 10 100 --lint 200")
	$(PYTHON_BIN) -m tests.benchmarks.training $(ARGS)

isolation: setup ## tenants that ask for each other's, 10,000 times each way (ARGS="--calls 1000 --seed 2")
	$(PYTHON_BIN) -m tests.hostile.isolation $(ARGS)
	$(PYTHON_BIN) -m tests.hostile.cross_org $(ARGS)

bench-recrawl: setup ## the CPU of crawling again what did not change, beside the first crawl's (ARGS="--pages 1200"; SITEWISE_EVAL_DATA)
	$(PYTHON_BIN) -m tests.benchmarks.recrawl $(ARGS)

bench-ticks: setup ## the SQL of every tick, claim and scrape, beside a million pages in PostgreSQL (ARGS="--keep --pages 100000")
	@$(WITH_SERVICES) $(PYTHON_BIN) -m tests.benchmarks.ticks $(ARGS)

plot-revisits: setup ## a year of looks at pages by dates of their own, beside one date for all, as a plot for decision 0087
	$(PYTHON_BIN) -m tests.benchmarks.revisits $(ARGS)

evaluate: setup ## quality of texts and answers on the evaluation sets (SITEWISE_EVAL_DATA names their folder)
	$(PYTHON_BIN) -m tests.evaluation $(ARGS)

chaos: setup ## a large crawl through every storm, on servers of its own (ARGS="kills --pages 2000 --seed 7"; root for `disk`)
	$(PYTHON_BIN) -m tests.chaos $(ARGS)

fuzz: setup ## feed the parsers anything, a minute each (ARGS="urls --seconds 600"; with atheris installed, led by coverage)
	$(PYTHON_BIN) -m tests.fuzz $(ARGS)

api-fuzz: setup ## ask a served API anything its document allows and forbids, at least 10,000 times (ARGS="--examples 100")
	$(PYTHON_BIN) -m tests.fuzz.api $(ARGS)

clean: services-stop ## remove what builds, tests and demos left; keep .venv/
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage .coverage.* *.egg-info
