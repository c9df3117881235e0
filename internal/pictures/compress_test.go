package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"
)

// TestCompress takes a page of many greys for a palette: the grounds stay as they are, a small dot of another colour
// does, too, and the rest becomes something near.
func TestCompress(t *testing.T) {
	full := image.NewRGBA(image.Rect(0, 0, 100, 100))
	for i := range 100 * 100 {
		grey := color.RGBA{R: 200, G: 200, B: 200, A: 255}
		if i < 1000 {
			grey = color.RGBA{R: uint8(i / 4), G: uint8(i / 4), B: uint8(i/4 + i%4), A: 255}
		}
		full.Set(i%100, i/100, grey)
	}
	dot := color.RGBA{G: 130, A: 255}
	full.Set(50, 50, dot)
	encoded, err := compress(full)
	if err != nil {
		t.Fatal(err)
	}
	small, err := png.Decode(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	if palette := small.(*image.Paletted).Palette; len(palette) != colors {
		t.Errorf("the palette has %d colours, want %d", len(palette), colors)
	}
	for _, at := range []image.Point{{50, 50}, {20, 20}} {
		if got, want := small.At(at.X, at.Y), full.At(at.X, at.Y); got != want {
			t.Errorf("at %v the colour became %v, want %v", at, got, want)
		}
	}
	for x := range 100 {
		got, want := small.At(x, 5).(color.RGBA), full.RGBAAt(x, 5)
		if off := distance(got, want); off > 20 {
			t.Errorf("%v became %v", want, got)
		}
	}
}
