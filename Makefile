# The habits. `make` alone lists them; everything they need and do not find, `make setup` installs.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/tributary/target
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tributary
VENV := $(CACHE)/venv
CLIENT := tests/clients/python
TRIBUTARY := $(CARGO_TARGET_DIR)/release/tributary

.DEFAULT_GOAL := help
.PHONY: help setup build up test test-rust test-client chaos takeover peer figures bench instructions check fmt clean

help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what is missing: compilers, Java, Maven, Python (quick when nothing is)
	@scripts/setup.sh

build: setup ## Builds everything, optimised (the first build compiles RocksDB and librdkafka: minutes)
	cargo build --release --workspace

up: build ## Builds and starts Tributary on this machine, with a demo's accounts and payments
	$(TRIBUTARY) up --demo

test: test-rust test-client ## Runs every test, on a real Kafka and a real schema registry too

test-rust: setup ## Runs the tests that are written in Rust
	cargo test --release --workspace

test-client: build $(VENV)/.installed ## Pays with a stock Python client against `tributary up --kafka`
	PYTHON=$(VENV)/bin/python $(CLIENT)/run.sh $(TRIBUTARY)

chaos: setup ## Kills, freezes, cuts and fills for ten minutes, over one broker, over three, and one fault at a time
	TRIBUTARY_CHAOS_SECONDS=600 cargo test --release --workspace --test chaos -- --include-ignored --nocapture --skip a_gigabyte

takeover: setup ## Measures how long payments wait for a process with a gigabyte of state, or the broker, that is killed
	cargo test --release --workspace --test chaos -- --ignored --nocapture a_gigabyte

peer: setup ## Measures payments beside the same saga in Kafka Streams, in turns (half an hour, with nothing else running)
	tests/peer/run.sh build
	cargo test --release --workspace --test peer -- --ignored --nocapture

figures: setup ## Measures throughput, latency, memory, starts and a rebuild, and writes docs/figures.md (half an hour, with nothing else running)
	cargo test --release --workspace --test figures -- --ignored --nocapture

bench: setup ## Measures steps and codecs, without a broker or a disk
	cargo bench --workspace

instructions: setup ## Counts the instructions that a payment costs the engine
	scripts/setup-bench.sh
	tests/benches/instructions.sh

check: setup ## Checks the format and lints
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check licenses bans sources; fi

fmt: setup ## Formats
	cargo fmt --all

clean: ## Removes what was built (fetched parts stay in the cache)
	cargo clean

$(VENV)/.installed: $(CLIENT)/requirements.txt | setup
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $(CLIENT)/requirements.txt
	@touch $@
