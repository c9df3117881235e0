package demo

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page have what this server serves and nothing else, and no markup that a script has made of text.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// pageHandler serves the page at / and the files that belong to it. What has not changed is not sent again.
func pageHandler(traceURL string) (http.Handler, error) {
	static, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	modules, version, err := inspectPage(static)
	if err != nil {
		return nil, err
	}
	tmpl, err := template.ParseFS(static, "index.html")
	if err != nil {
		return nil, err
	}
	var index bytes.Buffer
	if err := tmpl.Execute(&index, map[string]any{"TraceURL": traceURL, "Modules": modules}); err != nil {
		return nil, err
	}
	pageVersion := sha256.Sum256(index.Bytes())
	indexVersion := version + hex.EncodeToString(pageVersion[:8])
	files := http.FileServerFS(static)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Path == "/" {
			h.Set("ETag", `"`+indexVersion+`"`)
			http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(index.Bytes()))
			return
		}
		h.Set("ETag", `"`+version+`"`)
		files.ServeHTTP(w, r)
	}), nil
}

// inspectPage returns the names of the page's modules, which it loads at once rather than one because of the other, and
// a version of all its files together, so that a browser never mixes two.
func inspectPage(static fs.FS) (modules []string, version string, err error) {
	entries, err := fs.ReadDir(static, ".")
	if err != nil {
		return nil, "", err
	}
	sum := sha256.New()
	for _, e := range entries {
		data, err := fs.ReadFile(static, e.Name())
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
