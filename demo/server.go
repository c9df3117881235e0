package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/fault/inject"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/transport/grpc"
	"github.com/sockscope/sockscope/demo/transport/poll"
	"github.com/sockscope/sockscope/demo/transport/socketio"
	"github.com/sockscope/sockscope/demo/use/chat"
	"github.com/sockscope/sockscope/demo/use/dashboard"
	"github.com/sockscope/sockscope/demo/use/document"
	"github.com/sockscope/sockscope/demo/use/game"
	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/use/stream"
	"github.com/sockscope/sockscope/demo/wire"
)

// Server is one node of the service. Make one with New, Run it, serve its Handler, and end it with Shutdown.
type Server struct {
	cfg    Config
	faults *inject.Faults

	history history.Store
	rooms   *room.Rooms
	topics  *room.Topics
	cluster *cluster.Cluster
	hangUp  func() error // closes the connections to the other nodes

	chat      *chat.Chat
	streams   *stream.Streams
	market    *market.Market
	game      *game.Game
	documents *document.Documents

	door     *admission.Door
	sessions *session.Sessions

	observers     []*observe.Observer // one a transport
	sockets       http.Handler
	events, posts http.Handler // of server-sent events
	polls         *poll.Handler
	pollDoor      *admission.Door // bounds polls, which are no connections
	socketIO      *socketio.Handler
	socketIOWire  http.Handler // the same with faults
	page          http.Handler
	rpcs          *grpc.Server // nil without gRPC
}

// Run does what goes on beside the connections until ctx ends: it keeps in touch with the other nodes, publishes the
// market and the dashboard, has the game tick, and reads what others edit.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() {
		s.market.Run(ctx, s.cfg.BatchWindow, func(batch market.Batch) {
			s.streams.Publish(ctx, wire.TypeTicks, wire.StreamMarket, batch)
		})
	})
	running.Go(func() { s.game.Run(ctx) })
	running.Go(func() { s.documents.Run(ctx) })
	running.Go(func() { dashboard.Run(ctx, s.cfg.Node, s.counts, s.streams) })
	if s.cfg.FaultAPI != Off {
		running.Go(func() { s.faults.Run(ctx) })
	}
	if s.rpcs != nil {
		running.Go(func() { s.rpcs.Run(ctx) })
	}
	err := s.cluster.Run(ctx)
	stop()
	running.Wait()
	_ = s.hangUp() // nobody speaks any more who could miss the connections
	return err
}

func (s *Server) counts() dashboard.Counts {
	received, sent := s.sessions.Messages()
	return dashboard.Counts{Connections: s.sessions.Len(), Rooms: s.rooms.Len(), Received: received, Sent: sent}
}

// ServeGRPC serves gRPC on a listener, which it closes, until Shutdown. Config.GRPC has to be set.
func (s *Server) ServeGRPC(l net.Listener) error {
	if s.rpcs == nil {
		return errors.Join(errors.New("demo: Config.GRPC is not set"), l.Close())
	}
	return s.rpcs.Serve(s.faults.Listener(l))
}

// Shutdown drains the server: new connections are refused, every client is told and gets what was queued for it before
// its connection is closed with 1012, or with UNAVAILABLE over gRPC. Polls that wait are answered. When ctx ends first,
// what is left is cut off and Shutdown returns an error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.door.Close()
	s.pollDoor.Close()
	s.polls.Drain()
	s.socketIO.Drain()
	for _, o := range s.observers {
		o.SetDraining(true)
	}
	s.faults.Drain(s.sessions)
	if s.rpcs != nil {
		s.rpcs.Drain()
		defer s.rpcs.Stop()
	}

	done := make(chan struct{})
	go func() {
		s.door.Wait()
		s.pollDoor.Wait()
		s.sessions.Wait()
		s.faults.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.sessions.Cut() // who is to come finds nobody
		return nil
	case <-ctx.Done():
	}
	left := s.sessions.Cut()
	<-done
	return fmt.Errorf("demo: cut off %d connections that had not drained: %w", left, context.Cause(ctx))
}
