// Package docs has the contract and the runbooks, so that the program can look into them without a checkout of the
// repository.
package docs

import (
	"embed"
	"io/fs"
)

//go:embed contract.yaml runbooks/*.md
var files embed.FS

// Files returns this folder as it was when the program was compiled.
func Files() fs.FS { return files }
