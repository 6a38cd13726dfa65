# `make help` says what there is. Everything sets up what it needs first; a second time that costs milliseconds.

PYTHON ?= python3
PREFIX ?= /opt/smoothtask
ARGS ?=
VM_ARGS ?=
export PYTHON PREFIX

BIN := .venv/bin
# Tests of daemons, loads and servers run one after the other; the others share the processors.
ALONE := tests/actuator tests/bench tests/collector tests/daemon tests/kernel tests/packaging tests/person

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev test lint format pytest test-vm test-desktops bench screenshots bpf install uninstall clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 22

run: setup ## open the dashboard on this machine (ARGS="…" go to `smoothtask top`)
	@sh tools/run.sh $(ARGS)

setup: ## .venv with what the program needs
	@sh tools/setup.sh run

setup-dev: ## .venv with what the tests need too
	@sh tools/setup.sh dev

test: lint pytest test-vm ## everything that must pass

lint: setup-dev ## style, types, who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=tools/vm $(BIN)/mypy tools/vm
	$(BIN)/lint-imports

format: setup-dev ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pytest: setup-dev ## the tests alone (ARGS="tests/policy -x")
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)
else
	$(BIN)/python -m pytest $(ARGS)
endif

test-vm: setup-dev ## tests on a kernel of their own, in a VM (VM_ARGS="tests/vm/test_kernel.py")
	@sh tools/test-vm.sh $(VM_ARGS)

test-desktops: setup-dev ## the watchers beside the real KWin, GNOME Shell and broken sound (large packages)
	@sh tools/setup.sh desktops
	SMOOTHTASK_DESKTOPS=1 $(BIN)/python -m pytest tests/person/real $(ARGS)

bench: setup-dev ## every figure that is promised, measured here, into docs/performance.md (ARGS="--only frames")
	$(BIN)/python bench/all.py $(ARGS)

screenshots: setup-dev ## make the pictures in screenshots/ again
	$(BIN)/python tools/screenshots.py

bpf: setup-dev ## compile the BPF object that is kept in the tree
	$(MAKE) -B -C src/smoothtask/kernel/bpf

install: ## install for good, with its service (as root: sudo make install)
	@sh tools/install.sh install

uninstall: ## put every priority back and take it away (as root; KEEP_DATA=1 keeps records and pins)
	@sh tools/install.sh uninstall

clean: ## remove what was made here, .venv too
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
