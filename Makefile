# What there is to do, in the words of the Debian packages it takes. `make` alone lists it.

PACKAGES = gcc user-mode-linux busybox-static libdevmapper-dev libclang-dev pkg-config e2fsprogs dmsetup mount util-linux \
	keyutils cryptsetup-bin lvm2 thin-provisioning-tools kpartx fdisk udev chromium zsh fish mandoc python3-venv

KERNEL_PACKAGES = qemu-system-x86 qemu-system-common

# What a boot test takes beside them.
BOOT_PACKAGES = debootstrap fdisk dpkg-dev

.DEFAULT_GOAL := help
.PHONY: help setup setup-kernels setup-boot setup-lint setup-all build bench test test-kernels test-campaign test-boot deb demo lint fuzz clean

help: ## Lists these targets
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 17

setup: ## Installs the Debian packages that building and testing take, where they are missing
	@./tests/vm/setup $(PACKAGES)

setup-kernels: setup ## Installs QEMU and fetches Debian's kernel 6.12, where they are missing
	@./tests/vm/setup $(KERNEL_PACKAGES)
	@./tests/vm/boot-qemu --check

setup-lint: ## Installs cargo-deny, where it is missing
	@./tests/deny --setup

# One by one each would update apt's lists.
setup-all: ## Installs the Debian packages of all of these, where they are missing
	@./tests/vm/setup $(PACKAGES) $(KERNEL_PACKAGES) $(BOOT_PACKAGES)

build: setup ## Builds dmctl
	cargo build --locked

bench: setup-kernels ## Measures dmctl beside a C program and dmsetup, on both kernels; BENCH="--write" fills docs/performance.md
	cargo bench --locked --bench peers -- $(BENCH)

test: setup ## Runs every test, those on a real Device Mapper kernel included
	cargo test --locked

test-kernels: setup ## Runs the tests on kernel 6.12 that `make test` runs on 6.1; CASES="WORD..." picks some
	-@./tests/vm/setup $(KERNEL_PACKAGES)
	cargo test --locked --test real_kernel -- --kernel=6.12 $(CASES)

test-campaign: setup ## Runs the whole fault campaign on a real kernel, of which `make test` runs a sample
	DMCTL_CAMPAIGN=whole cargo test --locked --test real_kernel -- campaign

setup-boot: setup ## Installs debootstrap and cargo-deb and makes the Debian that boots, where they are missing
	@./tests/vm/setup $(BOOT_PACKAGES)
	./dist/debian/build --setup
	./tests/boot/image --base target/boot

# The dmctl of the tests: one by itself would have the features of fewer crates, and be built by itself.
test-boot: setup-boot ## Boots a Debian with dmctl's package and tests there what only that shows; CASES="WORD..." picks some
	cargo test --locked --no-run --test generated
	./tests/boot/run "$$(./dist/debian/build dev target/boot)" target/boot $(CASES)

deb: setup ## Builds the Debian package, into target/deb/
	@./tests/vm/setup dpkg-dev
	cargo build --locked --release
	./dist/debian/build release target/deb

demo: setup ## Boots a kernel with Device Mapper and walks through dmctl there
	cargo build --locked
	./tests/vm/run --env "PATH=$(CURDIR)/target/debug:/usr/sbin:/usr/bin:/sbin:/bin" bash examples/demo/demo.sh

fuzz: setup ## Looks for inputs that break a law, MINUTES=n in all; TARGETS="map row" picks some
	./fuzz/run $(or $(MINUTES),16) $(TARGETS)

lint: setup ## Checks format, lints, documentation, examples and dependencies
	cargo fmt --all --check
	./tests/taplo
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	./tests/deny

clean: ## Removes what was built
	cargo clean
