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

// Config says what a Console shows and to whom. The zero value is usable.
type Config struct {
	// Service is the name at the head of the page. The default is the program's.
	Service string
	// AllowRemote has the console answer requests from other machines, and those that a proxy has forwarded. Put your own
	// authentication in front of it. The default answers this machine only.
	AllowRemote bool
	// AllowClose lets a viewer close a connection, as Observer.Drain does: its client is to come back, perhaps to another
	// instance. The default is a console that is read-only.
	AllowClose bool
	// Records is how many log records are kept of each kind (opened connections, closed ones, trouble, others). The
	// default is 500, which takes about 1 MB.
	Records int
	// TraceURL and StoryURL are addresses that the id of a trace, or of a connection, is appended to for links on the
	// page, as in http://127.0.0.1:8090/trace/ and http://127.0.0.1:8090/connection/. By default there are no links.
	TraceURL, StoryURL string
}

const defaultRecords = 500

// A Console is an http.Handler that shows the live connections of observers. Its methods may be called concurrently.
type Console struct {
	config   Config
	instance string // tells the instances of a service apart
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

// Observe adds an observer to what the console shows. It does nothing for nil and for one that was added before.
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

// LogHandler returns a handler that keeps the records that it passes on to next, for the console to show. It keeps
// records of level Info and above even if next does not want them. What it keeps is bounded: the newest records of each
// kind, 16 attributes of each, 256 bytes of each text. It never blocks.
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

// instance is the host and process, as one says where a page comes from.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}
