# xctl-agent. `make demo` and `make test` install what they lack; see README.md.
SHELL := /bin/bash
CLANG ?= clang
ARCH := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=dist/bpf/%.bpf.o)
BPF_HDR := $(wildcard bpf/*.h bpf/lib/*.h) vmlinux.h

.PHONY: bpf
bpf: $(BPF_OBJ)

dist/bpf/%.bpf.o: bpf/%.bpf.c $(BPF_HDR)
	@mkdir -p $(@D)
	$(CLANG) -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -I. -Ibpf -c $< -o $@
	llvm-strip -g $@
