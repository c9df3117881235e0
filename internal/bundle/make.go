package bundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/sockscope/sockscope/internal/component"
)

// Stage fills dir with the components' binaries, which are where binaries says, and with the manifest. This program and
// the notices have to be added.
func Stage(ctx context.Context, dir string, store *component.Store, components []component.Component, binaries map[string]string) error {
	var manifest Manifest
	manifest.OS, manifest.Arch = store.Platform()
	if err := os.MkdirAll(filepath.Join(dir, BinDir), 0o755); err != nil {
		return err
	}
	for _, c := range components {
		if err := ctx.Err(); err != nil {
			return err
		}
		pins, err := store.Pins(c)
		if err != nil {
			return err
		}
		from, err := os.Open(binaries[c.Name])
		if err != nil {
			return fmt.Errorf("stage %s: %w", c.Name, err)
		}
		binary, err := write(from, filepath.Join(dir, BinDir, c.Name))
		if err := errors.Join(err, from.Close()); err != nil {
			return fmt.Errorf("stage %s: %w", c.Name, err)
		}
		binary.Name, binary.Version, binary.Pins = c.Name, c.Version, pins
		manifest.Components = append(manifest.Components, binary)
	}
	content, err := json.MarshalIndent(manifest, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ManifestFile), append(content, '\n'), 0o644)
}

// Archive writes the folder as a bundle whose one folder is named name, and returns its SHA-256 in hexadecimal digits.
// The same folder always gives the same bytes.
func Archive(to io.Writer, folder fs.FS, name string) (checksum string, err error) {
	sum := sha256.New()
	zipped, err := gzip.NewWriterLevel(io.MultiWriter(to, sum), gzip.DefaultCompression)
	if err != nil {
		return "", err
	}
	files := tar.NewWriter(zipped)
	err = fs.WalkDir(folder, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		err = files.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: path.Join(name, file), Size: info.Size(), Mode: int64(info.Mode().Perm()), Format: tar.FormatUSTAR,
		})
		if err != nil {
			return err
		}
		from, err := folder.Open(file)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(files, from)
		return err
	})
	if err := errors.Join(err, files.Close(), zipped.Close()); err != nil {
		return "", fmt.Errorf("write the bundle %s: %w", name, err)
	}
	return digits(sum), nil
}
