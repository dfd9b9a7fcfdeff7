# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Needs Debian, Python 3.11 or newer and root; everything else is installed by the targets.
PYTHON ?= python3
SUITE = $(PYTHON) -m tests.tools.suite

.PHONY: help fast lint sanity units import integration molecule test demo demo-vm bench clean distclean

help: ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

fast: ## format, lint and unit tests, in seconds
	@$(SUITE) ruff unit

lint: ## every linter
	@$(SUITE) ruff vermin mypy changelog docs lint

sanity: ## ansible-test sanity
	@$(SUITE) sanity

units: ## the unit tests on the oldest, the usual and the newest Python
	@$(SUITE) unit units-2.16 units-2.21

import: ## build the collection and check it as Galaxy does
	@$(SUITE) importer

integration: ## the tests that meet a real sshd, a real libvirtd with many guests, and a real Kubernetes API server
	@$(SUITE) integration domains clusters

test: ## everything that CI runs
	@$(SUITE)

demo: ## three hosts: plan, apply, second run, a wrong declaration, a host cut off that takes it back
	@$(PYTHON) -m tests.tools.demo

demo-vm: ## the same story told by Molecule on a virtual machine, with systemd, PAM and a reboot
	@$(PYTHON) -m tests.tools.scenarios

molecule: ## the Molecule scenarios, as the suite runs them
	@$(SUITE) drills molecule

bench: ## measure
	@$(PYTHON) -m tests.tools.bench

clean: ## stop all hosts of the lab that tests and demo have started
	@for lab in test test-domains test-clusters demo; do HOSTCRAFT_LAB=$$lab $(PYTHON) -m lab down; done

distclean: clean ## remove the cache as well
	@rm -rf "$$($(PYTHON) -c 'from lab import cache; print(cache.root())')"
