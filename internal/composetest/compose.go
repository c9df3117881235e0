package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// compose runs Docker Compose on the files of the repository, as a project of its own.
type compose struct {
	engine   *engine
	program  string
	root     string // the repository
	offset   int    // of the published ports
	files    []string
	services []string // those that are run
	scale    []string // those of the profile "scale", which are run beside them later
	env      []string
}

const projectName = "sockscope-test"

// publishedPorts are the variables by which the compose file's ports are moved.
func publishedPorts(at endpoint.Set) map[string]string {
	return map[string]string{
		"SOCKSCOPE_DEMO_PORT":             at.Demo,
		"SOCKSCOPE_DEMO_GRPC_PORT":        at.DemoGRPC,
		"SOCKSCOPE_SCALE_PORT":            at.Scale,
		"SOCKSCOPE_PROBE_PORT":            at.Probe,
		"SOCKSCOPE_DESK_PORT":             at.Desk,
		"SOCKSCOPE_PROMETHEUS_PORT":       at.Prometheus,
		"SOCKSCOPE_ALERTMANAGER_PORT":     at.Alertmanager,
		"SOCKSCOPE_JAEGER_PORT":           at.JaegerQuery,
		"SOCKSCOPE_LOKI_PORT":             at.Loki,
		"SOCKSCOPE_VICTORIALOGS_PORT":     at.VictoriaLogs,
		"SOCKSCOPE_GRAFANA_PORT":          at.Grafana,
		"SOCKSCOPE_OTLP_GRPC_PORT":        at.CollectorOTLPGRPC,
		"SOCKSCOPE_OTLP_HTTP_PORT":        at.CollectorOTLPHTTP,
		"SOCKSCOPE_LOKI_PUSH_PORT":        at.CollectorLoki,
		"SOCKSCOPE_COLLECTOR_HEALTH_PORT": at.CollectorHealth,
	}
}

// freeOffset returns an offset with which all published ports are free.
func freeOffset() (int, error) {
	for offset := 0; offset <= 20_000; offset += 1000 {
		if allFree(publishedPorts(endpoint.Local(offset))) {
			return offset, nil
		}
	}
	return 0, errors.New("no offset leaves all ports free: stop what listens on them")
}

func allFree(addresses map[string]string) bool {
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		_ = listener.Close()
	}
	return true
}

func newCompose(e *engine, program, root string) (*compose, error) {
	offset, err := freeOffset()
	if err != nil {
		return nil, err
	}
	c := &compose{
		engine: e, program: program, root: root, offset: offset,
		files: []string{"docker-compose.yml", "deploy/compose/victorialogs.yml"},
		env:   []string{"COMPOSE_BAKE=false"}, // it needs a plugin of the docker command
	}
	for variable, address := range publishedPorts(endpoint.Local(offset)) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		c.env = append(c.env, variable+"="+port)
	}
	return c, nil
}

func (c *compose) command(ctx context.Context, args ...string) *exec.Cmd {
	global := []string{"--progress=plain", "--project-name=" + projectName, "--project-directory=" + c.root, "--profile=*"}
	for _, file := range c.files {
		global = append(global, "--file="+filepath.Join(c.root, filepath.FromSlash(file)))
	}
	cmd := c.engine.command(ctx, c.program, append(global, args...)...)
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

// run runs a command of Compose and shows what it prints.
func (c *compose) run(ctx context.Context, args ...string) error {
	cmd := c.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("docker compose %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (c *compose) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := c.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("docker compose %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// up starts the services and returns when all are healthy.
func (c *compose) up(ctx context.Context) error {
	args := []string{"up", "--detach", "--wait", "--wait-timeout=240", "--pull=never", "--no-build"}
	return c.run(ctx, append(args, c.services...)...)
}

// images reads which services there are, and returns those of each image that is not built from here.
func (c *compose) images(ctx context.Context) (map[string][]string, error) {
	out, err := c.output(ctx, "config", "--format=json")
	if err != nil {
		return nil, err
	}
	var project struct {
		Services map[string]struct {
			Image    string          `json:"image"`
			Build    json.RawMessage `json:"build"`
			Profiles []string        `json:"profiles"`
		} `json:"services"`
	}
	if err := json.Unmarshal(out, &project); err != nil {
		return nil, fmt.Errorf("read the project as Docker Compose prints it: %w", err)
	}
	images := make(map[string][]string)
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		s := project.Services[name]
		if s.Build == nil {
			images[s.Image] = append(images[s.Image], name)
		}
		if len(s.Profiles) == 0 {
			c.services = append(c.services, name)
		} else {
			c.scale = append(c.scale, name)
		}
	}
	return images, nil
}

// showTrouble prints what helps to find out why the services did not start.
func (c *compose) showTrouble(ctx context.Context) {
	_ = c.run(ctx, "ps", "--all")
	_ = c.run(ctx, "logs", "--no-color", "--tail=25")
}
