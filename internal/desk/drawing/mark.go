package drawing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/dashboard"
)

// Marks returns what the annotations of the dashboard mark.
func (v *View) Marks(ctx context.Context) ([]Mark, error) {
	var marks []Mark
	var failed error
	for _, a := range v.board.Annotations.List {
		if !a.Enable || a.Expr == "" {
			continue
		}
		more, err := v.marks(ctx, a)
		failed = errors.Join(failed, err)
		marks = append(marks, more...)
	}
	slices.SortFunc(marks, func(a, b Mark) int { return int(a.From - b.From) })
	return marks[:min(len(marks), maxMarks)], failed
}

func (v *View) marks(ctx context.Context, a dashboard.Annotation) ([]Mark, error) {
	shortest := dashboard.ScrapeInterval
	if a.Step != "" {
		var err error
		if shortest, err = dashboard.ParseStep(a.Step); err != nil {
			return nil, fmt.Errorf("the annotation %s: %w", a.Name, err)
		}
	}
	step := v.span.Step(maxPoints, shortest)
	expr, err := v.expand(ctx, a.Expr, v.span.BuiltIn(step))
	if err != nil {
		return nil, fmt.Errorf("the annotation %s: %w", a.Name, err)
	}
	series, _, err := v.drawer.Prometheus.Range(ctx, expr, v.span.From, v.span.To, step, maxMarks)
	if err != nil {
		return nil, fmt.Errorf("the annotation %s: %w", a.Name, err)
	}
	var marks []Mark
	for _, s := range series {
		mark := Mark{Color: markColor(a.Color), Title: a.Name, Text: backend.Cut(legend(a.TextFormat, s.Labels), maxName)}
		if a.TitleFormat != "" {
			mark.Title = backend.Cut(legend(a.TitleFormat, s.Labels), maxTitleOfMark)
		}
		for _, p := range s.Points {
			at := p.At
			if a.ValueForTime {
				at = int64(p.Value)
				if at < v.span.From.UnixMilli() || at > v.span.To.UnixMilli() {
					continue
				}
			} else if n := len(marks) - 1; n >= 0 && marks[n].Title == mark.Title && marks[n].Text == mark.Text && at > marks[n].To && at-marks[n].To <= 2*step.Milliseconds() {
				marks[n].To = at
				continue
			}
			if n := len(marks) - 1; n >= 0 && marks[n].From == at && marks[n].Title == mark.Title {
				continue
			}
			mark.From, mark.To = at, at
			if marks = append(marks, mark); len(marks) >= maxMarks {
				return marks, nil
			}
		}
	}
	return marks, nil
}
