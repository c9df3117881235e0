// Package page is the demo in the browser: the page at / and those of single uses, and the handler that serves them.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/sockscope/sockscope/instrument/browser"
)

//go:embed *.css *.js *.svg document/*.css document/*.js game/*.css game/*.js use
var files embed.FS

// templates are the pages, by the folder of each, and what they have in common.
//
//go:embed *.html document/*.html game/*.html
var templates embed.FS

// instrument is the folder of the page that has the modules of package browser.
const instrument = "instrument"

// Policy lets the page have what this server serves and nothing else, and no markup that a script has made of text.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Config says where the page's telemetry is.
type Config struct {
	// TraceURL is what a trace id is appended to for a link. An empty one makes no links.
	TraceURL string
	// SpansURL is where the page sends its spans by OTLP over HTTP. An empty one makes it send none.
	SpansURL string
}

// policy is Policy, with the origin that spans are sent to.
func (c Config) policy() (string, error) {
	if c.SpansURL == "" {
		return Policy, nil
	}
	u, err := url.Parse(c.SpansURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(u.Host, " ;,'\"") {
		return "", fmt.Errorf("SpansURL is %q: give an address such as http://127.0.0.1:4318/v1/traces", c.SpansURL)
	}
	const own = "connect-src 'self'"
	return strings.Replace(Policy, own, own+" "+u.Scheme+"://"+u.Host, 1), nil
}

// Handler serves the page at /, those of single uses below it, such as /game/, and the files that belong to them. Files
// that have not changed are not sent again.
func Handler(cfg Config) (http.Handler, error) {
	policy, err := cfg.policy()
	if err != nil {
		return nil, err
	}
	modules, version, err := inspect()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, folder := range []string{"/", "/document/", "/game/"} {
		content, err := render(folder, map[string]any{"Config": cfg, "Modules": modules})
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		tag := `"` + version + hex.EncodeToString(sum[:8]) + `"`
		mux.HandleFunc(folder+"{$}", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", tag)
			http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(content))
		})
	}
	mux.Handle("/", http.FileServerFS(files))
	mux.Handle("/"+instrument+"/", http.StripPrefix("/"+instrument+"/", http.FileServerFS(browser.Files())))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"`+version+`"`)
		mux.ServeHTTP(w, r)
	}), nil
}

// render returns the page of a folder.
func render(folder string, data any) ([]byte, error) {
	t, err := template.ParseFS(templates, "frame.html", path.Join(".", folder, "index.html"))
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = t.ExecuteTemplate(&page, "index.html", data)
	return page.Bytes(), err
}

// inspect returns the paths of the modules of the page at /, which it loads at once rather than one because of the
// other, and a version of all files together, so that a browser never mixes two.
func inspect() (modules []string, version string, err error) {
	sum := sha256.New()
	for _, part := range []struct {
		folder string
		files  fs.FS
	}{{"", files}, {instrument, browser.Files()}} {
		err := fs.WalkDir(part.files, ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			data, err := fs.ReadFile(part.files, name)
			if err != nil {
				return err
			}
			_, _ = sum.Write(data)                     // never fails
			if ok, _ := path.Match("*.js", name); ok { // which has no folder
				modules = append(modules, path.Join(part.folder, name))
			}
			return nil
		})
		if err != nil {
			return nil, "", err
		}
	}
	return modules, hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
