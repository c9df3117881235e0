package wsconn

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// memory is a connection that reads one slice of bytes and writes another.
type memory struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (m *memory) Read(p []byte) (int, error)  { return m.in.Read(p) }
func (m *memory) Write(p []byte) (int, error) { return m.out.Write(p) }

// FuzzUnchanged sends bytes through a Conn in pieces, in both directions, and wants the same at the other end.
func FuzzUnchanged(f *testing.F) {
	f.Add([]byte{0x81, 0x85, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x88, 0x80, 0, 0, 0, 0}, []byte{1, 1, 3})
	f.Add([]byte{0x89, 0, 0x8A, 0, 0x88, 2, 3, 0xE8}, []byte{3, 4})
	f.Add([]byte{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x81, 0}, []byte{})
	f.Fuzz(func(t *testing.T, p, cuts []byte) {
		m := &memory{in: bytes.NewReader(p)}
		c := New(m)
		early := p[:min(len(p), len(cuts))]
		c.Begin(Config{}, early)
		c.CountMessages(nil)
		sent := bytes.Clone(p)
		rest := sent
		for len(rest) > 0 {
			n := len(rest)
			if len(cuts) > 0 {
				n, cuts = min(int(cuts[0]), n), cuts[1:]
			}
			if wrote, err := c.Write(rest[:n]); wrote != n || err != nil {
				t.Fatalf("Write: %v, %v", wrote, err)
			}
			rest = rest[n:]
		}
		received, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if want := append(bytes.Clone(early), p...); !bytes.Equal(received, want) {
			t.Errorf("read % x, want % x", received, want)
		}
		written := m.out.Bytes()
		if c.holding {
			written = append(written, c.parts[0]...)
		}
		if !bytes.Equal(written, p) || !bytes.Equal(sent, p) {
			t.Error("the bytes were changed")
		}
	})
}
