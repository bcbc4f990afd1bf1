# make app    set up and open the app on the built-in sample
# make test   set up and run every test            (make test PYTEST="-k jobs")
# make bench  print ours against theirs, a line each
# make lint   ruff
#
# The first time makes .venv and installs into it; after that only a changed requirements file does.
# Another Python: make app PYTHON=/path/to/python3. Runs with GNU make 3.81 (macOS) and newer.

SHELL := /bin/sh
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
PYTHON ?=
PYTEST ?=

.PHONY: app test bench lint sample
.DEFAULT_GOAL := app

# --- What the machine must have. Looked for only when there is something to install. ---

# A name on PATH may be a shim of a version that is not there, so each is run, and tells its path (that of the
# Python below it where an environment is active). 3.12 and 3.11 come first: packages that have to be compiled
# are known to build there.
candidates := $(or $(PYTHON),python3.12 python3.11 python3 python3.13 python3.14 python)
first_python_with = $(shell for name in $(candidates); do "$$name" -c 'import sys, $(1); \
  sys.exit(1) if sys.version_info < (3, 11) else print(sys._base_executable)' 2>/dev/null && break; done)
any_python = $(call first_python_with,os)
base_python = $(call first_python_with,ensurepip)
compiler = $(shell for name in "$$CXX" c++ g++ clang++; do command -v "$$name" 2>/dev/null && break; done)

no_python = Python 3.11 or newer not found: install it (Debian: apt install python3 python3-venv; \
Fedora: dnf install python3; macOS: brew install python@3.12) or name it (make PYTHON=/path/to/python3)
no_venv = $(any_python) cannot make virtual environments: install its venv module \
(Debian: apt install python3-venv; Fedora: dnf install python3; macOS: brew install python@3.12)
no_compiler = C++ compiler not found: install one \
(Debian: apt install build-essential; Fedora: dnf install gcc-c++; macOS: xcode-select --install)
check_machine = $(if $(any_python),,$(error $(no_python)))$(if \
$(base_python),,$(error $(no_venv)))$(if $(compiler),,$(error $(no_compiler)))

# --- The environment. A stamp's name carries the checksum of what it stands for. ---

checksum = $(shell cat $(1) 2>/dev/null | cksum | tr ' ' '-')
app_stamp := $(VENV)/installed-app-$(call checksum,requirements.txt)
test_stamp := $(VENV)/installed-test-$(call checksum,requirements.txt tests/requirements.txt)

# `installing` stays behind when a set-up is interrupted: what it left half made is then made anew.
define install
	@$(check_machine)
	@if [ -e $(VENV)/installing ] || ! $(VENV_PYTHON) -c \
	  'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  rm -rf $(VENV) && "$(base_python)" -m venv $(VENV); fi
	@touch $(VENV)/installing
	@$(VENV_PYTHON) -m pip install --disable-pip-version-check $(1); \
	  status=$$?; rm -f $(VENV)/installing; exit $$status
	@rm -f $(2)-* && touch $@
endef

$(app_stamp):
	$(call install,-r requirements.txt,$(VENV)/installed-app)

$(test_stamp): $(app_stamp)
	$(call install,-q -r requirements.txt -r tests/requirements.txt,$(VENV)/installed-test)

# --- What to run. ---

sample: $(app_stamp)
	@$(VENV_PYTHON) -m train sample

app: sample
	@$(VENV_PYTHON) app.py

test: $(test_stamp)
	@$(VENV_PYTHON) -m pytest $(PYTEST)

bench: $(test_stamp)
	@$(VENV_PYTHON) -m benchmarks

lint: $(test_stamp)
	@$(VENV_PYTHON) -m ruff check . && $(VENV_PYTHON) -m ruff format --check .
