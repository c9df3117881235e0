package chatv1_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/pluginpb"
)

var update = flag.Bool("update", false, "write the Go code that is made of chat.proto")

// source is the path by which others import the file.
const source = "sockscope/chat/v1/chat.proto"

// compiled returns what a compiler makes of a source.
func compiled(t *testing.T, text string) protoreflect.FileDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(map[string]string{source: text}),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestGenerated makes the Go code anew, with the plugins that go.mod names as tools.
func TestGenerated(t *testing.T) {
	file := compiled(t, read(t, "chat.proto"))
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{source}, Parameter: proto.String("paths=source_relative"),
		ProtoFile: []*descriptorpb.FileDescriptorProto{
			protodesc.ToFileDescriptorProto(timestamppb.File_google_protobuf_timestamp_proto), protodesc.ToFileDescriptorProto(file),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		cmd := exec.CommandContext(t.Context(), "go", "tool", plugin)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(request), os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", plugin, err)
		}
		var response pluginpb.CodeGeneratorResponse
		if err := proto.Unmarshal(out, &response); err != nil || response.GetError() != "" || len(response.GetFile()) != 1 {
			t.Fatalf("%s: %d files, %v %s", plugin, len(response.GetFile()), err, response.GetError())
		}
		made := response.GetFile()[0]
		name := filepath.Base(made.GetName())
		if *update {
			if err := os.WriteFile(name, []byte(made.GetContent()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(made.GetContent(), read(t, name)); diff != "" {
			t.Errorf("%s is not what chat.proto says: go test -update writes it\n%s", name, diff)
		}
	}
}

// TestStyle holds chat.proto to the rules that buf calls STANDARD and COMMENTS, as far as such a file can break them.
func TestStyle(t *testing.T) {
	for _, broken := range violations(compiled(t, read(t, "chat.proto"))) {
		t.Error(broken)
	}
}

// TestStyleFinds breaks every rule once.
func TestStyleFinds(t *testing.T) {
	got := violations(compiled(t, `syntax = "proto3";
package chat;
message a_message { string someField = 1; oneof One { int32 x = 2; } }
enum kind { ZERO = 0; KIND_One = 1; }
service Chat { rpc say(a_message) returns (a_message); rpc Hear(a_message) returns (stream a_message); }
`))
	want := []string{
		"PACKAGE_VERSION_SUFFIX chat", "PACKAGE_DIRECTORY_MATCH chat",
		"MESSAGE_PASCAL_CASE chat.a_message", "COMMENT chat.a_message",
		"FIELD_LOWER_SNAKE_CASE chat.a_message.someField", "COMMENT chat.a_message.someField", "COMMENT chat.a_message.x",
		"ONEOF_LOWER_SNAKE_CASE chat.a_message.One", "COMMENT chat.a_message.One",
		"ENUM_PASCAL_CASE chat.kind", "COMMENT chat.kind", "ENUM_ZERO_VALUE_SUFFIX chat.ZERO",
		"ENUM_VALUE_PREFIX chat.ZERO", "COMMENT chat.ZERO", "ENUM_VALUE_UPPER_SNAKE_CASE chat.KIND_One", "COMMENT chat.KIND_One",
		"SERVICE_SUFFIX chat.Chat", "COMMENT chat.Chat",
		"RPC_PASCAL_CASE chat.Chat.say", "COMMENT chat.Chat.say",
		"RPC_REQUEST_STANDARD_NAME chat.Chat.say", "RPC_RESPONSE_STANDARD_NAME chat.Chat.say", "RPC_REQUEST_RESPONSE_UNIQUE chat.Chat.say",
		"COMMENT chat.Chat.Hear",
		"RPC_REQUEST_STANDARD_NAME chat.Chat.Hear", "RPC_RESPONSE_STANDARD_NAME chat.Chat.Hear", "RPC_REQUEST_RESPONSE_UNIQUE chat.Chat.Hear",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is found (-want +got):\n%s", diff)
	}
}

var (
	pascalCase     = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	lowerSnakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	upperSnakeCase = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)
	versioned      = regexp.MustCompile(`\.v[1-9][0-9]*$`)
	wordStart      = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// style collects rules that a file breaks, by the names that buf gives them.
type style struct {
	file  protoreflect.FileDescriptor
	found []string
}

func violations(file protoreflect.FileDescriptor) []string {
	s := &style{file: file}
	pkg := file.Package()
	s.want(versioned.MatchString(string(pkg)), "PACKAGE_VERSION_SUFFIX", pkg)
	s.want(strings.ReplaceAll(string(pkg), ".", "/") == strings.TrimSuffix(file.Path(), "/chat.proto"), "PACKAGE_DIRECTORY_MATCH", pkg)
	for i := range file.Messages().Len() {
		s.message(file.Messages().Get(i))
	}
	for i := range file.Enums().Len() {
		s.enum(file.Enums().Get(i))
	}
	used := make(map[protoreflect.FullName]int)
	for i := range file.Services().Len() {
		s.service(file.Services().Get(i), used)
	}
	return s.found
}

func (s *style) want(holds bool, rule string, name protoreflect.FullName) {
	if !holds {
		s.found = append(s.found, rule+" "+string(name))
	}
}

// named wants a name to be of a form, and a comment before what it names.
func (s *style) named(d protoreflect.Descriptor, form *regexp.Regexp, rule string) {
	s.want(form.MatchString(string(d.Name())), rule, d.FullName())
	comment := s.file.SourceLocations().ByDescriptor(d).LeadingComments
	s.want(strings.TrimSpace(comment) != "", "COMMENT", d.FullName())
}

func (s *style) message(m protoreflect.MessageDescriptor) {
	if m.IsMapEntry() {
		return
	}
	s.named(m, pascalCase, "MESSAGE_PASCAL_CASE")
	for i := range m.Fields().Len() {
		s.named(m.Fields().Get(i), lowerSnakeCase, "FIELD_LOWER_SNAKE_CASE")
	}
	for i := range m.Oneofs().Len() {
		if o := m.Oneofs().Get(i); !o.IsSynthetic() {
			s.named(o, lowerSnakeCase, "ONEOF_LOWER_SNAKE_CASE")
		}
	}
	for i := range m.Messages().Len() {
		s.message(m.Messages().Get(i))
	}
}

func (s *style) enum(e protoreflect.EnumDescriptor) {
	s.named(e, pascalCase, "ENUM_PASCAL_CASE")
	prefix := strings.ToUpper(wordStart.ReplaceAllString(string(e.Name()), "${1}_$2")) + "_"
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		if v.Number() == 0 {
			s.want(strings.HasSuffix(string(v.Name()), "_UNSPECIFIED"), "ENUM_ZERO_VALUE_SUFFIX", v.FullName())
		}
		s.want(strings.HasPrefix(string(v.Name()), prefix), "ENUM_VALUE_PREFIX", v.FullName())
		s.named(v, upperSnakeCase, "ENUM_VALUE_UPPER_SNAKE_CASE")
	}
}

func (s *style) service(d protoreflect.ServiceDescriptor, used map[protoreflect.FullName]int) {
	s.want(strings.HasSuffix(string(d.Name()), "Service"), "SERVICE_SUFFIX", d.FullName())
	s.named(d, pascalCase, "SERVICE_PASCAL_CASE")
	for i := range d.Methods().Len() {
		used[d.Methods().Get(i).Input().FullName()]++
		used[d.Methods().Get(i).Output().FullName()]++
	}
	for i := range d.Methods().Len() {
		m := d.Methods().Get(i)
		s.named(m, pascalCase, "RPC_PASCAL_CASE")
		s.want(m.Input().Name() == m.Name()+"Request", "RPC_REQUEST_STANDARD_NAME", m.FullName())
		s.want(m.Output().Name() == m.Name()+"Response", "RPC_RESPONSE_STANDARD_NAME", m.FullName())
		s.want(used[m.Input().FullName()] == 1 && used[m.Output().FullName()] == 1, "RPC_REQUEST_RESPONSE_UNIQUE", m.FullName())
	}
}
