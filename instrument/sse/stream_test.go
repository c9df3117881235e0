package sse_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

// TestCounts compares the counts that the application's calls make, and those that it leaves to the stream.
func TestCounts(t *testing.T) {
	events := []sse.Event{
		{ID: "1", Type: "price", Data: []byte("1.5")},
		{ID: "2", Type: "news", Data: []byte("none")},
		{Type: "price", Data: []byte("1.6")},
	}
	tests := map[string]struct {
		send   func(*testing.T, *server, *sse.Stream)
		counts map[string]float64
	}{
		"by the application": {
			func(t *testing.T, srv *server, s *sse.Stream) {
				s.Observed().SetQueueCapacity(4)
				for _, e := range events {
					delivery := s.Observed().BeginDelivery()
					if err := s.Send(e); err != nil {
						t.Errorf("send: %v", err)
					}
					delivery.Sent(srv.Observer.MessageType(e.Type), len(e.Data))
				}
				s.Observed().Dropped(instrument.DropQueueFull, 2)
			},
			map[string]float64{
				`sse_messages_total{direction="transmit",type="price"}`:        2,
				`sse_messages_total{direction="transmit",type="other"}`:        1,
				`sockscope_label_overflow_total{label="type",transport="sse"}`: 1,
				`sse_message_size_bytes_count{direction="transmit"}`:           3,
				`sse_message_size_bytes_sum{direction="transmit"}`:             3 + 4 + 3,
				`sse_delivery_duration_seconds_count{}`:                        3,
				`sse_messages_dropped_total{reason="queue_full"}`:              2,
			},
		},
		"by type": {
			func(t *testing.T, srv *server, s *sse.Stream) {
				price := srv.Observer.MessageType("price")
				s.CountMessages(func(e sse.Event) instrument.MessageType {
					if e.Type == "price" {
						return price
					}
					return instrument.MessageType{}
				})
				sendAll(t, s, events)
			},
			map[string]float64{
				`sse_messages_total{direction="transmit",type="price"}`: 2,
				`sse_messages_total{direction="transmit",type="other"}`: 1,
				`sse_message_size_bytes_count{direction="transmit"}`:    3,
				`sse_message_size_bytes_sum{direction="transmit"}`:      3 + 4 + 3,
			},
		},
		"without types": {
			func(t *testing.T, _ *server, s *sse.Stream) {
				s.CountMessages(nil)
				sendAll(t, s, events)
			},
			map[string]float64{
				`sse_messages_total{direction="transmit",type="other"}`: 3,
				`sse_message_size_bytes_count{direction="transmit"}`:    3,
				`sse_message_size_bytes_sum{direction="transmit"}`:      3 + 4 + 3,
			},
		},
	}
	for version, p := range protocols() {
		for name, tt := range tests {
			t.Run(version+"/"+name, func(t *testing.T) {
				s := serve(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
					stream, err := sse.Accept(w, r, srv.Observer)
					if err != nil {
						t.Error(err)
						return
					}
					defer stream.Close()
					tt.send(t, srv, stream)
				})
				want := []received{
					{Type: "price", Data: "1.5", LastEventID: "1"},
					{Type: "news", Data: "none", LastEventID: "2"},
					{Type: "price", Data: "1.6", LastEventID: "2"},
				}
				if diff := cmp.Diff(want, connect(t, s, nil).read()); diff != "" {
					t.Errorf("received, -want +got:\n%s", diff)
				}
				all := ended("local", "normal")
				for k, v := range tt.counts {
					all[k] = v
				}
				s.ExpectOnly(all)
			})
		}
	}
}

// sendAll sends events, the first alone and the others together, and what is not counted as one: nothing, a comment,
// and events that are refused because one of them is.
func sendAll(t *testing.T, s *sse.Stream, events []sse.Event) {
	t.Helper()
	for _, together := range [][]sse.Event{events[:1], nil, events[1:]} {
		if err := s.Send(together...); err != nil {
			t.Errorf("send: %v", err)
		}
	}
	if err := s.Comment("that was all"); err != nil {
		t.Errorf("comment: %v", err)
	}
	if err := s.Send(events[0], sse.Event{Type: "two\nlines"}); err == nil || !strings.Contains(err.Error(), "event type") {
		t.Errorf("send an event with a line feed in its type: %v, want an error that says so", err)
	}
}

// TestConcurrentSend has several goroutines send at once: no event may end up inside another.
func TestConcurrentSend(t *testing.T) {
	const senders, events = 8, 50
	for version, p := range protocols() {
		t.Run(version, func(t *testing.T) {
			s := serve(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
				stream, err := sse.Accept(w, r, srv.Observer)
				if err != nil {
					t.Error(err)
					return
				}
				defer stream.Close()
				stream.CountMessages(nil)
				var all sync.WaitGroup
				for i := range senders {
					all.Go(func() {
						e := sse.Event{Type: fmt.Sprint(i), Data: []byte(strings.Repeat(fmt.Sprint(i)+"\n", 100))}
						for range events {
							if err := stream.Send(e); err != nil {
								t.Errorf("send: %v", err)
							}
						}
					})
				}
				all.Wait()
			})
			got := map[received]int{}
			for _, e := range connect(t, s, nil).read() {
				got[e]++
			}
			want := map[received]int{}
			for i := range senders {
				want[received{Type: fmt.Sprint(i), Data: strings.Repeat(fmt.Sprint(i)+"\n", 100)}] = events
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("received, -want +got:\n%s", diff)
			}
			all := ended("local", "normal")
			all[`sse_messages_total{direction="transmit",type="other"}`] = senders * events
			all[`sse_message_size_bytes_count{direction="transmit"}`] = senders * events
			all[`sse_message_size_bytes_sum{direction="transmit"}`] = senders * events * 200
			s.ExpectOnly(all)
		})
	}
}
