# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A thin front to ansible-playbook, molecule and pytest. Start with `make`.

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet --no-install-recommends
# Molecule and the test bed need root for the machines that they make.
MOLECULE := $(SUDO) env PATH="$(BIN):$(PATH)" ANSIBLE_CONFIG="$(CURDIR)/ansible.cfg" MOLECULE_COMMAND_BORDERS=false $(BIN)/molecule
PLAYBOOK := $(SUDO) env PATH="$(BIN):$(PATH)" $(BIN)/ansible-playbook -i localhost, -c local
# Who makes music on this machine, for `make site`: separate several with commas.
USERS ?= $(or $(SUDO_USER),$(filter-out root,$(shell id -un)))
comma := ,
empty :=
space := $(empty) $(empty)
USERS_JSON := ["$(subst $(comma),"$(comma)",$(subst $(space),,$(USERS)))"]

.DEFAULT_GOAL := help
.PHONY: help demo demo-login demo-remove site verify remove test lint unit containers testbed vms sanity bench soak clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' $(MAKEFILE_LIST) | \
	while read -r target what; do printf '  make %-12s %s\n' "$$target" "$$what"; done

demo: bed ## Make a throw-away virtual machine into a pro-audio host and show the verdict
	@$(MOLECULE) converge --no-report --scenario-name demo
	@echo
	@echo "This was a bare Debian a moment ago. Look around:  make demo-login"
	@echo "Remove it:                                         make demo-remove"

demo-login: ## Log in on the demo's machine
	@$(MOLECULE) login --scenario-name demo

demo-remove: ## Remove the demo's machine
	@$(MOLECULE) destroy --no-report --scenario-name demo

site: $(VENV)/site ## Make this very machine a pro-audio host (USERS=name,name says for whom)
	@$(PLAYBOOK) playbooks/site.yml -e nspa_reboot=ask $(if $(USERS),-e '{"rt_limits_users": $(USERS_JSON)}') $(ARGS)

verify: $(VENV)/site ## Ask this very machine whether it is ready
	@$(PLAYBOOK) playbooks/verify.yml $(if $(USERS),-e '{"rt_limits_users": $(USERS_JSON)}') $(ARGS)

remove: $(VENV)/site ## Put this very machine back as it was before `make site`
	@$(PLAYBOOK) playbooks/remove.yml $(ARGS)

test: ## Everything: lint, unit tests, containers, virtual machines
	@$(MAKE) --no-print-directory $(VENV)/dev bed
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line quick vms
	@echo "All tests passed."

.PHONY: quick
quick: # what runs beside the long virtual machines, one after the other
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory containers
	@$(MAKE) --no-print-directory testbed

lint: $(VENV)/dev ## Linters and types
	$(BIN)/yamllint --strict .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(BIN):$(PATH)" $(BIN)/ansible-lint
	$(BIN)/antsibull-changelog lint
	@$(MAKE) --no-print-directory sanity

sanity: $(VENV)/dev ## ansible-test sanity on the collection as it is built and installed
	PATH="$(BIN):$(PATH)" tests/sanity.sh

unit: $(VENV)/dev bed ## Unit tests
	$(SUDO) env PATH="$(BIN):$(PATH)" $(BIN)/pytest --numprocesses 2 --dist loadfile

containers: $(VENV)/dev bed ## Scenarios on booted containers
	$(MOLECULE) test --scenario-name containers

testbed: $(VENV)/dev bed ## The test bed itself: are its machines what they say they are?
	$(MOLECULE) test --scenario-name bed

vms: $(VENV)/dev bed ## Scenarios on virtual machines
	$(MOLECULE) test --scenario-name default
	$(MOLECULE) test --scenario-name kernels

bench: $(VENV)/dev bed ## What a run without changes costs, beside a ping and the usual way (docs/performance.md)
	$(SUDO) env PATH="$(BIN):$(PATH)" $(BIN)/python tests/benchmarks/fleet.py

soak: $(VENV)/dev bed ## Kill, starve and crowd the modules on private machines, and see that nothing is lost (ARGS="--seconds 600")
	$(SUDO) env PATH="$(BIN):$(PATH)" $(BIN)/python tests/soak $(ARGS)

clean: ## Remove the machines and the development environment; the cache of base images stays
	-$(MOLECULE) destroy --all
	rm -rf $(VENV)

.PHONY: bed
bed: $(VENV)/dev $(VENV)/bed

$(VENV)/bin/pip:
	@python3 -c 'import ensurepip' 2>/dev/null || { $(APT) update; $(APT) install python3-venv; }
	python3 -m venv $(VENV)

$(VENV)/site: requirements.txt | $(VENV)/bin/pip
	@echo "Installing Ansible into $(VENV)..."
	@$(BIN)/pip install --quiet --requirement requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt requirements.txt | $(VENV)/bin/pip
	@echo "Installing Ansible, molecule and the linters into $(VENV) (a minute)..."
	@$(BIN)/pip install --quiet --requirement requirements-dev.txt
	@touch $@ $(VENV)/site

# What the test bed and the tests need from Debian's archive.
$(VENV)/bed: testbed/packages.txt | $(VENV)/bin/pip
	@packages="$$(sed '/^#/d' testbed/packages.txt)"; \
	! dpkg-query --show --showformat '$${db:Status-Status}\n' $$packages 2>&1 | grep --quiet --invert-match --line-regexp installed || \
	{ $(APT) update; $(APT) install $$packages; }
	@touch $@
