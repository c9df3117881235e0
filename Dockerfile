# The program, for the demo and the desk. It builds with BuildKit and without.
FROM golang:1.26.8-alpine AS build
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
WORKDIR /src
# Modules change less often than code: they have a layer of their own.
COPY go.mod go.sum ./
COPY instrument/go.mod instrument/go.sum instrument/
COPY instrument/backplane/go.mod instrument/backplane/go.sum instrument/backplane/
COPY instrument/client/go.mod instrument/client/go.sum instrument/client/
COPY instrument/telemetry/go.mod instrument/telemetry/go.sum instrument/telemetry/
COPY instrument/ws/gorilla/go.mod instrument/ws/gorilla/go.sum instrument/ws/gorilla/
RUN go mod download
COPY . .
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
