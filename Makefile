# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo-run

.PHONY: install demo test lint types unit bench-mangoes bench-speed bench-latency clean
install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[train,parquet,dev]'
	touch $@

demo: install
	$(BIN)/mango-grader demo --out $(DEMO)

test: lint types unit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

unit: install
	$(BIN)/pytest -n 2 --dist worksteal

bench-mangoes: install
	$(BIN)/python benchmarks/mangoes.py --jobs 2

bench-speed: install
	$(BIN)/python benchmarks/search_speed.py

bench-latency: install
	$(BIN)/python benchmarks/latency.py

clean:
	rm -rf .venv $(DEMO) dist build
