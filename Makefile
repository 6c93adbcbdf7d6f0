# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo-run

.PHONY: install demo docs node test lint types unit clean
install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[train,line,opcua,parquet,heic,cluster,docs,dev]'
	touch $@

demo: install
	$(BIN)/mango-grader demo --out $(DEMO)

# The site, in docs/_build/html; `make test` builds it, too, elsewhere.
docs: install
	$(BIN)/python -m sphinx -q -W --keep-going -n -d docs/_build/doctrees docs docs/_build/html

# What the Node example needs; the test of the example is skipped without it.
node:
	cd examples/node && npm install --no-audit --no-fund

test: lint types unit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

unit: install .servers/.installed
	$(BIN)/pytest -n 2 --dist worksteal

# make bench-peers ARGS="--resume" runs benchmarks/suite/peers.py --resume.
bench-%: install
	$(BIN)/python -m benchmarks.suite.$* $(ARGS)

# What others offer, in an environment of its own: nothing of it is a dependency.
.peers/.installed: benchmarks/lib/peers/requirements.txt benchmarks/lib/peers/constraints.txt | install
	test -x .peers/venv/bin/python || $(PYTHON) -m venv .peers/venv
	$(BIN)/uv pip install --quiet --compile-bytecode --python .peers/venv/bin/python --requirement $< --constraints benchmarks/lib/peers/constraints.txt
	touch $@

bench-peers bench-frozen_features: .peers/.installed

# The server that archives are read from in tests, likewise; without it, these are skipped.
.servers/.installed: tests/servers/requirements.txt tests/servers/constraints.txt | install
	test -x .servers/venv/bin/python || $(PYTHON) -m venv .servers/venv
	$(BIN)/uv pip install --quiet --python .servers/venv/bin/python --requirement $< --constraints tests/servers/constraints.txt
	touch $@

clean:
	rm -rf .venv .servers .peers $(DEMO) dist build docs/_build
