package wsconn

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pieces records what is written by each call.
type pieces struct {
	nowhere
	written []string
	room    int // bytes before writes fail
}

var errFull = errors.New("full")

func (p *pieces) Write(b []byte) (int, error) {
	n := min(len(b), p.room)
	p.room -= n
	p.written = append(p.written, string(b[:n]))
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

// TestGathersFrames writes frames in two pieces and looks after each call at what has been written.
func TestGathersFrames(t *testing.T) {
	const head = "\x82\x05"
	for name, tt := range map[string]struct {
		pieces []string
		room   int
		before int // calls before the last piece
		want   []string
		torn   bool
	}{
		"whole frames":                   {[]string{head + "abcde", "\x81\x01x"}, 100, 1, []string{head + "abcde", "\x81\x01x"}, false},
		"a frame in two pieces":          {[]string{head + "ab", "cde"}, 100, 0, []string{head + "ab", "cde"}, false},
		"a header alone":                 {[]string{head, "abcde"}, 100, 0, []string{head, "abcde"}, false},
		"a rest that looks like a frame": {[]string{head + "ab", "\x82\x01x"}, 100, 0, []string{head + "ab", "\x82\x01x"}, false},
		"a header in pieces":             {[]string{"\x82", "\x05abcde"}, 100, 1, []string{"\x82", "\x05abcde"}, false},
		"no room for the beginning":      {[]string{head + "ab", "cde"}, 1, 0, []string{"\x82"}, true},
		"no room for the rest":           {[]string{head + "ab", "cde"}, 5, 0, []string{head + "ab", "c"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &pieces{room: tt.room}
			c := New(transport)
			c.Begin(Config{GathersFrames: true}, nil)
			c.CountMessages(nil)
			last := len(tt.pieces) - 1
			for i, p := range tt.pieces {
				if i == last && len(transport.written) != tt.before {
					t.Errorf("%q was written before the last piece, want %d calls", transport.written, tt.before)
				}
				n, err := c.Write([]byte(p))
				switch {
				case i < last || !tt.torn:
					if n != len(p) || err != nil {
						t.Errorf("Write = %d, %v, want %d", n, err, len(p))
					}
				case !errors.Is(err, errFull) || n > len(p):
					t.Errorf("Write = %d, %v, want it to fail", n, err)
				}
			}
			if diff := cmp.Diff(tt.want, transport.written); diff != "" {
				t.Errorf("written, -want +got:\n%s", diff)
			}
			if c.out.Aligned() == tt.torn {
				t.Errorf("at the end of a frame: %v, want %v", c.out.Aligned(), !tt.torn)
			}
		})
	}
}

// TestGathersHeaders writes frames of a library that may change the header after it has been written.
func TestGathersHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		pieces []string
		held   bool // the first piece, until the second is written
	}{
		"a header alone":         {[]string{"\x82\x05", "abcde"}, true},
		"a longer header":        {[]string{"\x82\x7E\x00\x80", string(make([]byte, 128))}, true},
		"a ping":                 {[]string{"\x89\x01", "a"}, false},
		"a frame without pieces": {[]string{"\x82\x05abcde"}, false},
		"much of the payload":    {[]string{"\x82\x14abcdefghijklmnop", "qrst"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &pieces{room: 1000}
			c := New(transport)
			c.Begin(Config{}, nil)
			for i, s := range tt.pieces {
				p := []byte(s)
				if n, err := c.Write(p); n != len(p) || err != nil {
					t.Errorf("Write = %d, %v, want %d", n, err, len(p))
				}
				clear(p)
				if held := len(transport.written) == 0; i == 0 && held != tt.held {
					t.Errorf("the beginning is held: %v, want %v", held, tt.held)
				}
			}
			if diff := cmp.Diff(tt.pieces, transport.written); diff != "" {
				t.Errorf("written, -want +got:\n%s", diff)
			}
		})
	}
}

// TestCloseBeforeFrame sends a close frame while the beginning of another frame is held, whose rest does not come.
func TestCloseBeforeFrame(t *testing.T) {
	server, peer := net.Pipe()
	defer peer.Close()
	c := New(server)
	c.Begin(Config{GathersFrames: true}, nil)
	if n, err := c.Write([]byte("\x82\x05ab")); n != 4 || err != nil {
		t.Fatalf("Write = %d, %v, want 4", n, err)
	}
	got := make(chan []byte, 1)
	go func() {
		p := make([]byte, 100)
		n, _ := peer.Read(p)
		got <- p[:n]
	}()
	if err := c.SendClose(1001, ""); err != nil {
		t.Fatal(err)
	}
	if p := <-got; !bytes.Equal(p, closeFrame(1001, "")) {
		t.Errorf("the peer has read %q, want the close frame", p)
	}
	if _, err := c.Write([]byte("cde")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write = %v, want that a close frame has been sent", err)
	}
	if _, err := c.Write([]byte("\x82\x01x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write = %v, want that a close frame has been sent", err)
	}
}
