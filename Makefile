# Each target is one script or one cargo call. What they need and do not find,
# the scripts install or build once; see the head of each. ARGS='...' is passed on.

.DEFAULT_GOAL := help
.PHONY: help demo localnet test soak bench lint fmt images

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'To work with cargo itself:  eval "$$(scripts/env.sh)"'

demo: ## a network on this machine and one deployment from file to closed, in minutes
	@scripts/demo.sh $(ARGS)

localnet: ## 4 validators and 3 providers, in the foreground until Ctrl-C
	@scripts/localnet.sh $(ARGS)

test: ## format, lints, dependency rules and every test
	@scripts/test.sh $(ARGS)

soak: ## 50 leases under random kills for 15 minutes (ARGS='--seconds 300' shortens it)
	@scripts/soak.sh $(ARGS)

bench: ## measure a release build; figures in bench/results/latest.json
	@scripts/bench.sh $(ARGS)

lint: ## format, lints and dependency rules alone
	@scripts/lint.sh

fmt: ## format the code
	@cargo fmt

images: ## the demo's images, as tarballs in localnet/demo/images
	@localnet/demo/images/build.sh localnet/demo/images
