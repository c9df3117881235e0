// Package bundle reads and writes archives that have this program and all components of the stack for one platform. The
// stack starts from one without a compiler and without a network.
package bundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sockscope/sockscope/internal/component"
)

// Names of files in a bundle, below its one folder.
const (
	// ManifestFile is a Manifest in JSON.
	ManifestFile = "bundle.json"
	// BinDir is the folder with the components' binaries.
	BinDir = "bin"
	// NoticesFile has the licences of everything that is linked.
	NoticesFile = "THIRD_PARTY_NOTICES"
)

// Manifest says what is in a bundle.
type Manifest struct {
	// OS and Arch are the platform, as Go names it.
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// Components are the binaries in BinDir.
	Components []Component `json:"components"`
}

// Component is a binary in a bundle.
type Component struct {
	// Name is that of the component and of the file.
	Name string `json:"name"`
	// Version of the component.
	Version string `json:"version"`
	// Pins is what it was built from: see [component.Store.Pins].
	Pins string `json:"pins"`
	// Size of the file in bytes.
	Size int64 `json:"size"`
	// SHA256 of the file, in hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// Nobody has components beyond these sizes, in bytes; a broken archive may.
const (
	maxManifest = 1 << 20
	maxBinary   = 1 << 30
)

// Unpack puts the components of the archive into the store, unless they are there already. It takes all of them or
// none: each must be what this program would build, for this platform, and as long as and with the checksum that the
// manifest says. The checksums find a broken archive; whether it is the one that was released, only the release's own
// checksums tell.
func Unpack(ctx context.Context, archive string, store *component.Store, components []component.Component) error {
	missing, err := missing(store, components)
	if err != nil || len(missing) == 0 {
		return err
	}
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open the bundle: %w", err)
	}
	defer file.Close()
	if err := os.MkdirAll(store.Dir, 0o755); err != nil {
		return fmt.Errorf("make the cache directory: %w (name another by --cache)", err)
	}
	dir, err := os.MkdirTemp(store.Dir, "unpacking-")
	if err != nil {
		return fmt.Errorf("unpack the bundle: %w (name another cache directory by --cache)", err)
	}
	defer os.RemoveAll(dir)
	found, err := extract(ctx, file, dir, missing)
	if err == nil {
		err = found.check(store, missing)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	for _, c := range missing {
		if err := store.Keep(c, filepath.Join(dir, c.Name)); err != nil {
			return err
		}
	}
	return nil
}

func missing(store *component.Store, components []component.Component) ([]component.Component, error) {
	var missing []component.Component
	for _, c := range components {
		has, err := store.Has(c)
		if err != nil {
			return nil, err
		}
		if !has {
			missing = append(missing, c)
		}
	}
	return missing, nil
}

// contents are what was found in an archive.
type contents struct {
	manifest *Manifest
	binaries map[string]Component // with names, sizes and checksums as they are
}

// extract writes the binaries of the components into dir.
func extract(ctx context.Context, archive io.Reader, dir string, components []component.Component) (contents, error) {
	found := contents{binaries: make(map[string]Component)}
	wanted := make(map[string]bool)
	for _, c := range components {
		wanted[c.Name] = true
	}
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return found, fmt.Errorf("this is no bundle: %w", err)
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return found, fmt.Errorf("the bundle is broken: %w", err)
		}
		name, err := inBundle(header)
		if err != nil {
			return found, err
		}
		folder, base := path.Split(name)
		switch {
		case name == ManifestFile:
			found.manifest = new(Manifest)
			if err := json.NewDecoder(io.LimitReader(files, maxManifest)).Decode(found.manifest); err != nil {
				return found, fmt.Errorf("%s: %w", name, err)
			}
		case folder == BinDir+"/" && wanted[base]:
			binary, err := write(files, filepath.Join(dir, base))
			if err != nil {
				return found, fmt.Errorf("unpack %s: %w", name, err)
			}
			binary.Name = base
			found.binaries[base] = binary
		}
	}
}

// inBundle returns the name of an entry below the archive's one folder, or "" if it is no file. Nothing is written
// under names of the archive's choice, but one that leads elsewhere was made by somebody who means harm.
func inBundle(header *tar.Header) (string, error) {
	if !filepath.IsLocal(header.Name) || strings.Contains(header.Name, `\`) {
		return "", fmt.Errorf("the entry %q leads out of the bundle: do not use it", header.Name)
	}
	switch header.Typeflag {
	case tar.TypeReg:
		_, name, _ := strings.Cut(path.Clean(header.Name), "/")
		return name, nil
	case tar.TypeDir:
		return "", nil
	default:
		return "", fmt.Errorf("the entry %q is neither a file nor a folder: do not use this bundle", header.Name)
	}
}

func write(from io.Reader, path string) (Component, error) {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return Component{}, err
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(from, maxBinary+1))
	if err := errors.Join(err, to.Close()); err != nil {
		return Component{}, err
	}
	if size > maxBinary {
		return Component{}, fmt.Errorf("it is larger than %d bytes", maxBinary)
	}
	return Component{Size: size, SHA256: digits(sum)}, nil
}

func digits(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }

// check makes sure that the binaries are those of the manifest, and those that are wanted here.
func (found contents) check(store *component.Store, wanted []component.Component) error {
	m := found.manifest
	if m == nil {
		return fmt.Errorf("this is no bundle: it has no %s", ManifestFile)
	}
	if os, arch := store.Platform(); m.OS != os || m.Arch != arch {
		return fmt.Errorf("the bundle is for %s/%s, and this program runs on %s/%s: take the one for that", m.OS, m.Arch, os, arch)
	}
	said := make(map[string]Component)
	for _, c := range m.Components {
		said[c.Name] = c
	}
	var faults []error
	for _, c := range wanted {
		pins, err := store.Pins(c)
		if err != nil {
			return err
		}
		said, there := said[c.Name]
		binary, unpacked := found.binaries[c.Name]
		switch {
		case !there:
			faults = append(faults, fmt.Errorf("the bundle has no %s: it is of another release than this program", c.Name))
		case said.Version != c.Version:
			faults = append(faults, fmt.Errorf("the bundle has %s %s, and this program needs %s: it is of another release", c.Name, said.Version, c.Version))
		case said.Pins != pins:
			faults = append(faults, fmt.Errorf("the bundle's %s was built from other sources than this program's: it is of another release", c.Name))
		case !unpacked:
			faults = append(faults, fmt.Errorf("the bundle is broken: it has no file %s/%s", BinDir, c.Name))
		case binary.Size != said.Size || binary.SHA256 != said.SHA256:
			faults = append(faults, fmt.Errorf("the bundle is broken: %s/%s has another checksum than %s says", BinDir, c.Name, ManifestFile))
		}
	}
	return errors.Join(faults...)
}
