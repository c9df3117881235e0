package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// provideImages makes the images that the engine doesn't have, and takes out the services whose images can't be made.
// It returns what it made, also with an error.
func provideImages(ctx context.Context, c *compose, programs binaries) (made []string, err error) {
	needed, err := c.images(ctx)
	if err != nil {
		return nil, err
	}
	base, err := baseImage(filepath.Join(c.root, "Dockerfile"))
	if err != nil {
		return nil, err
	}
	needed[base] = nil
	for reference, services := range needed {
		image, known := imageFor(reference)
		switch found, ours := c.engine.holds(ctx, reference); {
		case found && !ours:
			step("%s is there", reference)
		case known:
			step("making an image in place of %s", reference)
			if err := image.make(ctx, c.engine, reference, programs); err != nil {
				return made, err
			}
			made = append(made, reference)
		default:
			step("leaving out %s: there is no image %s here, and none can be made from Go modules",
				strings.Join(services, ", "), reference)
			c.services = slices.DeleteFunc(c.services, func(s string) bool { return slices.Contains(services, s) })
		}
	}
	return made, nil
}

func removeImages(ctx context.Context, e *engine, references []string) {
	for _, reference := range references {
		_ = e.command(ctx, "docker", "image", "rm", "--force", reference).Run() // an image left costs disk, nothing else
	}
}

// baseImage returns the image that the Dockerfile builds in.
func baseImage(dockerfile string) (string, error) {
	content, err := os.ReadFile(dockerfile)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "FROM" {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("%s has no FROM line", dockerfile)
}
