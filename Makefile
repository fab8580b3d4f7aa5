# `make setup` once (the others do it by themselves), `make demo` to see everything, `make test` and `make check` before a commit.
PYTHON ?= python3
BIN := .venv/bin
SEEDS ?= 10000
STAMP := .venv/.installed

.PHONY: setup demo demo-kafka demo-flink test test-ksqldb simulate check clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m ashioto.cli.demo

demo-kafka: $(STAMP)
	$(BIN)/python -m ashioto.cli.demo_kafka

demo-flink: $(STAMP)
	$(BIN)/python -m ashioto.cli.demo_flink

test: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist worksteal -q -m "not alone" --cov=ashioto --cov-report=
	$(BIN)/python -m pytest -q -m alone --cov=ashioto --cov-append --cov-report=term:skip-covered --cov-fail-under=90

test-ksqldb: $(STAMP)
	ASHIOTO_TEST_KSQLDB="$(URL)" ASHIOTO_TEST_BOOTSTRAP="$(BOOTSTRAP)" ASHIOTO_TEST_REGISTRY="$(REGISTRY)" \
	$(BIN)/python -m pytest -q -rs tests/integration/test_ksqldb_server.py

simulate: $(STAMP)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

check: $(STAMP)
	scripts/check

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist demo-out bench-out
