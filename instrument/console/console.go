package console

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sockscope/sockscope/instrument"
)

// Config sets what a Console shows and to whom. The zero value is usable.
type Config struct {
	// Service is the name at the head of the page. The default is the program's.
	Service string
	// AllowRemote lets the console answer requests from other machines and from proxies. Put your own authentication in
	// front of it. By default the console answers only this machine.
	AllowRemote bool
	// AllowClose lets a viewer close a connection, like Observer.Drain: its client should reconnect, perhaps to another
	// instance. By default the console is read-only.
	AllowClose bool
	// Records is the number of log records that are kept of each kind (opened connections, closed ones, trouble,
	// others). The default is 500, which takes about 1 MB.
	Records int
	// TraceURL and StoryURL are the beginnings of the page's links to traces and connections, such as
	// http://127.0.0.1:8090/trace/ and http://127.0.0.1:8090/connection/. The console appends the id. By default there
	// are no links.
	TraceURL, StoryURL string
}

const defaultRecords = 500

// A Console is an http.Handler that shows the live connections of observers. Its methods may be called concurrently.
type Console struct {
	config   Config
	instance string // identifies the instance of the service
	records  records
	sampler  sampler
	spans    spans
	tables   tables
	servers  servers

	mu        sync.Mutex
	observers []*instrument.Observer
}

var _ http.Handler = (*Console)(nil)

// Handler returns a console of the observers with the default settings.
func Handler(observers ...*instrument.Observer) http.Handler {
	c := New(Config{})
	for _, o := range observers {
		c.Observe(o)
	}
	return c
}

// New returns a console without observers.
func New(config Config) *Console {
	if config.Service == "" {
		config.Service = program()
	}
	if config.Records <= 0 {
		config.Records = defaultRecords
	}
	c := &Console{config: config, instance: instance()}
	c.sampler.failures = failures()
	c.records.init(config.Records)
	return c
}

// Observe adds an observer to the console. It does nothing if o is nil or was added before.
func (c *Console) Observe(o *instrument.Observer) {
	if o == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.observers, o) {
		c.observers = append(c.observers, o)
	}
}

func (c *Console) observed() []*instrument.Observer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.observers)
}

// LogHandler returns a handler that passes records on to next and keeps them for the console. It keeps records of level
// Info and above even if next does not want them. It keeps a bounded number: the newest records of each kind, with 16
// attributes each and 256 bytes of each text. It never blocks.
func (c *Console) LogHandler(next slog.Handler) slog.Handler {
	if next == nil {
		next = slog.DiscardHandler
	}
	return instrument.NewLogHandler(&recorder{records: &c.records, next: next})
}

// program is the name of the running program.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return "service"
	}
	return strings.TrimSuffix(filepath.Base(path), ".exe")
}

// instance returns the host and process id, which identify where the page comes from.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}
