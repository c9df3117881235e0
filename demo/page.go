package demo

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

// pageHandler serves the chat's page and what belongs to it. Everything comes
// from this server, and the page's policy allows nothing else.
func pageHandler(traceURL string) (http.Handler, error) {
	tmpl, err := template.ParseFS(pageFiles, "page/index.html")
	if err != nil {
		return nil, err
	}
	var index bytes.Buffer
	if err := tmpl.Execute(&index, struct{ TraceURL string }{traceURL}); err != nil {
		return nil, err
	}
	static, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	files := http.FileServerFS(static)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Path == "/" {
			h.Set("Content-Type", "text/html; charset=utf-8")
			// An error here means that the browser is gone.
			_, _ = w.Write(index.Bytes())
			return
		}
		files.ServeHTTP(w, r)
	}), nil
}
