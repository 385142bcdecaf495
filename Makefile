# Two commands: `make demo` and `make test`. Each sets itself up in .venv; only Python 3.11+ and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check format bench lock clean

demo: $(VENV)/run.stamp
	$(BIN)/calibar demo demo

test: $(VENV)/dev.stamp
	sh tools/debian-packages chromium litecoind soffice:libreoffice-calc-nogui
	VENV=$(VENV) sh tools/npm-packages
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench

lock: # needs uv
	uv pip compile $(COMPILE) --group build -o requirements/run.txt
	uv pip compile $(COMPILE) --group build --group test --group check -o requirements/dev.txt
	uv pip compile $(COMPILE) --group build --group test --group check --group bench -o requirements/bench.txt
COMPILE := -q --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 pyproject.toml

# A stamp an environment: run < dev < bench share one .venv; each lock is a superset of the one before.
$(VENV)/bin/activate:
	$(PYTHON) -c 'import sys; sys.exit("Calibar needs Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(VENV)/bin && touch $(VENV)/bin/activate

$(VENV)/run.stamp $(VENV)/dev.stamp $(VENV)/bench.stamp: $(VENV)/%.stamp: requirements/%.txt pyproject.toml $(VENV)/bin/activate
	@echo "Setting up $(VENV) from $<"
	$(PIP) install --require-hashes -r $<
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf $(VENV) demo bench/out
