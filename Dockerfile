# The program, for the demo and the desk. It builds with BuildKit and without.
FROM golang:1.26.8-alpine AS build
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
WORKDIR /src
# Modules change less often than code: they have a layer of their own.
COPY go.mod go.sum ./
COPY instrument/go.mod instrument/go.sum instrument/
COPY instrument/backplane/go.mod instrument/backplane/go.sum instrument/backplane/
COPY instrument/grpcstream/go.mod instrument/grpcstream/go.sum instrument/grpcstream/
COPY instrument/loki/go.mod instrument/loki/go.sum instrument/loki/
COPY instrument/telemetry/go.mod instrument/telemetry/go.sum instrument/telemetry/
# In place of go.work, with which Go would download what any of our modules could need.
RUN go mod edit \
    -replace=github.com/sockscope/sockscope/instrument=./instrument \
    -replace=github.com/sockscope/sockscope/instrument/backplane=./instrument/backplane \
    -replace=github.com/sockscope/sockscope/instrument/grpcstream=./instrument/grpcstream \
    -replace=github.com/sockscope/sockscope/instrument/loki=./instrument/loki \
    -replace=github.com/sockscope/sockscope/instrument/telemetry=./instrument/telemetry && \
    go mod download
# One by one, so that go.mod stays as it is now.
COPY cmd cmd
COPY demo demo
COPY deploy deploy
COPY docs docs
COPY instrument instrument
COPY internal internal
COPY mixin mixin
RUN go build -trimpath -ldflags="-s -w" -o /out/sockscope ./cmd/sockscope && mkdir /out/data

FROM scratch
LABEL org.opencontainers.image.title="Sockscope" \
      org.opencontainers.image.source="https://github.com/sockscope/sockscope" \
      org.opencontainers.image.licenses="Apache-2.0"
# For exporters and receivers that are reached by HTTPS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/sockscope /sockscope
# A volume mounted here takes its owner.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
EXPOSE 8080 8090 8091
ENTRYPOINT ["/sockscope"]
