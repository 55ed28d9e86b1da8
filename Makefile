# `make` alone lists the targets. Each installs what it needs and builds what it runs.
.DEFAULT_GOAL := help
.PHONY: help demo test bench cluster package shipped fields oracles soak verdicts fuzz mutants lint wasm setup clean

DIST := dist

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: wasm ## walk a canary rollout through both wasm modules, in virtual time
	@cargo build --locked -p harness --bin harness
	@cargo run --locked -q -p harness --bin harness -- run --dist $(DIST) scenarios/rollout.yaml

test: wasm ## everything: unit, property, both wasm modules, real Envoy
	@scripts/setup.sh envoy servers
	@scripts/build-wasm.sh --with-instrumented
	@scripts/test.sh

bench: wasm ## what the policy and the filter cost, against ones that do nothing
	@scripts/setup.sh envoy
	@scripts/build-wasm.sh --with-bare
	@cargo run --locked -q -p tests --bin bench

cluster: wasm ## the gate in a real Kubernetes with KEDA, on loopback; builds them from source the first time
	@scripts/setup.sh envoy servers cluster
	@scripts/build-programs.sh cluster
	@cargo build --locked -q -p harness -p tests --bin harness --bin cluster
	@cargo build --locked -q -p skewed-clock
	@cargo run --locked -q -p tests --bin cluster

package: ## what a release consists of, in dist/: modules, SBOMs, OCI layouts, checksums; built twice
	@scripts/package.sh

shipped: wasm ## what a release has besides the modules: chart, workflow, scripts, licences (needs Go once)
	@scripts/setup.sh shipped
	@scripts/build-programs.sh shipped
	cargo test --locked --workspace --test shipped

fields: wasm ## the lists of fields and scalers anew, from the modules that are pinned (needs Go)
	@scripts/build-programs.sh shipped
	FIELDS=write cargo test --locked --workspace --test shipped -- the_list_of_fields the_scalers_keys

oracles: ## what the controllers' own code runs over generated objects, anew; needs Go, takes an hour
	@scripts/oracles.sh

soak: wasm ## millions of requests and a thousand configuration pushes: memory must be flat
	@scripts/setup.sh envoy
	@cargo run --locked -q -p tests --bin soak
	SOAK_PUSHES=1000 cargo test --locked -q --workspace --test end_to_end -- pushes:: --nocapture

verdicts: ## what the judges catch and cost on generated traffic, beside Flagger's and Argo's counting; minutes
	@cargo run --locked -q --release -p gate --example verdicts

fuzz: wasm ## hostile input through the built policy, for minutes
	FUZZ_CASES=1000000 cargo test --locked -p tests --test end_to_end fuzz::

mutants: ## which changes of the deciding code no test would notice; takes hours
	@scripts/setup.sh mutants
	PATH="$$PWD/.tools/cargo/bin:$$PATH" cargo mutants --no-shuffle -o target

lint: ## formatting and clippy, warnings are errors
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --test shipped -- -D warnings

wasm: ## both modules into dist/
	@scripts/setup.sh wasm
	@scripts/build-wasm.sh

setup: ## get the wasm target, a real Envoy and the servers of the tests
	@scripts/setup.sh wasm envoy servers

clean: ## remove what was built, keep .tools
	rm -rf target dist
