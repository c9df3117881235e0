// Package page is the demo in the browser: the page at / and those of single uses, and the handler that serves them.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed *.html *.css *.js *.svg document game use
var files embed.FS

// Policy lets the page have what this server serves and nothing else, and no markup that a script has made of text.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page at /, those of single uses below it, such as /game/, and the files that belong to them. Files
// that have not changed are not sent again. A trace id is appended to traceURL for a link; an empty one makes no links.
func Handler(traceURL string) (http.Handler, error) {
	modules, version, err := inspect()
	if err != nil {
		return nil, err
	}
	tmpl, err := template.ParseFS(files, "index.html")
	if err != nil {
		return nil, err
	}
	var index bytes.Buffer
	if err := tmpl.Execute(&index, map[string]any{"TraceURL": traceURL, "Modules": modules}); err != nil {
		return nil, err
	}
	pageVersion := sha256.Sum256(index.Bytes())
	indexVersion := version + hex.EncodeToString(pageVersion[:8])
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Path == "/" {
			h.Set("ETag", `"`+indexVersion+`"`)
			http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(index.Bytes()))
			return
		}
		h.Set("ETag", `"`+version+`"`)
		server.ServeHTTP(w, r)
	}), nil
}

// inspect returns the names of the modules of the page at /, which it loads at once rather than one because of the
// other, and a version of all files together, so that a browser never mixes two.
func inspect() (modules []string, version string, err error) {
	sum := sha256.New()
	err = fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		_, _ = sum.Write(data)                     // never fails
		if ok, _ := path.Match("*.js", name); ok { // which has no folder
			modules = append(modules, name)
		}
		return nil
	})
	return modules, hex.EncodeToString(sum.Sum(nil)[:8]), err
}
