package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// An image stands in for one that can't be pulled: the same program in the same place, run by the same user, with the
// same directories and with a shell only where the original has one. That is what the compose file relies on.
type image struct {
	repository string
	config     []string // Dockerfile instructions beside the content
	content    func(*layer, binaries)
}

const (
	// standIn marks images made here: the next run replaces them, and they are never taken for the real ones.
	standIn      = "org.sockscope.stand-in"
	certificates = "/etc/ssl/certs/ca-certificates.crt"
	nobody       = 65534
)

// images follow the Dockerfiles of Prometheus, Alertmanager, opentelemetry-collector-releases, Jaeger and VictoriaLogs,
// of the versions in package component, and, with Debian's programs in them, nginx v1.30 and redis v8.10.
func images() []image {
	return []image{
		{
			repository: "prom/prometheus",
			config: []string{
				"USER nobody", "WORKDIR /prometheus", "VOLUME /prometheus", `ENTRYPOINT ["/bin/prometheus"]`,
				`CMD ["--config.file=/etc/prometheus/prometheus.yml","--storage.tsdb.path=/prometheus"]`,
			},
			content: func(l *layer, b binaries) {
				busybox(l, b)
				l.file("/bin/prometheus", b["prometheus"])
				l.file("/bin/promtool", b["promtool"])
				l.dir("/etc/prometheus", nobody, 0o755)
				l.dir("/prometheus", nobody, 0o775)
			},
		},
		{
			repository: "prom/alertmanager",
			config: []string{
				"USER nobody", "WORKDIR /alertmanager", "VOLUME /alertmanager", `ENTRYPOINT ["/bin/alertmanager"]`,
				`CMD ["--config.file=/etc/alertmanager/alertmanager.yml","--storage.path=/alertmanager"]`,
			},
			content: func(l *layer, b binaries) {
				busybox(l, b)
				l.file("/bin/alertmanager", b["alertmanager"])
				l.dir("/etc/alertmanager", nobody, 0o755)
				l.dir("/alertmanager", nobody, 0o775)
			},
		},
		{
			repository: "otel/opentelemetry-collector-contrib",
			config: []string{
				"USER 10001:10001", `ENTRYPOINT ["/otelcol-contrib"]`,
				`CMD ["--config","/etc/otelcol-contrib/config.yaml"]`,
			},
			content: func(l *layer, b binaries) {
				l.file(certificates, certificates)
				l.file("/otelcol-contrib", b["otelcol"])
				l.dir("/etc/otelcol-contrib", root, 0o755)
			},
		},
		{
			repository: "jaegertracing/jaeger",
			config: []string{
				"USER 10001", "ENV JAEGER_LISTEN_HOST=0.0.0.0", "VOLUME /tmp", `ENTRYPOINT ["/cmd/jaeger/jaeger-linux"]`,
			},
			content: func(l *layer, b binaries) {
				busybox(l, b)
				l.dir("/tmp", root, 0o1777)
				l.file("/cmd/jaeger/jaeger-linux", b["jaeger"])
			},
		},
		{
			repository: "victoriametrics/victoria-logs",
			config:     []string{`ENTRYPOINT ["/victoria-logs-prod"]`},
			content: func(l *layer, b binaries) {
				busybox(l, b)
				l.file("/victoria-logs-prod", b["victoria-logs"])
			},
		},
		{
			repository: "nginx",
			content: func(l *layer, b binaries) {
				busybox(l, b, "nginx:x:101:101:nginx:/var/cache/nginx:/sbin/nologin")
				l.dir("/tmp", root, 0o1777)
				l.programs("/usr/sbin", b["nginx"])
			},
		},
		{
			repository: "redis",
			config:     []string{"WORKDIR /data", "VOLUME /data"},
			content: func(l *layer, b binaries) {
				busybox(l, b, "redis:x:999:1000:redis:/home/redis:/bin/false")
				l.programs("/usr/local/bin", b["redis-server"], b["redis-cli"])
				l.dir("/data", 999, 0o755)
			},
		},
		{
			// What the Dockerfile builds with: this machine's Go.
			repository: "golang",
			config:     []string{"ENV PATH=/usr/local/go/bin:/bin", "ENV GOPATH=/go", "WORKDIR /go"},
			content: func(l *layer, b binaries) {
				busybox(l, b)
				l.file(certificates, certificates)
				l.dir("/tmp", root, 0o1777)
				l.tree("/usr/local/go", b["go"], func(rel string) bool {
					top, _, _ := strings.Cut(rel, "/")
					return top == "test" || top == "api" || top == "doc" || top == "misc" || filepath.Base(rel) == "testdata"
				})
			},
		},
	}
}

// busybox adds a shell and its usual commands, as the busybox and the Alpine image have them, and who there is beside
// root and nobody.
func busybox(l *layer, b binaries, users ...string) {
	l.file("/bin/busybox", b["busybox"])
	for _, command := range []string{"base64", "cat", "chmod", "chown", "cp", "head", "ls", "mkdir", "mv", "rm", "sh", "tr", "wget"} {
		l.link("/bin/"+command, "busybox")
	}
	users = append([]string{"root:x:0:0:root:/:/bin/sh", "nobody:x:65534:65534:nobody:/home:/bin/false"}, users...)
	l.text("/etc/passwd", strings.Join(users, "\n")+"\n")
	l.text("/etc/group", "root:x:0:\nnobody:x:65534:\n")
}

// imageFor returns the stand-in for a reference like prom/prometheus:v3.13.5.
func imageFor(reference string) (image, bool) {
	repository, _, _ := strings.Cut(reference, ":")
	for _, i := range images() {
		if i.repository == repository {
			return i, true
		}
	}
	return image{}, false
}

// make imports the image into the engine under the reference.
func (i image) make(ctx context.Context, e *engine, reference string, b binaries) error {
	if version := strings.TrimPrefix(runtime.Version(), "go"); i.repository == "golang" && !strings.HasPrefix(reference, "golang:"+version) {
		return fmt.Errorf("the Dockerfile builds with %s, this is Go %s: run it with the Go version of go.mod", reference, version)
	}
	args := []string{"import", "--change", "LABEL " + standIn + "=true"}
	for _, instruction := range i.config {
		args = append(args, "--change", instruction)
	}
	cmd := e.command(ctx, "docker", append(args, "-", reference)...)
	content, into := io.Pipe()
	cmd.Stdin = content
	cmd.Stderr = os.Stderr
	go func() {
		l := &layer{out: tar.NewWriter(into)}
		i.content(l, b)
		if l.err == nil {
			l.err = l.out.Close()
		}
		into.CloseWithError(l.err)
	}()
	err := cmd.Run()
	_ = content.CloseWithError(io.ErrClosedPipe) // ends the writer if the import did not read all
	if err != nil {
		return fmt.Errorf("make an image in place of %s: %w", reference, err)
	}
	return nil
}
