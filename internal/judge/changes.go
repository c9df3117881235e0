package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// A change is one thing in an expression that can be something else.
type change struct {
	Kind     string // comparison, matcher, number, duration or guard
	From, To int    // of the text that is replaced
	Text     string // that takes its place
	What     string // in words
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

// changes returns everything that is changed in an expression, in turn.
func changes(expr string) ([]change, error) {
	tree, err := newParser().ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	all, err := tokens(expr)
	if err != nil {
		return nil, err
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		set, ok := node.(*parser.BinaryExpr)
		if !ok || !set.Op.IsSetOperator() {
			return nil
		}
		at, left, right := set.PositionRange(), set.LHS.PositionRange(), set.RHS.PositionRange()
		text := func(from, to int) string { return expr[from:to] }
		add := func(keep, without string) {
			all = append(all, change{"guard", int(at.Start), int(at.End), keep, "without " + brief(without)})
		}
		first, second := text(int(left.Start), int(left.End)), text(int(right.Start), int(right.End))
		add(first, set.Op.String()+" "+second)
		if set.Op != parser.LUNLESS {
			add(second, first+" "+set.Op.String())
		}
		return nil
	})
	return all, nil
}

// tokens returns the changes of single words.
func tokens(expr string) ([]change, error) {
	opposite := map[string]string{"==": "!=", "!=": "==", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}
	negated := map[string]string{"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
	var all []change
	lexer, braces := parser.Lex(expr), false
	for item := (parser.Item{}); ; {
		lexer.NextItem(&item)
		from, to := int(item.Pos), int(item.Pos)+len(item.Val)
		add := func(kind, text string) {
			all = append(all, change{kind, from, to, text, item.Val + " becomes " + text})
		}
		switch {
		case item.Typ == parser.EOF:
			return all, nil
		case item.Typ == parser.ERROR:
			return nil, fmt.Errorf("at %d: %s", item.Pos, item.Val)
		case item.Typ == parser.LEFT_BRACE:
			braces = true
		case item.Typ == parser.RIGHT_BRACE:
			braces = false
		case braces && negated[item.Val] != "":
			all = append(all, change{"matcher", from, to, negated[item.Val], matcher(expr, from) + " becomes " + negated[item.Val]})
		case !braces && opposite[item.Val] != "":
			add("comparison", opposite[item.Val])
		case item.Typ == parser.DURATION:
			d, err := model.ParseDuration(item.Val)
			if err != nil {
				return nil, err
			}
			add("duration", model.Duration(4*time.Duration(d)).String())
			add("duration", model.Duration(time.Duration(d)/4).String())
		case item.Typ == parser.NUMBER:
			v, err := strconv.ParseFloat(item.Val, 64)
			if err != nil {
				return nil, err
			}
			for _, other := range others(v) {
				add("number", strconv.FormatFloat(other, 'g', 12, 64))
			}
		}
	}
}

// others are what a number is changed into. Small counts are whole, so that there is nothing between them, and increase
// makes a little more than 1 of one event.
func others(v float64) []float64 {
	switch v {
	case 0:
		return []float64{2}
	case 2, 3:
		return []float64{v - 1, v + 1}
	}
	return []float64{v * 0.6, v * 1.6}
}

// matcher is the matcher whose operator is at an offset.
func matcher(expr string, at int) string {
	from := strings.LastIndexAny(expr[:at], "{, ") + 1
	to := at + strings.IndexByte(expr[at:], '"') + 1
	return expr[from : to+strings.IndexByte(expr[to:], '"')+1]
}

// brief is an expression on one line, cut short.
func brief(expr string) string {
	const most = 70
	r := []rune(strings.Join(strings.Fields(expr), " "))
	if len(r) > most {
		r = slices.Concat(r[:most/2], []rune("…"), r[len(r)-most/2:])
	}
	return string(r)
}
