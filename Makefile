# make          what there is
# make test     unit tests, then the whole stack end to end
# make check    everything that can be checked without running it

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Those of go.work, as "." and paths below it.
MODULES := $(patsubst $(CURDIR)/%,%,$(patsubst $(CURDIR),.,$(shell go list -m -f '{{.Dir}}')))

TOOLS := $(CURDIR)/.cache/tools
lint := $(TOOLS)/golangci-lint run --config $(CURDIR)/.golangci.yml

SOCKSCOPE := .cache/sockscope

.PHONY: help
help:
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: up
up: ## run the stack and the demo on this machine
	go run ./cmd/sockscope up

# These install what they need, or say what is missing: see internal/runtests.
.PHONY: test
test: ## unit tests, then the whole stack end to end
	go run ./internal/runtests

.PHONY: test-unit
test-unit: ## unit tests of every module, with the race detector
	go run ./internal/runtests unit

.PHONY: test-e2e
test-e2e: ## bring the stack up on free ports, and prove and break it
	go run ./internal/runtests e2e

.PHONY: test-compose
test-compose: ## run docker-compose.yml with images made from the native binaries
	go run ./internal/runtests compose

# Grafana can't be built as a Go module: GRAFANA=/path/to/bin/grafana names one that is not on PATH.
.PHONY: test-grafana
test-grafana: ## load the data sources and dashboards into a Grafana that is installed; without one, say that nothing was tried
	@go test -count 1 -run TestGrafanaLoadsEverything -v ./deploy/grafana

# A page, a warning, a process that hangs, and a control. The others take more time.
.PHONY: drill
drill: $(SOCKSCOPE) ## break a stack whose rules are 20 times as fast, and see who is called
	$(SOCKSCOPE) drill --start --speed 20 --port-offset 12000 slow_handling mass_disconnect demo_hangs prometheus_restart

.PHONY: soak
soak: ## half an hour of mixed load and faults on three instances; no acknowledged message may be lost (SOAK=5m for less)
	go run ./internal/runtests soak

.PHONY: soak-outage
soak-outage: ## stores away for ten minutes, and everything killed; no accepted data may be lost (OUTAGE=1m for less)
	OUTAGE=$${OUTAGE:-10m} go run ./internal/runtests outage

.PHONY: check
check: check-go check-settings release-check ## formatting, linters, rules, routes, settings, and what a release would be

.PHONY: tools
tools:
	@cd tools && GOWORK=off GOBIN=$(TOOLS) go install tool

.PHONY: check-go
check-go: tools
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "run gofmt on:"; echo "$$unformatted"; exit 1; fi
	go run ./internal/prose
	@for module in $(MODULES); do \
		echo "== vet and lint $$module"; \
		(cd $$module && go vet -tags e2e,soak,mutation ./... && $(lint) ./...); \
		for os in windows darwin; do (cd $$module && GOOS=$$os go vet -tags e2e,soak,mutation ./...); done; \
	done
	@# Ours made of upstream's packages: each where it is a module of its own, since the linter takes no -modfile.
	@for name in otelcol jaeger; do \
		echo "== vet and lint $$name"; \
		dir=.cache/native/$$name; rm -rf $$dir; mkdir -p $$dir/deploy/native; \
		cp -r deploy/native/$$name $$dir/deploy/native; \
		cp deploy/native/$$name.mod $$dir/go.mod; cp deploy/native/$$name.sum $$dir/go.sum; \
		find $$dir/deploy -name '*.mod' | while read -r mod; do mv $$mod $${mod%.mod}/go.mod; done; \
		(cd $$dir && export GOWORK=off GOFLAGS=-tags=remove_all_sd && go vet ./... && $(lint) ./...); \
	done
	@echo "== vet and lint judge"; dir=.cache/native/judge; rm -rf $$dir; mkdir -p $$dir/internal; \
	cp -r internal/judge $$dir/internal; \
	cp deploy/native/prometheus.mod $$dir/go.mod; cp deploy/native/prometheus.sum $$dir/go.sum; \
	cd $$dir; export GOWORK=off GOFLAGS=-tags=remove_all_sd; go vet ./...; $(lint) ./...

# What is made of the package mixin.
mixin-folders := --rules deploy/prometheus/rules --tests deploy/prometheus/tests --runbooks docs/runbooks \
	--dashboards deploy/grafana/dashboards --dashboards-victorialogs deploy/victorialogs/grafana/dashboards

.PHONY: mixin
mixin: $(SOCKSCOPE) ## make the alert rules, their tests, the frames of the runbooks and the dashboards
	@$(SOCKSCOPE) mixin $(mixin-folders)

.PHONY: screenshots
screenshots: $(SOCKSCOPE) ## make docs/pictures: each page in both themes, and the walks of docs/walks.md, by Chromium
	go run ./internal/pictures -sockscope $(SOCKSCOPE)

.PHONY: telemetrydoc
telemetrydoc: ## make docs/telemetry.md of docs/contract.yaml
	@go run ./internal/telemetrydoc

# The judge is made of the packages of the stack's own Prometheus.
JUDGE := $(CURDIR)/.cache/judge

.PHONY: mutation
mutation: ## change each number, comparison, matcher, duration and guard of the rules; every change must turn a test red
	@GOWORK=off go build -modfile=deploy/native/prometheus.mod -tags=remove_all_sd -o $(JUDGE) ./internal/judge
	@JUDGE=$(JUDGE) GOGC=400 go test -tags mutation -run TestMutation -count 1 -timeout 30m -v ./mixin

.PHONY: check-settings
check-settings: $(SOCKSCOPE)
	@$(SOCKSCOPE) mixin --check $(mixin-folders)
	@go run ./internal/telemetrydoc -check
	@$(SOCKSCOPE) build promtool amtool otelcol docker-compose >/dev/null
	@go run ./internal/runtests settings # rules, routing, runbooks, metric names
	@$(MAKE) --no-print-directory mutation
	@cd deploy/kubernetes/operator && GOWORK=off go test ./... # is what prometheus-operator takes
	$$($(SOCKSCOPE) build otelcol) validate --config deploy/otel-collector/config.yaml
	$$($(SOCKSCOPE) build otelcol) validate --config deploy/otel-collector/config.yaml --config deploy/otel-collector/cardinality.yaml
	@compose=$$($(SOCKSCOPE) build docker-compose); \
	$$compose -f docker-compose.yml --profile='*' config -q; \
	$$compose -f docker-compose.yml -f deploy/compose/victorialogs.yml --profile='*' config -q; \
	$$compose -f docker-compose.yml -f docker-compose.paging.yml config -q

# In two steps: the second is compiled with the list that the first has changed.
.PHONY: upgrade
upgrade: ## another version of a component, in every place that names it: make upgrade prometheus=3.13.6
	@go run ./internal/upgrade $(MAKEOVERRIDES)
	@go run ./internal/upgrade

.PHONY: dist
dist: ## an archive of the program and all components for this platform, for machines without Go or a network
	go run ./internal/dist

.PHONY: release-check
release-check: ## make what would be released, and get, build, install and run it as strangers
	go run ./internal/releasecheck

.PHONY: tidy
tidy: ## what `go mod tidy` would do if our modules' versions existed
	go run ./internal/releasecheck -tidy

.PHONY: api-diff
api-diff: ## what has changed in the API of each library module since its last release
	go run ./internal/releasecheck -api

# In rounds, so that what is compared is measured at about the same time: -count would run each by itself.
.PHONY: bench
bench: ## what instrumentation costs, beside the bare instruments and transports, and beside others
	@{ for module in $(filter instrument%,$(MODULES)); do \
		for round in 1 2 3 4 5 6 7 8; do \
			(cd $$module && go test -run '^$$' -bench . -benchmem -benchtime 250ms ./...); \
		done; \
	done; go test -run '^$$' -bench FanOut -benchmem -benchtime 30x -count 4 ./demo; } | go run ./internal/benchtable

.PHONY: $(SOCKSCOPE)
$(SOCKSCOPE):
	@go build -o $@ ./cmd/sockscope
