# `make` shows what there is.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
SAM := .local/sam/bin/sam

.PHONY: help setup dev stop package

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## install what the project needs, into .venv

.venv/.installed: pyproject.toml constraints.txt
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(PYTHON) || python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	touch $@

dev: setup ## the local AWS with the project on it; DETACH=1 returns when it is ready, ALLOW=host:port lets http_request there
	@exec $(PYTHON) -m infrastructure.local up $(if $(DETACH),--detach) $(foreach host,$(ALLOW),--allow $(host))

stop: ## end what `make dev DETACH=1` started
	@exec $(PYTHON) -m infrastructure.local stop

package: setup $(SAM) ## the functions' archives, as they are deployed to AWS
	SAM_CLI_TELEMETRY=0 $(SAM) build --build-in-source
	$(PYTHON) -m infrastructure.package table .aws-sam/build

$(SAM): infrastructure/package/sam-constraints.txt
	python3 -m venv .local/sam
	.local/sam/bin/python -m pip install --quiet --disable-pip-version-check -c $< aws-sam-cli
	touch $@

# What `sam build` calls for each function (BuildMethod: makefile).
build-%:
	$(PYTHON) -m infrastructure.package build $* "$(ARTIFACTS_DIR)"
