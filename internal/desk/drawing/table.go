package drawing

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/dashboard"
)

// Table is a table.
type Table struct {
	Columns []Column `json:"columns"`
	Rows    [][]Cell `json:"rows"`
}

// Column is one of a table.
type Column struct {
	Name    string  `json:"name"`
	Unit    Unit    `json:"unit"`
	Numbers bool    `json:"numbers,omitempty"`
	Bar     bool    `json:"bar,omitempty"`
	Fill    bool    `json:"fill,omitempty"` // the colour is behind the text
	Max     float64 `json:"max,omitempty"`
}

// Cell is one of a row: a number, or a text.
type Cell struct {
	Number Number `json:"number"`
	Text   string `json:"text,omitempty"`
	Color  string `json:"color,omitempty"`
	Href   string `json:"href,omitempty"`
}

// table draws a row for each series: its labels, and its newest value.
func (d *draft) table(ctx context.Context) {
	d.out.Table = &Table{Columns: []Column{}, Rows: [][]Cell{}}
	answers := d.ask(ctx)
	if len(answers) != 1 {
		d.fail(errors.New("the desk draws tables of one query"))
		return
	}
	f := frameOf(answers[0])
	if by := d.panel.Options.SortBy; len(by) > 0 {
		f.sort(by[0].Column, by[0].Desc)
	}
	rows := make([][]Cell, len(f.rows))
	for i, name := range f.columns {
		field, err := d.panel.FieldConfig.Of(name, answers[0].target.Ref, f.kind(i))
		d.fail(err)
		if field.Custom.Hidden {
			continue
		}
		d.out.Table.Columns = append(d.out.Table.Columns, d.column(f, i, field))
		for k, row := range f.rows {
			rows[k] = append(rows[k], drawn(field, f, row, i))
		}
	}
	d.out.Table.Rows = rows
	if len(rows) > maxRows {
		d.out.Table.Rows, d.out.More = rows[:maxRows], d.out.More+len(rows)-maxRows
	}
}

// frame is a table as it came: the time, the labels by name, and the value.
type frame struct {
	columns []string
	rows    [][]cell
}

// cell has a number or a text.
type cell struct {
	number Number
	text   string
}

func frameOf(a answer) frame {
	names := make(map[string]bool)
	for _, s := range a.series {
		for name := range s.Labels {
			names[name] = name != "__name__"
		}
	}
	f := frame{columns: []string{"Time"}}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] {
			f.columns = append(f.columns, name)
		}
	}
	f.columns = append(f.columns, "Value")
	for _, s := range a.series {
		if len(s.Points) == 0 {
			continue
		}
		p := s.Points[len(s.Points)-1]
		row := []cell{{number: Number(p.At)}}
		for _, name := range f.columns[1 : len(f.columns)-1] {
			row = append(row, cell{none(), backend.Cut(s.Labels[name], maxName)})
		}
		f.rows = append(f.rows, append(row, cell{number: Number(p.Value)}))
	}
	return f
}

// kind is what Grafana calls the type of a column.
func (f frame) kind(column int) string {
	switch column {
	case 0:
		return "time"
	case len(f.columns) - 1:
		return "number"
	}
	return "string"
}

// sort sorts the rows by a column. Cells without a value come last.
func (f frame) sort(column string, desc bool) {
	i := slices.Index(f.columns, column)
	if i < 0 {
		return
	}
	slices.SortStableFunc(f.rows, func(a, b []cell) int {
		x, y := a[i], b[i]
		if math.IsNaN(float64(x.number)) != math.IsNaN(float64(y.number)) {
			return cmp.Compare(y.number, x.number) // NaN is less than any number
		}
		order := cmp.Or(cmp.Compare(x.number, y.number), strings.Compare(x.text, y.text))
		if desc {
			return -order
		}
		return order
	})
}

func (d *draft) column(f frame, i int, field dashboard.Field) Column {
	c := Column{
		Name: cmp.Or(field.DisplayName, f.columns[i]), Numbers: f.kind(i) != "string",
		Bar: field.Custom.Cell.Type == "gauge", Fill: field.Custom.Cell.Type == "color-background",
	}
	switch {
	case f.kind(i) == "time" && (field.Unit == "" || field.Unit == "short"):
		c.Unit = Unit{Form: "time", Factor: 1e-3}
	case c.Numbers:
		c.Unit = d.unit(field)
	default:
		c.Unit = Unit{Form: "plain", Factor: 1}
	}
	if field.Max != nil {
		c.Max = *field.Max
		return c
	}
	for _, row := range f.rows {
		if v := row[i].number; v.exists() {
			c.Max = max(c.Max, float64(v))
		}
	}
	return c
}

// drawn is how a cell is drawn.
func drawn(field dashboard.Field, f frame, row []cell, i int) Cell {
	v := row[i]
	c := Cell{Number: v.number, Text: v.text}
	if how := field.Custom.Cell.Type; v.number.exists() && how != "" && how != "auto" {
		c.Color = thresholdColor(field, float64(v.number))
	}
	if result, ok := mapped(field, float64(v.number), v.text); ok {
		c.Text = result.Text
		if result.Color != "" {
			c.Color = stateColor(result.Color)
		}
	}
	if len(field.Links) > 0 {
		c.Href = link(field.Links[0].URL, f.columns, row, v)
	}
	return c
}
