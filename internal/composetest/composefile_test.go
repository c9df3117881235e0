package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// service is what these tests look at in a service of the compose file.
type service struct {
	Image       string            `yaml:"image"`
	Restart     string            `yaml:"restart"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	Environment map[string]string `yaml:"environment"`
	MemLimit    string            `yaml:"mem_limit"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	Command     []string          `yaml:"command"`
	ExtraHosts  []string          `yaml:"extra_hosts"`
	Logging     struct {
		Options map[string]string `yaml:"options"`
	} `yaml:"logging"`
	Healthcheck map[string]any `yaml:"healthcheck"`
}

// composeFile reads docker-compose.yml, and the service that the overlay for VictoriaLogs adds.
func composeFile(t *testing.T) (services map[string]service, text string) {
	t.Helper()
	services, text = readCompose(t, "docker-compose.yml")
	overlaid, more := readCompose(t, "deploy", "compose", "victorialogs.yml")
	services["victoria-logs"] = overlaid["victoria-logs"]
	return services, text + more
}

// TestGrafanaHasTheFilesForVictoriaLogs makes sure that each of them is mounted, over the one that it takes the place
// of.
func TestGrafanaHasTheFilesForVictoriaLogs(t *testing.T) {
	overlaid, _ := readCompose(t, "deploy", "compose", "victorialogs.yml")
	folder := filepath.Join("..", "..", "deploy", "victorialogs", "grafana")
	var want []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		name = filepath.ToSlash(name)
		want = append(want, "./deploy/victorialogs/grafana/"+name+":/etc/grafana/"+name+":ro")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(slices.Values(overlaid["grafana"].Volumes))
	if slices.Sort(want); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("Grafana's volumes are %q, want %q", got, want)
	}
}

func readCompose(t *testing.T, elem ...string) (services map[string]service, text string) {
	t.Helper()
	content := read(t, elem...)
	var file struct {
		Version  any                `yaml:"version"`
		Services map[string]service `yaml:"services"`
	}
	// Only Compose knows this tag, by which an overlay takes something away.
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(content, "!reset ", "")), &file); err != nil {
		t.Fatal(err)
	}
	if file.Version != nil {
		t.Error("the obsolete version: is set")
	}
	if len(file.Services) == 0 {
		t.Fatal("no services found")
	}
	return file.Services, content
}

// endsByItself are the services that run once at the start.
var endsByItself = []string{"init", "otel-collector-ready", "scale-targets"}

// notInGo are the services whose memory has other bounds than GOMEMLIMIT.
var notInGo = []string{"nginx", "redis"}

func TestServicesAreConfined(t *testing.T) {
	services, _ := composeFile(t)
	for name, s := range services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s is not confined like the others", name)
		}
		if s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("%s: its log is not rotated", name)
		}
		if s.MemLimit == "" {
			t.Errorf("%s has no memory limit", name)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s to other machines", name, port)
			}
		}
		for _, volume := range s.Volumes {
			if strings.HasPrefix(volume, "./") && !strings.HasSuffix(volume, ":ro") {
				t.Errorf("%s can write to %s", name, volume)
			}
		}
	}
}

func TestServicesStayUp(t *testing.T) {
	services, _ := composeFile(t)
	for name, s := range services {
		if slices.Contains(endsByItself, name) {
			if s.Restart != "no" && !strings.HasPrefix(s.Restart, "on-failure:") {
				t.Errorf("%s ends by itself, and is started again", name)
			}
			continue
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("%s is not restarted", name)
		}
		limit, soft := mebibytes(t, s.MemLimit), mebibytes(t, s.Environment["GOMEMLIMIT"])
		switch {
		case slices.Contains(notInGo, name):
		case name == "otel-collector":
			if want := collectorRefusesFrom(t); soft != want {
				t.Errorf("%s: GOMEMLIMIT is %d MiB, and memory_limiter refuses data from %d", name, soft, want)
			}
		default:
			if share := float64(soft) / float64(limit); share < 0.8 || share > 0.9 {
				t.Errorf("%s: GOMEMLIMIT is %.0f %% of its memory limit, want 80 to 90", name, share*100)
			}
		}
		if len(s.Healthcheck) == 0 && name != "otel-collector" { // which otel-collector-ready waits for
			t.Errorf("%s has no health check", name)
		}
	}
}

// collectorRefusesFrom returns from how many MiB on the Collector's memory_limiter refuses data.
func collectorRefusesFrom(t *testing.T) int {
	t.Helper()
	var config struct {
		Processors struct {
			Limiter struct {
				Limit int `yaml:"limit_mib"`
				Spike int `yaml:"spike_limit_mib"`
			} `yaml:"memory_limiter"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy", "otel-collector", "config.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	return config.Processors.Limiter.Limit - config.Processors.Limiter.Spike
}

func mebibytes(t *testing.T, size string) (n int) {
	t.Helper()
	number := strings.TrimRight(size, "MiBm")
	for _, digit := range number {
		if digit < '0' || digit > '9' {
			t.Fatalf("size %q is not in mebibytes", size)
		}
		n = n*10 + int(digit-'0')
	}
	return n
}

// Every published port is one that package endpoint knows, with the same default, and can be moved.
func TestPublishedPorts(t *testing.T) {
	services, text := composeFile(t)
	published := publishedPorts(endpoint.Local(0))
	ports := 0
	for _, s := range services {
		ports += len(s.Ports)
	}
	if ports != len(published) {
		t.Errorf("%d ports are published, %d are known", ports, len(published))
	}
	for variable, address := range published {
		_, port, _ := strings.Cut(address, ":")
		if !strings.Contains(text, "127.0.0.1:${"+variable+":-"+port+"}:"+port+`"`) {
			t.Errorf("port %s is not published so that %s moves it", port, variable)
		}
	}
}

// nginx, the Collector, the desk and the compose file name the same instances.
func TestInstancesOfScale(t *testing.T) {
	services, text := composeFile(t)
	balancer, targets := read(t, "deploy", "nginx", "nginx.conf"), read(t, "deploy", "otel-collector", "scale.yaml")
	instances := 0
	for name, s := range services {
		number, ok := strings.CutPrefix(name, "demo-")
		if !ok {
			continue
		}
		instances++
		address := "10.213.85.1" + number
		if !strings.Contains(text, "scale: {ipv4_address: "+address+"}") || !slices.Contains(services["nginx"].ExtraHosts, name+":"+address) {
			t.Errorf("%s is not where nginx looks for it", name)
		}
		if strings.Count(balancer, "server "+name+":8080 ") != 2 {
			t.Errorf("%s is not in both of nginx' upstreams", name)
		}
		if !strings.Contains(targets, name+":8080") {
			t.Errorf("%s is not scraped", name)
		}
		if !slices.Contains(s.Command, "--node="+name) {
			t.Errorf("%s goes by another name", name)
		}
		if !slices.Contains(s.Command, "--console=open") {
			t.Errorf("%s shows its connections to nobody", name)
		}
	}
	if instances != 3 || strings.Count(balancer, "server demo-") != 2*instances || strings.Count(targets, ":8080") != instances {
		t.Errorf("%d instances, and others in nginx' or the Collector's settings", instances)
	}
	// The desk finds their consoles where the Collector finds them.
	if !strings.Contains(targets, "[demo-1:8080, demo-2:8080, demo-3:8080]\n  labels: {job: sockscope-demo, __console_path__: /debug/realtime/}") {
		t.Error("the targets don't say where their consoles are")
	}
	for _, file := range [][]string{{"docker-compose.yml"}, {"deploy", "compose", "victorialogs.yml"}} {
		overlaid, _ := readCompose(t, file...)
		for _, want := range []string{"--targets=/etc/targets/*.yaml", "--targets=/etc/targets/scale/*.yaml"} {
			if !slices.Contains(overlaid["desk"].Command, want) {
				t.Errorf("in %s the desk has no %s", file, want)
			}
		}
	}
	for _, want := range []string{"./deploy/otel-collector/targets:/etc/targets:ro", "scale-targets:/etc/targets/scale:ro"} {
		if !slices.Contains(services["desk"].Volumes, want) {
			t.Errorf("the desk has no volume %s", want)
		}
	}
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Grafana's and Loki's are under a licence that keeps them out of our modules.
func TestEveryOtherImageCanBeMade(t *testing.T) {
	services, _ := composeFile(t)
	base, err := baseImage(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	references := []string{base}
	for name, s := range services {
		if name != "grafana" && name != "loki" && !strings.HasPrefix(s.Image, "sockscope/") {
			references = append(references, s.Image)
		}
	}
	for _, reference := range references {
		if _, ok := imageFor(reference); !ok {
			t.Errorf("no image can be made in place of %s", reference)
		}
	}
}

// The Dockerfile can't use go.work, and names our modules instead.
func TestDockerfileNamesOurModules(t *testing.T) {
	mod, err := modfile.Parse("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	dockerfile := read(t, "Dockerfile")
	for _, required := range mod.Require {
		path := required.Mod.Path
		dir, ours := strings.CutPrefix(path, mod.Module.Mod.Path+"/")
		if !ours {
			continue
		}
		for _, want := range []string{
			"COPY " + dir + "/go.mod " + dir + "/go.sum " + dir + "/\n",
			"-replace=" + path + "=./" + dir + " ",
		} {
			if !strings.Contains(dockerfile, want) {
				t.Errorf("go.mod requires %s, the Dockerfile lacks %q", path, want)
			}
		}
	}
}

// The Dockerfile copies folders one by one, and what it does not copy is missing in the image's build only.
func TestDockerfileCopiesWhatIsCompiled(t *testing.T) {
	const module = "github.com/sockscope/sockscope/"
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/sockscope")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, ignore := read(t, "Dockerfile"), read(t, ".dockerignore")
	for path := range strings.FieldsSeq(string(out)) {
		path, ours := strings.CutPrefix(path, module)
		if !ours {
			continue
		}
		dir, _, _ := strings.Cut(path, "/")
		if !strings.Contains(dockerfile, "\nCOPY "+dir+" "+dir+"\n") {
			t.Errorf("the program needs %s, which the Dockerfile does not copy", path)
		}
		if !strings.Contains(ignore, "\n!"+dir+"\n") {
			t.Errorf("the program needs %s, which .dockerignore leaves out", path)
		}
	}
}
