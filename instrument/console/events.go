package console

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Event is an event of api/v1/events, a server-sent event of the type "tick". There is one per second.
type Event struct {
	// Samples are the samples since the previous event.
	Samples  []Sample  `json:"samples"`
	Findings []Finding `json:"findings"`
	// Records are the records since the previous event, newest first, at most 100. The first event has none.
	Records []Record `json:"records"`
}

const maxEventRecords = 100

// serveEvents sends events until the viewer leaves. It takes the samples, so none are taken while nobody looks.
func (c *Console) serveEvents(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	tick := time.NewTicker(interval)
	defer tick.Stop()
	sent, seen := time.Now(), c.records.last()
	shutdown := c.servers.shutdown(r)
	for {
		now := time.Now()
		event := Event{Findings: c.find(now)}
		event.Samples = c.sampler.since(sent)
		event.Records = c.records.list(maxEventRecords, func(r *Record) bool { return r.Number > seen }, Kinds()...)
		if n := len(event.Samples); n > 0 {
			sent = event.Samples[n-1].Time
		}
		if len(event.Records) > 0 {
			seen = event.Records[0].Number
		}
		content, err := json.Marshal(event)
		if err != nil {
			return
		}
		// A server's WriteTimeout is meant for answers that end. A viewer that reads nothing is disconnected in any
		// case.
		_ = control.SetWriteDeadline(now.Add(10 * time.Second))
		if _, err := w.Write([]byte("event: tick\ndata: " + string(content) + "\n\n")); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-shutdown:
			return
		case <-tick.C:
		}
	}
}

// last returns the number of the newest record.
func (r *records) last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}

// servers are the servers that serve the console. Their Shutdown waits for answers to end, so streams must end then.
type servers struct {
	mu    sync.Mutex
	known map[*http.Server]<-chan struct{}
}

// shutdown returns a channel that is closed when the request's server begins to shut down.
func (s *servers) shutdown(r *http.Request) <-chan struct{} {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if begun, ok := s.known[server]; ok {
		return begun
	}
	begun := make(chan struct{})
	server.RegisterOnShutdown(sync.OnceFunc(func() { close(begun) }))
	if s.known == nil {
		s.known = make(map[*http.Server]<-chan struct{})
	}
	s.known[server] = begun
	return begun
}
