# One obvious way in. `make help` lists what there is.
#
# PYTHON=/path/to/python3   the interpreter for .venv (default: the first one >= 3.11 on PATH)
# ARGS="..."                more arguments for `make run`, `make test` and `make bench`
# JOBS=n                    how many tests run at once (default: 3; some wait for servers while others compute)
# DOCKER, TAG, PLATFORM_IMAGE, EMBEDDED_IMAGE, BASE_IMAGE, DOCKER_ARGS   of `make images`

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench docs sdks images sbom clean \
	check-lint check-format check-imports check-types check-engine-types check-manifests

PYTHON ?=
ARGS ?=
JOBS ?= 3
BIN := .venv/bin
export PYTHON

# mypy names the modules of test folders after their path, and `trading-engine` cannot be part of such a name;
# so its tests are a run of their own.
SOURCES := $(wildcard libs/*/src services/*/src apps/*/src sdks/python/src)
TESTS := $(shell find $(wildcard libs/*/tests services/*/tests apps/*/tests sdks/*/tests tests benchmarks) sdks/conftest.py -name '*.py' \
	| sed -E 's:^((libs|services|apps|sdks)/[^/]+/tests|sdks/conftest.py|[^/]+)(/.*)?$$:\1:' | sort -u)
ENGINE_TESTS := $(filter services/trading-engine/tests,$(TESTS))

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything into .venv: the platform, its tests, its tools
	@scripts/bootstrap.sh dev

run: ## Start the whole platform with demo data on http://127.0.0.1:8000
	@scripts/bootstrap.sh run
	@exec $(BIN)/nija up --demo --market replay --speed 3600 --host 127.0.0.1 --port 8000 $(ARGS)

test: setup ## Run every test (ARGS="-k word" chooses; Kafka, MongoDB's wire and Stripe's mock are started where they can be)
	@$(BIN)/python -m nija_common.testing.kafka
	@$(BIN)/python -m nija_common.testing.stripe_mock
	@$(BIN)/python scripts/check_manifests.py --tools
	@# Temporary folders lie in memory where there is room: thousands of commits need not wait for a disk.
	@room=$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}'); \
	if [ "$${room:-0}" -gt 4000000 ]; then export PYTEST_DEBUG_TEMPROOT="$${PYTEST_DEBUG_TEMPROOT:-/dev/shm}"; fi; \
	exec $(BIN)/pytest -n $(JOBS) $(ARGS)

check: setup ## Lint, format, types, import directions, Kubernetes manifests (all of them, also after one has failed)
	@$(MAKE) --no-print-directory --keep-going check-lint check-format check-imports check-types check-engine-types \
		check-manifests

check-lint:
	$(BIN)/ruff check .

check-format:
	$(BIN)/ruff format --check .

check-imports:
	$(BIN)/lint-imports --no-logo

check-types:
	$(BIN)/mypy $(SOURCES) $(filter-out $(ENGINE_TESTS),$(TESTS))

check-engine-types:
	$(if $(ENGINE_TESTS),MYPYPATH=services/trading-engine $(BIN)/mypy --cache-dir .mypy_cache/engine $(ENGINE_TESTS))

# Needs Go, once, to build kustomize and kubeconform; without it this says so, and fails in CI.
check-manifests:
	$(BIN)/python scripts/check_manifests.py

format: setup ## Put code into shape: imports, layout
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure: runs every benchmarks/bench_*.py
	@set -- benchmarks/bench_*.py; \
	if [ ! -e "$$1" ]; then echo "There is no benchmark yet: benchmarks/ holds no bench_*.py."; exit 0; fi; \
	for script in "$$@"; do echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

sdks: setup ## Write the generated parts of both SDKs again, from the API document
	@$(BIN)/python -m nija_cli.sdks

docs: setup ## Write what is generated again (API document, events, settings, which test shows what; objectives, dashboards)
	@$(BIN)/python -m nija_cli.documents
	@$(BIN)/python scripts/api_coverage.py
	@$(BIN)/python scripts/slo_rules.py
	@$(BIN)/python scripts/dashboards.py
	@$(BIN)/python scripts/prometheus_rules.py

# As in docker-compose.yml and the Dockerfile; more arguments for `docker build` (a proxy, an index) in DOCKER_ARGS.
DOCKER ?= docker
TAG ?= 0.1.0
PLATFORM_IMAGE ?= nija-platform
EMBEDDED_IMAGE ?= nija-embedded
BASE_IMAGE ?= python:3.11-slim-bookworm
DOCKER_ARGS ?=

images: ## Build the container images nija-platform (any role) and nija-embedded (nija up)
	@set -- --build-arg BASE_IMAGE=$(BASE_IMAGE) --build-arg VERSION=$(TAG) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) $(DOCKER_ARGS); \
	$(DOCKER) build --target platform -t $(PLATFORM_IMAGE):$(TAG) "$$@" .; \
	$(DOCKER) build --target embedded -t $(EMBEDDED_IMAGE):$(TAG) "$$@" .

sbom: setup ## Write dist/sbom.cdx.json: what the images are made of, from the lock file (CycloneDX)
	@mkdir -p dist
	@PATH=$$PATH:$(CURDIR)/.tools/uv/bin uv export --quiet --locked --no-dev --package nija --format cyclonedx1.5 \
		--output-file dist/sbom.cdx.json >/dev/null
	@echo dist/sbom.cdx.json

clean: ## Remove .venv, .tools, caches (not .nija, the data of `make run`)
	rm -rf sdks/typescript/node_modules sdks/typescript/dist .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
