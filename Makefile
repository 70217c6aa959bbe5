# AWS Backup Export. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
# Mounts and loop devices need root. The build stays with whoever calls make; only test and demo programs run as root.
# (`env` runs a program as it is.)
AS_ROOT := $(shell if [ "$$(id -u)" != 0 ] && command -v sudo >/dev/null; then echo sudo --preserve-env; else echo env; fi)
TARGET_DIR = $(shell cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
HOST_TRIPLE = $(shell rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')

.PHONY: help setup programs build lint advisories synth test test-rust test-cdk test-deploy image newer-servers demo clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## Install what tests and demo need (Debian packages, a virtualenv, npm packages)
	@tests/setup-packages
	@$(MAKE) --no-print-directory $(VENV)/.ready node_modules/.package-lock.json

$(VENV)/.ready: tests/requirements.txt
	@tests/setup-venv $(VENV)

node_modules/.package-lock.json: package-lock.json
	@npm ci --no-fund --no-audit

# The whole workspace each time, or cargo would compile the AWS SDK again with other features.
programs: ## Build what the demo runs (the first time 19 minutes of CPU time, most of it the AWS SDK)
	cargo build --locked --workspace --bins

build: ## Build everything, tests included
	cargo build --locked --workspace --all-targets

lint: ## rustfmt, clippy, rustdoc, cargo-deny, tsc, eslint, prettier
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --quiet
	cargo deny --locked --all-features check --hide-inclusion-graph bans licenses sources
	npm run --silent lint

# Apart from lint, because it clones the advisory database from GitHub, and its answer changes from day to day. Where
# this was written the database was out of reach: what it says of the dependencies is not known yet.
advisories: ## Look for known vulnerabilities among the Rust dependencies (needs GitHub)
	cargo deny --locked --all-features check advisories

synth: ## Write the CloudFormation template that the local cloud takes (compiles nothing)
	@tests/synth

test: setup lint ## Lint and run everything: unit, property and end-to-end tests, the CDK app, a deployment up to the account
	@$(MAKE) --no-print-directory test-cdk
	@$(MAKE) --no-print-directory test-rust
	@$(MAKE) --no-print-directory test-deploy

test-rust: synth
	@$(MAKE) --no-print-directory build
	CARGO_TARGET_$(HOST_TRIPLE)_RUNNER='$(AS_ROOT)' cargo nextest run --locked --workspace

test-cdk:
	npx vitest run

test-deploy:
	tests/deploy

image: ## Build the worker's image on a base made here, and run it
	$(AS_ROOT) tests/image

newer-servers: build ## Export a MySQL and a PostgreSQL of Debian unstable, and compare what comes back
	tests/newer-servers

demo: setup synth programs ## Export sample backups on this machine and show what happened (DEMO=--without-databases: disks alone)
	@$(AS_ROOT) "$(TARGET_DIR)/debug/demo" $(DEMO)

clean: ## Remove what was built here
	cargo clean
	rm -rf $(VENV) node_modules cdk.out cdk.out.test
