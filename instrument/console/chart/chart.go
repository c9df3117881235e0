// Package chart has the modules that the live console draws its charts with, for other pages that are served by Go:
// lines, bars and heatmaps over time on a canvas, without a build step and without anything from elsewhere.
package chart

import (
	"embed"
	"io/fs"
)

//go:embed chart.js plot.js pointer.js raster.js scale.js
var modules embed.FS

// Files returns the JavaScript modules. Pages import chart.js, which exports Chart and Group and imports most of the
// others; its own comments document it. Pages that renew themselves import pointer.js, too. Serve all of them in one
// folder as text/javascript, from the same origin as the page. They need no more than script-src 'self'.
func Files() fs.FS { return modules }
