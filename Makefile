# What there is to do here. Every target first installs what this machine lacks (see .ci/setup).

CARGO ?= cargo
# Options after the dashes, as in: make bench ARGS="--quick --only pgusher,pgbouncer"
ARGS ?=
# Which benchmark: compare (with PgBouncer), waiting (overload, shares), advise (forecasts), soak (a long time), receives (io_uring or epoll),
# cores (the parts).
BENCH ?= compare

# The pgusher to measure: a plain build unless told, as in BINARY=target/trained/pgusher.
BINARY ?=

.PHONY: help demo release test regress bench lint fuzz setup

help: ## Lists the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

demo: setup ## Shows 5,000 clients on 20 servers, and stays up to be looked at
	$(CARGO) build --release --locked --bin pgusher --example demo
	$(CARGO) run --release --locked --quiet --example demo -- $(ARGS)

release: setup ## Builds the pgusher to deploy, trained for speed: target/trained/pgusher
	deploy/release

test: setup ## Runs all tests, against a real PostgreSQL of their own
	$(CARGO) test --workspace --locked

regress: setup ## Runs PostgreSQL's own regression suite through two servers, beside a direct run
	$(CARGO) build --locked --bin pgusher
	tests/regress/run $(ARGS)

bench: ## Compares with PgBouncer, haproxy and no pooler at all
	.ci/setup bench
	$(if $(BINARY),PGUSHER_BINARY=$(BINARY)) $(CARGO) bench --locked --bench $(BENCH) -- $(ARGS)

fuzz: setup ## Throws random bytes at everything that reads bytes from outside
	tests/fuzz/run $(ARGS)

lint: ## Checks formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

setup: ## Installs what building and testing need
	.ci/setup
