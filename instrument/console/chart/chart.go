// Package chart has the module that the live console draws its charts with, for other pages that are served by Go:
// lines, bars and heatmaps over time on a canvas, without a build step and without anything from elsewhere.
package chart

import _ "embed"

//go:embed chart.js
var module []byte

// Module returns the JavaScript module, which exports Chart and Group. Its own comments document it. Serve it as
// text/javascript from the same origin as the page; it needs no more than script-src 'self'.
func Module() []byte { return module }
