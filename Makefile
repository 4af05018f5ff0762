# make demo    set everything up, then run the demo
# make test    set everything up, then run the tests
# The rest is listed by `make help`. Needed on the machine: Python 3.10 or newer with venv, and a C++20 compiler.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := cpu,dialogue,video,plot
# The version that the export toolchain was tested with; for its tests, and for trainings that give the same weights again.
TORCH := torch==2.13.0
SOURCES := $(shell find csrc cmake python export \( -name '__pycache__' -o -name '*.so' -o -name '*.pyc' \) -prune -o -type f -print) \
           CMakeLists.txt pyproject.toml

# On x86-64 with AVX2 the language model engine is as fast with portable flags, and then the compiled wheel, which pip keeps, serves other
# machines too. Elsewhere it is compiled for the very processor. Leaving its image tools out halves the time. A CMAKE_ARGS of yours wins.
LLAMA_FLAGS := -DLLAVA_BUILD=OFF $(shell grep -qw avx2 /proc/cpuinfo 2>/dev/null && echo -DGGML_NATIVE=OFF)

.DELETE_ON_ERROR:
.PHONY: help demo test setup setup-test lint wheel abi aarch64 soak clean

help:
	@echo "make demo      set everything up, run the demo"
	@echo "make test      set everything up, run the tests (PYTEST_ARGS=... adds arguments)"
	@echo "make setup     only set up: $(VENV) with affectrt[$(EXTRAS)]"
	@echo "make setup-test  what the tests need beside that: PyTorch, transformers, TensorRT-RTX, CUDA's compilers"
	@echo "make lint      the checks of every commit (ruff, mypy, clang-format, file length)"
	@echo "make wheel     build dist/*.whl and try it in a clean environment"
	@echo "make abi       check our declaration of ONNX Runtime's C API (needs apt-get)"
	@echo "make aarch64   cross-build the aarch64 wheel and run it under qemu (needs apt-get; root, or the tools installed)"
	@echo "make soak      kill a writer of memories 200 times, plain and encrypted, and count what is lost; 1,000 turns through the server"
	@echo "make clean     remove what these made"

demo: setup
	$(BIN)/affectrt demo

# Each process holds PyTorch and the models, up to 3 GB: not more than four. PYTEST_ARGS="-n 0" runs all in one.
test: setup-test
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

setup: $(VENV)/.installed

setup-test: $(VENV)/.test-tools

lint: $(VENV)/.lint-tools
	$(BIN)/pre-commit run --all-files

wheel:
	PYTHON=$(PYTHON) .ci/wheel

abi:
	tests/abi/run

aarch64:
	PYTHON=$(PYTHON) .ci/aarch64

soak: setup-test
	$(BIN)/python tests/memory/crash.py --rounds 200
	$(BIN)/python tests/memory/crash.py --rounds 200 --encrypted
	$(BIN)/affectrt packs pull smollm2-135m
	$(BIN)/affectrt packs pull bge-small-en
	MALLOC_ARENA_MAX=1 $(BIN)/python tests/serve/soak.py --turns 1000  # one heap: else glibc keeps one a thread, and hides what a leak adds

clean:
	rm -rf $(VENV) build dist wheelhouse .cache

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python: expected 3.10 or newer, got " + sys.version.split()[0] + " (choose one with make PYTHON=python3.12)")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python has no venv: install it (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	@command -v "$${CXX:-c++}" >/dev/null || { echo "no C++ compiler: expected $${CXX:-c++} (on Debian and Ubuntu: apt-get install g++)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

# By itself and first, so that its minutes are announced and a change in affectrt never repeats them.
$(VENV)/.dialogue: | $(VENV)/.made
	@echo "Setting up the language model engine (llama-cpp-python). If pip has no compiled copy yet, it compiles now: 3 to 5 minutes on"
	@echo "two cores, once; pip keeps the result. Everything else takes about a minute."
	@requirement=$$(sed -n 's/^dialogue = \["\(.*\)"\]$$/\1/p' pyproject.toml); \
	  [ -n "$$requirement" ] || { echo "pyproject.toml: no line dialogue = [\"...\"]"; exit 1; }; \
	  started=$$(date +%s); CMAKE_ARGS="$${CMAKE_ARGS:-$(LLAMA_FLAGS)}" $(BIN)/python -m pip install "$$requirement" && \
	  echo "language model engine ready after $$(( $$(date +%s) - started )) s"
	@touch $@

$(VENV)/.installed: $(VENV)/.dialogue $(SOURCES)
	@echo "Compiling and installing affectrt: one to two minutes"
	$(BIN)/python -m pip install --quiet ".[$(EXTRAS)]"
	@touch $@

# PyTorch by itself and first: where the index has one for CPUs only, that is taken, else some GB of CUDA come with it.
$(VENV)/.torch: | $(VENV)/.made
	@echo "Setting up $(TORCH) for the tests of the export toolchain (up to 3 GB, once)"
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	@touch $@

# The compilers of the GPU kernels, as packages: the tests run the kernels without a GPU.
$(VENV)/.cuda: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet $$(sed -n '/^cuda = \[/,/^\]/s/^ *"\(nvidia[^;"]*\).*/\1/p' pyproject.toml)
	@touch $@

$(VENV)/.kernels: $(VENV)/.dialogue $(VENV)/.cuda $(SOURCES)
	@echo "Compiling and installing affectrt with its GPU kernels: two to three minutes"
	CUDACXX="$$(ls $(CURDIR)/$(VENV)/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)" $(BIN)/python -m pip install --quiet ".[$(EXTRAS)]"
	@touch $(VENV)/.installed $@

$(VENV)/.test-tools: $(VENV)/.kernels $(VENV)/.torch
	$(BIN)/python -m pip install --quiet "affectrt[test]"  # installed just now; this only adds the tools
	@touch $@

$(VENV)/.lint-tools: $(VENV)/.test-tools
	$(BIN)/python -m pip install --quiet "affectrt[dev]"
	@touch $@
