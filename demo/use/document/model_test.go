package document

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/wire"
)

// sending is an edit that a client sends.
type sending struct {
	ID         string                   `json:"id"`
	Version    uint64                   `json:"version"`
	Operations []wire.DocumentOperation `json:"operations"`
}

// client is an editor as a page has it.
type client interface {
	edit(e edit)
	undo(again bool)
	open(p wire.DocumentPayload)
	receive(id string, p wire.DocumentEditPayload) (known bool)
	resume()
	text() string
	has() wire.DocumentOpenPayload
	sends() []sending // since the last call
}

// model is a client in Go: one edit is on its way, and the others wait for it one by one.
type model struct {
	doc     []uint16
	version uint64
	savedID string
	opened  bool
	own     []edit // the first is on its way
	id      string // of that one
	out     []sending
}

func (c *model) text() string { return string(utf16.Decode(c.doc)) }

func (c *model) sends() (out []sending) {
	out, c.out = c.out, nil
	return out
}

func (c *model) has() wire.DocumentOpenPayload {
	if !c.opened {
		return wire.DocumentOpenPayload{}
	}
	after := c.version
	return wire.DocumentOpenPayload{After: &after, SavedID: c.savedID}
}

func (c *model) edit(e edit) {
	c.apply(e)
	c.own = append(c.own, e)
	if len(c.own) == 1 {
		c.begin()
	}
}

// apply keeps what can't be applied from going unnoticed.
func (c *model) apply(e edit) {
	var err error
	if c.doc, err = e.apply(c.doc); err != nil {
		panic(err)
	}
}

func (c *model) undo(bool) {} // it is of the page alone

func (c *model) begin() {
	c.id = uuid.NewString()
	c.resume()
}

func (c *model) resume() {
	for len(c.own) > 0 && !changes(c.own[0]) {
		c.own = c.own[1:]
		c.id = uuid.NewString()
	}
	if len(c.own) > 0 {
		c.out = append(c.out, sending{c.id, c.version, c.own[0].operations()})
	}
}

func changes(e edit) bool {
	for _, o := range e {
		if o.retain == 0 {
			return true
		}
	}
	return false
}

func (c *model) open(p wire.DocumentPayload) {
	if p.Text != nil { // else edits follow, of which some may have come meanwhile
		c.doc, c.own = utf16.Encode([]rune(*p.Text)), nil
		c.version, c.savedID, c.opened = p.Version, p.SavedID, true
	}
}

func (c *model) receive(id string, p wire.DocumentEditPayload) bool {
	switch {
	case p.Version <= c.version:
		return true
	case p.Base > c.version:
		return false
	}
	c.version, c.savedID = p.Version, p.SavedID
	if len(c.own) > 0 && id == c.id {
		if c.own = c.own[1:]; len(c.own) > 0 {
			c.begin()
		}
		return true
	}
	e := editOf(p.Operations)
	for i := range c.own {
		e, c.own[i], _ = transform(e, c.own[i])
	}
	c.apply(e)
	return true
}

// pages are clients as the page has them, in Node.js.
type pages struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

// newPages starts Node.js with the page's modules.
func newPages(t *testing.T) *pages {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("package.json", []byte(`{"type": "module"}`), nil)
	for _, name := range []string{"edit.js", "editor.js"} {
		data, err := os.ReadFile(filepath.Join("../../page/document", name))
		write(name, data, err)
	}
	data, err := os.ReadFile("testdata/editors.mjs")
	write("editors.mjs", data, err)
	cmd := exec.Command("node", "editors.mjs")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		t.Skip("the page's editors run in Node.js, which is not installed: make test installs it on Debian")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("node: %v", err)
		}
	})
	p := &pages{t: t, in: in, out: bufio.NewScanner(out)}
	p.out.Buffer(nil, 1<<20)
	return p
}

// page is one of them.
type page struct {
	*pages
	name  string
	state struct {
		OK   bool
		Text string
		Has  struct {
			After   *uint64
			SavedID string
		}
		Sends []sending
	}
	out []sending
}

func (p *pages) new(name string) client { return &page{pages: p, name: name} }

func (p *page) do(act, id string, payload any) {
	p.t.Helper()
	line, err := json.Marshal(map[string]any{"editor": p.name, "act": act, "id": id, "payload": payload})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(p.in, "%s\n", line); err != nil {
		p.t.Fatal(err)
	}
	p.state.Has.After, p.state.Sends = nil, nil
	if !p.pages.out.Scan() {
		p.t.Fatalf("node has ended: %v", p.pages.out.Err())
	}
	if err := json.Unmarshal(p.pages.out.Bytes(), &p.state); err != nil {
		p.t.Fatal(err)
	}
	p.out = append(p.out, p.state.Sends...)
}

func (p *page) edit(e edit)                   { p.do("edit", "", e.operations()) }
func (p *page) open(doc wire.DocumentPayload) { p.do("open", "", doc) }
func (p *page) resume()                       { p.do("resume", "", nil) }
func (p *page) text() string                  { return p.state.Text }

func (p *page) undo(again bool) {
	if again {
		p.do("redo", "", nil)
	} else {
		p.do("undo", "", nil)
	}
}

func (p *page) receive(id string, e wire.DocumentEditPayload) bool {
	p.do("receive", id, e)
	return p.state.OK
}

func (p *page) has() wire.DocumentOpenPayload {
	return wire.DocumentOpenPayload{After: p.state.Has.After, SavedID: p.state.Has.SavedID}
}

func (p *page) sends() (out []sending) {
	out, p.out = p.out, nil
	return out
}
