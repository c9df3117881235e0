// Package sieve makes exporters for which one sender's refused data is no reason to lose or delay another's.
//
// It stands in for the Collector's otlp_http and otlp_grpc exporters: type and settings are the same, so that one
// configuration file serves our build of the Collector and contrib's. Those exporters drop a whole batch if the store
// refuses something in it. If the store asks to be sent a batch again, they repeat it for ever, and a few such batches
// block everybody. This package sends a batch that the store refuses again, sender by sender. If the store still
// refuses a sender's data, the package sets it aside, in a queue of its own that blocks nobody else.
//
// One request at a time is sent from that queue. Invalid data is halved until only the refused items are left, and
// these are given up. Data that the store asks to be sent again is repeated, and given up if the store takes other data
// for half a minute meanwhile. Other data that is set aside waits for that long, once per sender and window. If the
// store takes nothing at all, the package waits for the store.
//
// Items that are given up are counted in sockscope_store_refused_items_total, by exporter and service.
package sieve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// patience is for how long a store asks to be sent something again, while it takes other data, until that is given
	// up.
	patience = 30 * time.Second
	// tries is how many requests a sender's invalid data may cost per window. After that it is not halved but given up
	// whole.
	tries = 10_000
	// window is after which time senders get new tries and patience.
	window = 10 * time.Minute
	// maxSenders bounds what is remembered of senders.
	maxSenders = 1000
	// maxCounted is how many services are counted by name; the rest are "other".
	maxCounted = 100
)

// verdict is what an attempt to send says of the store and the data.
type verdict int

const (
	taken   verdict = iota
	away            // there was no answer
	busy            // the store asks to be sent it again
	broken          // the fault may be the store's, or that of the exporter's settings
	invalid         // sending it again would not help
)

func judge(err error) verdict {
	if err == nil {
		return taken
	}
	answer, ok := status.FromError(err)
	if !ok {
		return away
	}
	switch answer.Code() {
	case codes.DeadlineExceeded, codes.Canceled:
		return away
	case codes.Unavailable:
		// gRPC's client says so of connections, too.
		if strings.Contains(answer.Message(), "connection error") {
			return away
		}
		return busy
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.Internal:
		return broken
	case codes.Unknown:
		// HTTP's statuses that have no code of gRPC's.
		if strings.Contains(answer.Message(), "HTTP Status Code 4") {
			return invalid
		}
		return broken
	default:
		if consumererror.IsPermanent(err) {
			return invalid
		}
		return busy
	}
}

// store is what the exporters of one store know of it.
type store struct {
	taken atomic.Uint64 // how often it took something
	last  atomic.Int64  // when it last did, in Unix nanoseconds
}

// signal is what the sieve needs to know of logs, metrics or traces.
type signal[T comparable] struct {
	items    func(T) int
	bySender func(T) []part[T]
	halves   func(T) [2]T
	join     func([]T) T
	rest     func(error, T) error // has the exporter repeat only T
}

// part is what one sender has in a batch.
type part[T comparable] struct {
	sender string
	data   T
}

// sieve sends batches of one signal to a store.
type sieve[T comparable] struct {
	signal[T]
	send   func(context.Context, T) error
	aside  func(context.Context, T) error // puts into the queue of what is set aside
	count  func(service string, items int)
	logger *zap.Logger

	patience time.Duration
	store    *store

	mu      sync.Mutex
	senders map[string]*sender
	reset   time.Time // when senders are forgotten
	waiting waiting[T]
	counted map[string]bool // the services that are counted by name
}

func newSieve[T comparable](of signal[T], send func(context.Context, T) error, to *store, patience time.Duration) *sieve[T] {
	return &sieve[T]{signal: of, send: send, store: to, patience: patience, counted: make(map[string]bool)}
}

// sender is one whose data was refused.
type sender struct {
	tries int
	lost  bool // something was given up after the store had its time
}

// waiting is what was set aside and is being repeated.
type waiting[T comparable] struct {
	data   T
	taken  uint64    // the store's, when the data was first refused
	proven time.Time // since when it is known that the store takes other data
}

// attempt sends data and notes whether it was taken.
func (s *sieve[T]) attempt(ctx context.Context, data T) (verdict, error) {
	err := s.send(ctx, data)
	v := judge(err)
	if v == taken {
		s.store.taken.Add(1)
		s.store.last.Store(time.Now().UnixNano())
	}
	return v, err
}

// push sends a batch. It returns an error if the store is away, and never gives anything up.
func (s *sieve[T]) push(ctx context.Context, batch T) error {
	v, err := s.attempt(ctx, batch)
	switch v {
	case taken:
		return nil
	case away:
		return err
	}
	parts := s.bySender(batch)
	if len(parts) == 1 {
		return s.setAside(ctx, batch, err)
	}
	var (
		rest []T
		last error
	)
	for _, p := range parts {
		if v != away {
			v, err = s.attempt(ctx, p.data)
		}
		if v == taken {
			continue
		}
		if v != away {
			if err = s.setAside(ctx, p.data, err); err == nil {
				continue
			}
		}
		rest, last = append(rest, p.data), err
	}
	if len(rest) == 0 {
		return nil
	}
	return s.rest(last, s.join(rest))
}

// setAside has data sent again where nobody else waits for it.
func (s *sieve[T]) setAside(ctx context.Context, data T, cause error) error {
	if err := s.aside(ctx, data); err != nil {
		return fmt.Errorf("the store refuses it (%w), and it cannot be set aside: %w", repeatable(cause), err)
	}
	return nil
}

// pushAside sends data that was set aside. All of it is one sender's. Items that the store refuses for good are given
// up.
func (s *sieve[T]) pushAside(ctx context.Context, data T) error {
	all := s.bySender(data)
	if len(all) == 0 {
		return nil
	}
	from, before := all[0].sender, s.store.taken.Load()
	v, err := s.attempt(ctx, data)
	switch v {
	case taken:
		return nil
	case away:
		return err
	case busy, broken:
		if !s.hadTime(from, data, v, before) {
			return repeatable(err)
		}
		if v == busy {
			s.giveUp(from, data, err)
			return nil
		}
	}
	if rest, err := s.sift(ctx, from, data, err); len(rest) > 0 {
		return s.rest(repeatable(err), s.join(rest))
	}
	return nil
}

// sift halves invalid data until only refused items are left. It returns what has to be repeated.
func (s *sieve[T]) sift(ctx context.Context, from string, data T, cause error) ([]T, error) {
	if s.items(data) <= 1 || !s.try(from) {
		s.giveUp(from, data, cause)
		return nil, nil
	}
	var (
		rest []T
		last error
	)
	for _, half := range s.halves(data) {
		v, err := s.attempt(ctx, half)
		switch v {
		case away, busy:
			rest, last = append(rest, half), err
		case broken, invalid:
			more, err := s.sift(ctx, from, half, err)
			if len(more) > 0 {
				rest, last = append(rest, more...), err
			}
		}
	}
	return rest, last
}

// giveUp counts the items that the store refuses for good, and logs the cause.
func (s *sieve[T]) giveUp(from string, data T, cause error) {
	items := s.items(data)
	s.logger.Error("The store refuses data for good. It is given up.", zap.String("service", from), zap.Int("items", items), zap.Error(cause))
	s.mu.Lock()
	if !s.counted[from] && len(s.counted) < maxCounted {
		s.counted[from] = true
	}
	byName := s.counted[from]
	s.mu.Unlock()
	if !byName {
		from = "other"
	}
	s.count(from, items)
}

// of returns what is known of a sender. The caller has locked the sieve.
func (s *sieve[T]) of(from string) *sender {
	now := time.Now()
	if now.After(s.reset) || len(s.senders) >= maxSenders {
		s.senders, s.reset = make(map[string]*sender), now.Add(window)
	}
	if s.senders[from] == nil {
		s.senders[from] = &sender{tries: tries}
	}
	return s.senders[from]
}

// try takes one of a sender's tries, and returns false if none is left.
func (s *sieve[T]) try(from string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.of(from)
	if known.tries == 0 {
		return false
	}
	known.tries--
	return true
}

// hadTime reports whether data that was refused has had its time: the store took other data between an earlier refusal
// and this attempt, and if the store is busy with it that went on for long enough. A sender has that time once per
// window. before is the store's taken as the attempt began: what is taken later says nothing of a store that came back
// in between.
func (s *sieve[T]) hadTime(from string, data T, v verdict, before uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, now := s.of(from), time.Now()
	if known.lost && now.Sub(time.Unix(0, s.store.last.Load())) < s.patience {
		return true
	}
	if s.waiting.data != data {
		s.waiting = waiting[T]{data: data, taken: s.store.taken.Load()}
		return false
	}
	if before == s.waiting.taken {
		return false
	}
	if s.waiting.proven.IsZero() {
		s.waiting.proven = now
	}
	known.lost = v == broken || now.Sub(s.waiting.proven) >= s.patience
	return known.lost
}

// repeatable returns an error that the exporter repeats, whatever its cause was.
func repeatable(err error) error {
	if consumererror.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}
