# make compare   export the five networks and compare backends on this machine
# make test      lint, types and the whole test suite
#
# PYTHON=python3.12      another Python (3.11 or newer)
# EXTRAS=cpu,export      what to install; gpu,export where an NVIDIA GPU answers
# PIP_ARGS="..."         passed on to pip
# RUN_ARGS="..."         passed on to `joulebatch run`

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= $(shell nvidia-smi >/dev/null 2>&1 && echo gpu,export || echo cpu,export)
PIP_ARGS ?=
RUN_ARGS ?=

BIN := $(VENV)/bin
comma := ,
stamp = $(VENV)/.installed-$(subst $(comma),-,$(1))
USER_STAMP := $(call stamp,$(EXTRAS))
DEV_STAMP := $(call stamp,$(EXTRAS)$(comma)dev)

.PHONY: compare test clean

compare: $(USER_STAMP)
	$(BIN)/joulebatch export
	$(BIN)/joulebatch run --profile quick --batch-sizes 1,2,4,8 --pace 2 --time-budget 5m $(RUN_ARGS)

test: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV)

# The two wheels of ONNX Runtime overwrite each other: the one not asked for goes first.
OTHER_WHEEL := $(if $(findstring gpu,$(EXTRAS)),onnxruntime,onnxruntime-gpu)
define install
	rm -f $(VENV)/.installed-*
	$(BIN)/python -m pip uninstall --quiet --yes $(OTHER_WHEEL) 2>/dev/null
	$(BIN)/python -m pip install $(PIP_ARGS) --constraint constraints.txt --editable ".[$(1)]"
endef

$(USER_STAMP): pyproject.toml constraints.txt | $(VENV)
	$(call install,$(EXTRAS))
	touch $@

# The dev set holds the user's set, so that after `make test` `make compare` has nothing to install.
$(DEV_STAMP): pyproject.toml constraints.txt | $(VENV)
	$(call install,$(EXTRAS)$(comma)dev)
	touch $@ $(USER_STAMP)

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit("joulebatch needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ". Pass PYTHON=python3.12, for example." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
