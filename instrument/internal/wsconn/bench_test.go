package wsconn

import (
	"net"
	"testing"

	"github.com/sockscope/sockscope/instrument"
)

// nowhere reads the same frame and takes everything.
type nowhere struct {
	net.Conn
	frame []byte
}

func (n *nowhere) Read(p []byte) (int, error) { return copy(p, n.frame), nil }

func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkConn reads and writes a message of 128 bytes, without a network: what is left is the price of an echo.
func BenchmarkConn(b *testing.B) {
	for name, counts := range map[string]bool{"followed": false, "counted": true} {
		b.Run(name, func(b *testing.B) {
			o, err := instrument.New()
			if err != nil {
				b.Fatal(err)
			}
			_, h := o.BeginHandshake(b.Context(), instrument.Request{})
			c := New(&nowhere{frame: append([]byte{0x82, 0xFE, 0, 128, 1, 2, 3, 4}, make([]byte, 128)...)})
			c.Begin(Config{Observed: h.Opened(101)}, nil)
			if counts {
				c.CountMessages(nil)
			}
			in, out := make([]byte, 4096), append([]byte{0x82, 126, 0, 128}, make([]byte, 128)...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Read(in); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Write(out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
