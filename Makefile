# Two commands matter: `make demo` and `make test`. Everything sets itself up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 4
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: demo up image compose-secrets test check testbed conformance faults bench proto clean

demo: $(VENV)/.runs ## SmartCity on two clusters; EDGE= and CLOUD= name kubeconfigs of real ones, KEEP=1 leaves it running
	@$(BIN)/emco demo $(if $(EDGE),--edge $(EDGE)) $(if $(CLOUD),--cloud $(CLOUD)) $(if $(KEEP),--keep)

up: $(VENV)/.runs ## every service in one process, data in ./data
	$(BIN)/emco up

image: ## the container image emco:<version>, for the chart and docker compose; BASE= names another base
	docker build --file deploy/Dockerfile --tag emco:$(VERSION) --build-arg VERSION=$(VERSION) \
	  --build-arg EMCO_META_EMCO_SHA=$$(git rev-parse HEAD) $(if $(BASE),--build-arg BASE=$(BASE)) .

compose-secrets: ## what docker-compose.yaml needs to know, made once in deploy/compose/secrets
	@deploy/compose/secrets.sh

test: $(VENV)/.tests check ## all checks and tests; suites on real servers run where `make testbed` has built them
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup

check: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check -q .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

testbed: $(VENV)/.tests ## builds a real Kubernetes control plane, KWOK and Helm once (minutes), cached outside this folder
	$(BIN)/python tests/testbed/build.py $(if $(CI),--require)

conformance: $(VENV)/.tests ## docs/conformance.md anew: which test shows which operation, transition and error row
	rm -rf .conformance
	EMCO_CONFORMANCE=.conformance $(BIN)/pytest -q -n $(WORKERS) --dist loadgroup tests/api tests/conformance --deselect tests/conformance/test_page.py
	$(BIN)/python -m tests.conformance .conformance

faults: $(VENV)/.tests ## docs/faults.md anew: which test shows which line of the robustness list
	$(BIN)/python -m tests.support.robustness

bench: $(VENV)/.tests ## what there is to measure, a line each; ONLY=fanout runs one, ONLY=all every one
	@$(BIN)/python -m bench $(ONLY)

proto: $(VENV)/.tests ## stubs of the gRPC contracts and messages of etcd
	cd common && ../$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. emco_common/rpc/*.proto
	cd common && ../$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. emco_common/contextbus/etcd/etcd_v3.proto

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "EMCO needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: pyproject.toml | $(VENV)/bin/python
	@echo "setting up (once): EMCO and what it needs" && $(BIN)/pip install -q --disable-pip-version-check -e . && touch $@

$(VENV)/.tests: pyproject.toml | $(VENV)/bin/python
	@echo "setting up (once): EMCO, its checks and test servers" && $(BIN)/pip install -q --disable-pip-version-check -e '.[test,check]' && touch $@ $(VENV)/.runs
