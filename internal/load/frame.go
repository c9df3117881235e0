package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
)

// frame is what the server has sent, read as far as the load needs it.
type frame struct {
	wire.Envelope
	batch *market.Batch // of ticks

	group, n int // which message it is
	ours     bool
}

// shared reads frames. What goes to many recipients is the same bytes for all of them: it is read for the first and
// known for the others, without which reading would cost more than all the rest.
type shared struct {
	ids   ids
	seed  maphash.Seed
	known [1024]atomic.Pointer[known]
}

type known struct {
	data  []byte
	frame *frame
}

func newShared(ids ids) *shared { return &shared{ids: ids, seed: maphash.MakeSeed()} }

// read reads a frame, of which it keeps no byte, by the function that decodes it.
func (s *shared) read(data []byte, decode func([]byte) (wire.Envelope, error)) (*frame, error) {
	slot := &s.known[maphash.Bytes(s.seed, data)%uint64(len(s.known))]
	if k := slot.Load(); k != nil && bytes.Equal(k.data, data) {
		return k.frame, nil
	}
	env, err := decode(data)
	if err != nil {
		return nil, err
	}
	f := &frame{Envelope: env}
	switch f.Type {
	case wire.TypeTicks:
		f.batch = new(market.Batch)
		if err := json.Unmarshal(f.Payload, f.batch); err != nil {
			return nil, fmt.Errorf("not a batch of ticks: %w", err)
		}
		if err := whole(f.batch); err != nil {
			return nil, err
		}
	case wire.TypeMessage:
		f.group, f.n, f.ours = s.ids.find(f.MessageID)
	default:
		return f, nil
	}
	slot.Store(&known{data: bytes.Clone(data), frame: f})
	return f, nil
}
