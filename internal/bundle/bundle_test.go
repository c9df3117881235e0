package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sockscope/sockscope/internal/component"
)

// newStore returns a store of two components that nobody has to build.
func newStore(t *testing.T) (*component.Store, []component.Component) {
	t.Helper()
	store := &component.Store{Deploy: fstest.MapFS{}, Dir: filepath.Join(t.TempDir(), "cache")}
	var list []component.Component
	for _, name := range []string{"first", "second"} {
		for _, file := range []string{name + ".mod", name + ".sum"} {
			store.Deploy.(fstest.MapFS)["native/"+file] = &fstest.MapFile{Data: []byte("of " + name)}
		}
		list = append(list, component.Component{Name: name, Version: "1.2.3", Module: name, Package: "example.com/" + name})
	}
	return store, list
}

// staged returns the files of a bundle that has what the store wants.
func staged(t *testing.T, store *component.Store, list []component.Component) map[string]string {
	t.Helper()
	binaries := make(map[string]string)
	for _, c := range list {
		binaries[c.Name] = filepath.Join(t.TempDir(), c.Name)
		if err := os.WriteFile(binaries[c.Name], []byte("#!/bin/sh\necho "+c.Name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := Stage(t.Context(), dir, store, list, binaries); err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, name := range []string{ManifestFile, "bin/first", "bin/second"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
	}
	return files
}

// pack writes entries as an archive, the last names first.
func pack(t *testing.T, entries map[string]string, more ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	files := tar.NewWriter(zipped)
	names := slices.Sorted(maps.Keys(entries))
	slices.Reverse(names)
	for _, name := range names {
		more = append(more, tar.Header{Typeflag: tar.TypeReg, Name: "sockscope_1/" + name, Mode: 0o755})
	}
	for _, header := range more {
		header.Size = int64(len(entries[strings.TrimPrefix(header.Name, "sockscope_1/")]))
		if err := files.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if content := entries[strings.TrimPrefix(header.Name, "sockscope_1/")]; header.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(files, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unpack(t *testing.T, archive []byte, store *component.Store, list []component.Component) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Unpack(t.Context(), file, store, list)
	if left, _ := filepath.Glob(filepath.Join(store.Dir, "unpacking-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	return err
}

func TestUnpack(t *testing.T) {
	store, list := newStore(t)
	if err := unpack(t, pack(t, staged(t, store, list)), store, list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		path, ok, err := store.Find(t.Context(), c)
		if err != nil || !ok {
			t.Fatalf("%s was not found after unpacking: %v", c.Name, err)
		}
		if content, _ := os.ReadFile(path); string(content) != "#!/bin/sh\necho "+c.Name {
			t.Errorf("%s became %q", c.Name, content)
		}
	}
	// Components that are there already need no bundle.
	if err := Unpack(t.Context(), "away.tar.gz", store, list); err != nil {
		t.Error(err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		// change the bundle's files, or its manifest
		files    func(files map[string]string)
		manifest func(m *Manifest)
		more     []tar.Header
		cut      int // this many bytes off the end
		want     string
	}{
		{name: "another platform", manifest: func(m *Manifest) { m.OS = "plan9" }, want: "the bundle is for plan9/"},
		{name: "another version", manifest: func(m *Manifest) { m.Components[1].Version = "1.2.4" }, want: "second 1.2.4, and this program needs 1.2.3"},
		{name: "other sources", manifest: func(m *Manifest) { m.Components[0].Pins = "0" }, want: "first was built from other sources"},
		{name: "a component less", manifest: func(m *Manifest) { m.Components = m.Components[:1] }, want: "has no second"},
		{name: "another checksum", files: func(f map[string]string) { f["bin/first"] = strings.ToUpper(f["bin/first"]) }, want: "bin/first has another checksum"},
		{name: "another size", files: func(f map[string]string) { f["bin/first"] += " " }, want: "bin/first has another checksum"},
		{name: "a file less", files: func(f map[string]string) { delete(f, "bin/second") }, want: "has no file bin/second"},
		{name: "no manifest", files: func(f map[string]string) { delete(f, ManifestFile) }, want: "has no bundle.json"},
		{name: "a broken manifest", files: func(f map[string]string) { f[ManifestFile] = "{" }, want: "bundle.json"},
		{name: "a way out", more: []tar.Header{{Typeflag: tar.TypeReg, Name: "sockscope_1/../../first"}}, want: "leads out of the bundle"},
		{name: "an absolute name", more: []tar.Header{{Typeflag: tar.TypeReg, Name: "/etc/passwd"}}, want: "leads out of the bundle"},
		{name: "a link", more: []tar.Header{{Typeflag: tar.TypeSymlink, Name: "sockscope_1/bin", Linkname: "/etc"}}, want: "neither a file nor a folder"},
		{name: "the same file twice", more: []tar.Header{{Typeflag: tar.TypeReg, Name: "sockscope_1/bin/first"}}, want: "unpack bin/first"},
		{name: "half of it", cut: 100, want: "unexpected EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store, list := newStore(t)
			files := staged(t, store, list)
			if tc.files != nil {
				tc.files(files)
			}
			if tc.manifest != nil {
				var m Manifest
				if err := json.Unmarshal([]byte(files[ManifestFile]), &m); err != nil {
					t.Fatal(err)
				}
				tc.manifest(&m)
				content, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				files[ManifestFile] = string(content)
			}
			archive := pack(t, files, tc.more...)
			err := unpack(t, archive[:len(archive)-tc.cut], store, list)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one with %q", err, tc.want)
			}
			for _, c := range list {
				if has, _ := store.Has(c); has {
					t.Errorf("%s was taken from a bundle that was refused", c.Name)
				}
			}
		})
	}
	t.Run("what is no archive", func(t *testing.T) {
		store, list := newStore(t)
		if err := unpack(t, []byte("not zipped"), store, list); err == nil || !strings.Contains(err.Error(), "no bundle") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestArchive(t *testing.T) {
	store, list := newStore(t)
	folder := fstest.MapFS{}
	for name, content := range staged(t, store, list) {
		folder[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o755}
	}
	var first, second bytes.Buffer
	checksum, err := Archive(&first, folder, "sockscope_1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Archive(&second, folder, "sockscope_1"); err != nil || again != checksum || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("the same folder became other bytes: %s, then %s, %v", checksum, again, err)
	}
	if err := unpack(t, first.Bytes(), store, list); err != nil {
		t.Error(err)
	}
}

// FuzzExtract checks that extract writes only wanted binaries, and only below the given folder, whatever the archive
// has.
func FuzzExtract(f *testing.F) {
	for _, name := range []string{"a/bin/first", "a/../bin/first", "/bin/first", "a/bin/../../first", `a\..\bin/first`} {
		f.Add(name, []byte("content"), byte(tar.TypeReg))
		f.Add(name, []byte("{}"), byte(tar.TypeSymlink))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte, kind byte) {
		var out bytes.Buffer
		zipped := gzip.NewWriter(&out)
		files := tar.NewWriter(zipped)
		header := &tar.Header{Typeflag: kind, Name: name, Linkname: "/etc"}
		if kind == tar.TypeReg {
			header.Size = int64(len(content))
		}
		if files.WriteHeader(header) != nil {
			return // nothing that a tar archive can have
		}
		if kind == tar.TypeReg {
			if _, err := files.Write(content); err != nil {
				return
			}
		}
		if files.Close() != nil || zipped.Close() != nil {
			return
		}
		parent := t.TempDir()
		dir := filepath.Join(parent, "dir")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_, _ = extract(t.Context(), &out, dir, []component.Component{{Name: "first"}})
		for _, at := range []string{parent, dir} {
			entries, err := os.ReadDir(at)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				if entry.Name() != "dir" && (at != dir || entry.Name() != "first" || !entry.Type().IsRegular()) {
					t.Errorf("%q made %s in %s", name, entry, at)
				}
			}
		}
	})
}
