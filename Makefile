# Every command of the project. `make help` lists them.
STACK ?= staging
BIN := .venv/bin

.DEFAULT_GOAL := help

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/ready ## Make .venv and install what a developer needs

.venv/ready: requirements-dev.txt .ci/setup
	@sh .ci/setup

demo: setup ## Bring staging up on this machine, send requests through every part, tear it down
	@$(BIN)/python -m local.demo

up: setup ## Bring a stack up on this machine and leave it running (STACK=staging|prod)
	@$(BIN)/python -m local up $(STACK)

status: setup ## Show what runs on this machine (STACK=...)
	@$(BIN)/python -m local status $(STACK) || [ $$? -eq 3 ] # 3: it does not run, which it has said

logs: setup ## Show the logs of a stack on this machine (STACK=...)
	@$(BIN)/python -m local logs $(STACK)

down: setup ## Stop a stack on this machine (STACK=...)
	@$(BIN)/python -m local down $(STACK)

cost: setup ## Estimate what a stack costs a month (STACK=staging|prod)
	@$(BIN)/python -m offline.cost $(STACK)

docs: setup ## Write the tables of resources and of administration calls in docs/
	@$(BIN)/python -m offline.resources
	@$(BIN)/python -m offline.administration

test: setup ## Run every test
	@$(BIN)/python -m pytest

check: setup ## Check format, lint and types
	@$(BIN)/ruff format --check . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check . || { echo "run: make format"; exit 1; }
	@$(BIN)/mypy

format: setup ## Format the code and fix what the linter can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: setup ## Pin the newest versions that pyproject.toml allows, with hashes
	@sh .ci/lock

.PHONY: help setup demo up status logs down cost docs test check format lock
