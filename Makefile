# forja: `make help` lists what there is.

GO ?= go
export CGO_ENABLED = 0
TESTFLAGS ?=
CPU := ./kernels ./kernels/kerneltest ./kernels/cpu/... # what depends on the processor's instruction set
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: help build test test-all race speedrun corpus bench lint generate ptx sass gpu-bundle clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

build: ## build ./forja
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o forja ./cmd/forja

test: ## run the tests, in a few minutes on two cores
	$(GO) test $(TESTFLAGS) ./...

test-all: ## run the long tests too: every CPU tier, all cases on the simulated cards
	FORJA_LONG=1 $(GO) test $(TESTFLAGS) -timeout 15m ./...
	FORJA_CPU=avx512 $(GO) test $(TESTFLAGS) -skip Simulated $(CPU) ./engine/graph ./engine/train
	FORJA_CPU=avx2 $(GO) test $(TESTFLAGS) -skip Simulated $(CPU) ./engine/graph ./engine/train
	$(GO) test $(TESTFLAGS) -tags noasm $(CPU) ./kernels/cuda/sim/interp ./engine/graph

race: ## run concurrent packages under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race -short ./kernels/cpu/par ./kernels ./kernels/cuda/driver ./kernels/cuda/sim ./engine/data/... ./engine/sched/... ./engine/vfs/... ./engine/corpus/crawl ./engine/corpus/robots ./engine/corpus/warc ./tokenizer/...

speedrun: build ## tokenizer, pretraining, LoRA and a chat, from Go's own sources, in minutes
	./forja speedrun

corpus: build ## web pages to a small model: Debian's documentation is crawled from loopback, cleaned and trained on
	$(GO) run ./bench/debiandocs ./forja run bench/debiandocs/corpus.yaml -o runs/corpus --now --crawl.seeds {seeds}
	cd runs/corpus && ../../forja corpus stats crawl extract filter dedup --tokenizer tokenizer --top 5 --html report.html
	@echo "the whole report: runs/corpus/report.html"

bench: build ## kernels, a training step and decoding, against OpenBLAS where there is one
	./forja bench

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

generate: ## write generated assembly and references again
	$(GO) generate ./kernels/cpu/...
	$(GO) test ./cmd/forja -run 'Frozen|Reference' -update

ptx: ## compile the CUDA kernels again (needs clang-22, Debian: apt-get install clang-22; no NVIDIA software)
	$(GO) run ./kernels/cuda/gen

sass: ptx ## compare what ptxas makes of them with the committed table (CUDA_TOOLS=folder of ptxas and nvdisasm)
	$(GO) run ./kernels/cuda/gen sass

gpu-bundle: ## build into build/gpu what bench/gpu.sh needs on a machine with a card, and no Go
	mkdir -p build/gpu/peers
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o build/gpu/forja ./cmd/forja
	$(GO) test -c -trimpath -ldflags '-s -w' -o build/gpu/cuda.test ./kernels/cuda
	cp bench/gpu.sh build/gpu/
	cp bench/peers/torch_gpu.py bench/peers/gpu_report.py build/gpu/peers/
	@du -sh build/gpu

clean: ## remove what build and gpu-bundle made
	rm -rf forja build
