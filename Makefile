# `make run` and `make test` need Python 3.11 or newer, git and internet at first; afterwards nothing but this directory.

PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version) 2>/dev/null)) python3)
BIN := .venv/bin
SETUP := pyproject.toml constraints.txt
TESTS ?= tests

.PHONY: run test install packs lint clean

run: packs
	@$(BIN)/voxpop up $(if $(ONCE),--once)

install: .venv/installed

packs: .venv/installed
	@$(BIN)/voxpop packs build --if-missing

test: .venv/installed-for-tests packs lint
	$(BIN)/pytest $(TESTS)

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: $(SETUP)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Voxpop needs Python 3.11 or newer, $(PYTHON) is older: install one, or name it: make $(MAKECMDGOALS) PYTHON=…"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (about 420 MB to download the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded]'
	@touch $@

.venv/installed-for-tests: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,train,test]'
	@touch $@

clean:
	rm -rf .venv .voxpop
