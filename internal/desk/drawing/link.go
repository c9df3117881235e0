package drawing

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var dataVariable = regexp.MustCompile(`\$\{__(?:value\.(?:raw|text)|data\.fields(?:\.(\w+)|\["?([^"\]]+)"?\]))(?::\w+)?\}`)

// link fills a row into the address that a field leads to. A value never becomes more than a part of the address.
func link(address string, columns []string, row []cell, value cell) string {
	text := func(c cell) string {
		if c.text == "" && c.number.exists() {
			return strconv.FormatFloat(float64(c.number), 'f', -1, 64)
		}
		return c.text
	}
	filled := dataVariable.ReplaceAllStringFunc(address, func(found string) string {
		groups := dataVariable.FindStringSubmatch(found)
		if name := groups[1] + groups[2]; name != "" {
			if value = (cell{number: none()}); slices.Contains(columns, name) {
				value = row[slices.Index(columns, name)]
			}
		}
		return url.QueryEscape(text(value))
	})
	return Address(filled)
}

// Address returns an address that a page may link to: of the web, or at the desk. Others are empty.
func Address(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || strings.Contains(address, `\`): // browsers read it as a slash
		return ""
	case u.Host == "" && u.Scheme == "" && strings.HasPrefix(u.Path, "/"):
		return address
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return address
	}
	return ""
}
