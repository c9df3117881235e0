package main

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"slices"
)

// colors is how many a picture with a palette may have.
const colors = 256

// compress encodes a picture as a PNG with a palette, which makes pictures of pages a third as large as all colours do.
// Most colours are edges of letters and get the nearest one of the palette.
func compress(full image.Image) ([]byte, error) {
	bounds := full.Bounds()
	pixels := make(map[color.RGBA]int)
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			pixels[at(x, y)]++
		}
	}
	// Each time the one that the palette so far gets most wrong, so that a small green dot stays green.
	all := slices.SortedFunc(maps.Keys(pixels), func(a, b color.RGBA) int { return cmp.Compare(number(a), number(b)) })
	nearest, off := make(map[color.RGBA]uint8, len(all)), make(map[color.RGBA]int, len(all))
	for _, c := range all {
		off[c] = math.MaxInt32
	}
	var palette color.Palette
	for range min(len(all), colors) {
		next := slices.MaxFunc(all, func(a, b color.RGBA) int { return cmp.Compare(pixels[a]*off[a], pixels[b]*off[b]) })
		for _, c := range all {
			if d := distance(c, next); d < off[c] {
				off[c], nearest[c] = d, uint8(len(palette))
			}
		}
		palette = append(palette, next)
	}
	small := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			small.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var encoded bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&encoded, small); err != nil {
		return nil, err
	}
	return encoded.Bytes(), nil
}

func number(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

func distance(a, b color.RGBA) int {
	square := func(x, y uint8) int { return (int(x) - int(y)) * (int(x) - int(y)) }
	return square(a.R, b.R) + square(a.G, b.G) + square(a.B, b.B)
}
