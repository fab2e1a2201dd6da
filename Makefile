# xctl-agent. `make demo` and `make test` install what they lack; see README.md.
SHELL := /bin/bash
CLANG ?= clang
ARCH := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=dist/bpf/%.bpf.o)
BPF_HDR := $(wildcard bpf/*.h bpf/*/*.h) vmlinux.h
# SETUP=no: everything is there already, install nothing.
SETUP ?= yes

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.PHONY: setup build types bpf bundle demo lint test fuzz bench lab pack clean

# Debian packages and node_modules; quick when nothing is missing.
setup:
ifneq ($(SETUP),no)
	@scripts/setup.sh
endif

build: bpf check-abi types bundle

bpf: $(BPF_OBJ)

dist/bpf/%.bpf.o: bpf/%.bpf.c $(BPF_HDR) | setup
	@mkdir -p $(@D)
	$(CLANG) -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -I. -Ibpf -c $< -o $@
	llvm-strip -g $@

types: | setup
	@node_modules/.bin/tsc -p .

bundle: | setup
	@node scripts/bundle.mjs

demo: build
	@node_modules/.bin/esbuild scripts/demo.ts --bundle --platform=node --format=esm --target=node20 --log-level=warning --outfile=build/demo.mjs
	@node build/demo.mjs

lint: | setup
	@scripts/lint.sh

# TESTS="test/a.test.ts …": only those files. JOBS=N: files at a time.
test: build
	@node scripts/test.mjs $(TESTS)

# The properties with other cases than `make test` draws, and FUZZ times as many. A failure prints the seed and the case.
FUZZ ?= 20
fuzz: build
	@FUZZ=$(FUZZ) node scripts/test.mjs --timeout=1800 $(or $(TESTS),$(shell grep -rl 'lib/property.js' test --include='*.test.ts'))

# BENCH="cost load": only those.
bench: build
	@node scripts/bench.mjs $(BENCH)

# Labelled faults, decoys and healthy loads: how often is the answer right? docs/accuracy.md has the figures.
# SEED="1 2 3" ONLY="network process/stopped-" JOBS=4 SOAK=60 VM=yes REPORT=yes UPDATE=yes LIST=yes: scripts/lab.mjs.
lab: build
ifneq ($(SETUP),no)
	@scripts/lab-setup.sh
endif
	@SEED="$(SEED)" ONLY="$(ONLY)" JOBS="$(JOBS)" SOAK="$(SOAK)" MERGE="$(MERGE)" FRESH="$(FRESH)" LIST="$(LIST)" \
	  REPORT="$(REPORT)" UPDATE="$(UPDATE)" VM="$(VM)" node scripts/lab.mjs

# The npm package, BPF objects included, so that a node without clang runs the agent.
pack: build
	@mkdir -p build
	@npm pack --ignore-scripts --loglevel=error --pack-destination build

clean:
	rm -rf build dist .tap


# src/kernel/abi.generated.ts from the BTF of bpf/xctl_events.h; check-abi fails when they differ.
.PHONY: abi check-abi
abi: | setup
	@node scripts/gen-abi.mjs

check-abi: | setup
	@node scripts/gen-abi.mjs --check

# Every probe on Debian's own kernels in QEMU; see docs/kernels.md. KERNELS="6.1 5.10": only those.
# TESTS="test/a.test.ts …": those files, whole, instead of the plan. STEPS="attach block": only those of it. UPDATE=yes: docs/kernels.md gets the table.
# CLOCK=instructions: the guest's time is what it executes, for benchmarks.
.PHONY: test-vm
test-vm: build
ifneq ($(SETUP),no)
	@scripts/vm/setup.sh
endif
	@node_modules/.bin/esbuild scripts/vm/main.ts --bundle --platform=node --format=esm --target=node20 --packages=external --log-level=warning --outfile=build/vm/main.mjs
	@node build/vm/main.mjs --kernels "$(KERNELS)" --steps "$(STEPS)" $(if $(UPDATE),--update) $(if $(CLOCK),--clock $(CLOCK)) $(TESTS)
