# What a developer does with this repository. Each target is one script in .make.

.PHONY: help install prepare quickstart quickstart-destroy test test-unprivileged hosts bench gpu gpu-rehearsal

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Build the provider with every cloud and install it for `terraform init`
	@.make/install

prepare: ## Install Dynamo, etcd and NATS into the cache that local machines share
	@.make/prepare

quickstart: ## Build with the local cloud alone, deploy examples/quickstart, and chat with it
	@.make/quickstart

quickstart-destroy: ## Remove what quickstart deployed
	@.make/quickstart-destroy

test: ## Run every check and test; wants root, for namespaces
	@.make/test

test-unprivileged: ## The same without root: machines then share this machine's hosts file
	@.make/test --unprivileged

hosts: ## Boot the user data on hosts with real systemd and cloud-init; TEST=name runs one; wants root
	@.make/hosts $(TEST)

bench: ## Measure speed against other providers and print a table; PART=name measures one part
	@.make/bench $(PART)

gpu: ## Deploy on this machine's GPUs with each engine that is installed, and let things happen to it
	@.make/gpu

gpu-rehearsal: ## The same without GPUs and engines, to see that the rest works
	@.make/gpu --rehearse
