// Package page is the demo's page in the browser: its files, and the handler that serves them.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// Policy lets the page have what this server serves and nothing else, and no markup that a script has made of text.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page at / and the files that belong to it. Files that have not changed are not sent again. A trace
// id is appended to traceURL for a link; an empty one makes no links.
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

// inspect returns the names of the page's modules, which it loads at once rather than one because of the other, and a
// version of all its files together, so that a browser never mixes two.
func inspect() (modules []string, version string, err error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, "", err
	}
	sum := sha256.New()
	for _, e := range entries {
		data, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, "", err
		}
		_, _ = sum.Write(data) // never fails
		if strings.HasSuffix(e.Name(), ".js") {
			modules = append(modules, e.Name())
		}
	}
	return modules, hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
