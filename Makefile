# What there is to do, in the words of the Debian packages it takes. `make` alone lists it.

PACKAGES = user-mode-linux busybox-static libdevmapper-dev libclang-dev pkg-config e2fsprogs dmsetup mount util-linux \
	keyutils cryptsetup-bin udev chromium

.DEFAULT_GOAL := help
.PHONY: help setup build test demo lint clean

help: ## Lists these targets
	@sed -n 's/^\([a-z]*\): .*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## Installs the Debian packages that building and testing take, where they are missing
	@./tests/vm/setup $(PACKAGES)

build: setup ## Builds dmctl
	cargo build --locked

test: setup ## Runs every test, those on a real Device Mapper kernel included
	cargo test --locked

demo: setup ## Boots a kernel with Device Mapper and walks through dmctl there
	cargo build --locked
	./tests/vm/run --env "PATH=$(CURDIR)/target/debug:/usr/sbin:/usr/bin:/sbin:/bin" bash examples/demo/demo.sh

lint: setup ## Checks format, lints and documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

clean: ## Removes what was built
	cargo clean
