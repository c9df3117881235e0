package presence

import (
	"context"
	"fmt"
	"testing"
)

// full returns a node with a room of 10,000 users.
func full(b *testing.B) *Presence {
	b.Helper()
	p, err := New(Config{Publish: func(context.Context, []byte) error { return nil }})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		if err := p.Enter("hall", fmt.Sprintf("user-%05d", i)); err != nil {
			b.Fatal(err)
		}
	}
	p.flush(b.Context())
	return p
}

func BenchmarkEnterLeave(b *testing.B) {
	p := full(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Enter("hall", "user-05000a"); err != nil {
			b.Fatal(err)
		}
		p.Leave("hall", "user-05000a")
	}
}

func BenchmarkUsers(b *testing.B) {
	p := full(b)
	b.ReportAllocs()
	for b.Loop() {
		if names, total := p.Users("hall", 100); len(names) != 100 || total != 10_000 {
			b.Fatal(len(names), total)
		}
	}
}

// BenchmarkSnapshot tells another node of 10,000 users.
func BenchmarkSnapshot(b *testing.B) {
	p := full(b)
	b.ReportAllocs()
	for b.Loop() {
		other, err := New(p.cfg)
		if err != nil {
			b.Fatal(err)
		}
		p.snapshotDue = true
		for _, m := range p.snapshot(p.collectDue(p.snapshotSent.Add(p.cfg.Heartbeat)).members) {
			m.Version, m.Node = version, p.node
			if err := other.Receive(encode(b, m)); err != nil {
				b.Fatal(err)
			}
		}
		if _, total := other.Users("hall", 0); total != 10_000 {
			b.Fatal(total)
		}
	}
}
