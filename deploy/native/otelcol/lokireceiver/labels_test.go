package lokireceiver

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

var labelCases = []struct {
	text string
	want []pair // nil when refused
}{
	{`{}`, []pair{}},
	{` { } `, []pair{}},
	{`{a="b"}`, []pair{{"a", "b"}}},
	{`{a="b", c = "d" ,}`, []pair{{"a", "b"}, {"c", "d"}}},
	{"{\n\ta=\"b\"\n}", []pair{{"a", "b"}}},
	{`{a="quoted \"text\", {braces} and \\ \u00e4\n"}`, []pair{{"a", "quoted \"text\", {braces} and \\ ä\n"}}},
	{"{a=`raw \\ \"`}", []pair{{"a", `raw \ "`}}},
	{`{"service.name"="x"}`, []pair{{"service.name", "x"}}},
	{`{__name__="m", __address__="h:1", a="b"}`, []pair{{"a", "b"}}},
	{`{a=""}`, []pair{{"a", ""}}},
	{``, nil},
	{`a="b"`, nil},
	{`{`, nil},
	{`{a}`, nil},
	{`{a=}`, nil},
	{`{a=b}`, nil},
	{`{a="b"`, nil},
	{`{a="b}`, nil},
	{`{a="b" c="d"}`, nil},
	{`{a="b"} more`, nil},
	{`{,}`, nil},
	{`{1a="b"}`, nil},
	{`{a-b="c"}`, nil},
	{`{a="\q"}`, nil},
	{`{a!="b"}`, nil},
}

func TestParseLabels(t *testing.T) {
	for _, test := range labelCases {
		got, err := parseLabels(test.text)
		switch {
		case test.want == nil && err == nil:
			t.Errorf("%s was accepted as %v", test.text, got)
		case test.want != nil && err != nil:
			t.Errorf("%s was refused: %v", test.text, err)
		case test.want != nil && fmt.Sprint(got) != fmt.Sprint(test.want):
			t.Errorf("%s gave %v, want %v", test.text, got, test.want)
		}
	}
}

func TestParseLabelsBoundsTheirNumber(t *testing.T) {
	text := "{" + strings.Repeat(`a="b",`, maxAttributes) + "}"
	if _, err := parseLabels(text); err != nil {
		t.Errorf("%d labels were refused: %v", maxAttributes, err)
	}
	if _, err := parseLabels(`{z="b",` + text[1:]); err == nil {
		t.Errorf("%d labels were accepted", maxAttributes+1)
	}
}

// FuzzParseLabels compares with Prometheus' parser, which contrib's receiver uses: what both accept is the same.
func FuzzParseLabels(f *testing.F) {
	for _, test := range labelCases {
		f.Add(test.text)
	}
	reference := parser.NewParser(parser.Options{})
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseLabels(text)
		if err != nil {
			return
		}
		parsed, err := reference.ParseMetric(text)
		if err != nil {
			t.Skip("we are more tolerant here")
		}
		want := map[string]string{}
		parsed.Range(func(l labels.Label) {
			if !strings.HasPrefix(l.Name, "__") {
				want[valid(l.Name)] = valid(l.Value)
			}
		})
		ours := map[string]string{}
		for _, p := range got {
			ours[p.name] = p.value
		}
		if !reflect.DeepEqual(ours, want) {
			t.Errorf("%q gave %q, Prometheus reads %q", text, ours, want)
		}
	})
}
