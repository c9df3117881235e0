//go:build genproto

package loki

// loki-client-go requires google.golang.org/genproto from before it was split. The packages of that are in two modules
// now, and programs that use this one would not build. No build has this import: it makes go.mod require, and `go mod
// tidy` keep, a genproto from after the split.
import _ "google.golang.org/genproto/googleapis/type/date"
