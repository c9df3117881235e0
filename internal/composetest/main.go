// Command composetest runs the repository's compose file for real: every service
// of it but those whose image can neither be found nor made, then the check of
// the whole path, then a stop and a start after which the data must still be
// there, then the overlay for paging.
//
// Images that the Docker engine has are used. In place of missing ones it makes
// images around the natively built programs, and removes them at the end. If no
// engine runs, it starts one for the time of the test.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sockscope/sockscope/internal/check"
	"github.com/sockscope/sockscope/internal/component"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "composetest:", err)
		os.Exit(1)
	}
}

// step prints what is done now.
func step(format string, args ...any) {
	fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func run(ctx context.Context) (err error) {
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	store, err := flags(root)
	if err != nil {
		return err
	}
	programs, err := findBinaries(ctx, store)
	if err != nil {
		return err
	}
	e, err := openEngine(ctx)
	if err != nil {
		return err
	}
	if e.daemon != nil {
		step("started a Docker engine in %s", e.dir)
	}
	defer func() { err = errors.Join(err, e.close()) }()

	c, err := newCompose(e, programs["docker-compose"], root)
	if err != nil {
		return err
	}
	// What is started must be stopped, also when the test is interrupted.
	cleanUp := context.WithoutCancel(ctx)
	remove, err := provideImages(ctx, c, programs)
	defer func() { remove(cleanUp) }()
	if err != nil {
		return err
	}
	defer func() {
		step("removing containers and volumes")
		err = errors.Join(err, c.run(cleanUp, "down", "--volumes", "--remove-orphans"))
	}()
	return test(ctx, c)
}

func flags(root string) (*component.Store, error) {
	dir, err := component.DefaultDir()
	if err != nil {
		return nil, err
	}
	store := &component.Store{Native: filepath.Join(root, "deploy", "native")}
	flag.StringVar(&store.Dir, "cache", dir, "where built components are kept")
	search := flag.String("components", "", "directory that is searched first for components of the right version")
	flag.Parse()
	if *search != "" {
		store.Search = []string{*search}
	}
	return store, nil
}

func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("ask the go command for the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// provideImages makes the images that are missing and takes out the services
// whose images can't be made. The function that it returns removes them again.
func provideImages(ctx context.Context, c *compose, programs binaries) (remove func(context.Context), err error) {
	var made []string
	remove = func(ctx context.Context) {
		for _, reference := range made {
			_ = c.engine.command(ctx, "docker", "image", "rm", "--force", reference).Run() // an image left costs disk, nothing else
		}
	}
	images, err := c.images(ctx)
	if err != nil {
		return remove, err
	}
	base, err := baseImage(filepath.Join(c.root, "Dockerfile"))
	if err != nil {
		return remove, err
	}
	images["the Dockerfile"] = base
	done := make(map[string]bool)
	for service, reference := range images {
		if done[reference] {
			continue
		}
		done[reference] = true
		found, ours := c.engine.holds(ctx, reference)
		image, known := imageFor(reference)
		switch {
		case found && !ours:
			step("%s is there", reference)
		case !known:
			step("%s is left out: there is no %s here, and it can't be made from Go modules", service, reference)
			c.leaveOut(service)
		default:
			step("making an image in place of %s", reference)
			if err := image.make(ctx, c.engine, reference, programs); err != nil {
				return remove, err
			}
			made = append(made, reference)
		}
	}
	return remove, nil
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

// test is the test proper.
func test(ctx context.Context, c *compose) error {
	started := time.Now()
	step("building the program's image")
	if err := c.run(ctx, "build", "demo"); err != nil {
		return err
	}
	step("built in %s", since(started))
	if err := start(ctx, c); err != nil {
		return err
	}
	if err := checkPath(ctx, c); err != nil {
		return err
	}
	if err := printMemory(ctx, c); err != nil {
		return err
	}
	if err := checkDataSurvives(ctx, c); err != nil {
		return err
	}
	if err := checkPaging(ctx, c); err != nil {
		return err
	}
	step("the compose file does what it says")
	return nil
}

func start(ctx context.Context, c *compose) error {
	started := time.Now()
	step("starting %s", strings.Join(c.services, ", "))
	if err := c.up(ctx); err != nil {
		c.showTrouble(context.WithoutCancel(ctx))
		return err
	}
	step("all healthy after %s", since(started))
	return nil
}

func checkPath(ctx context.Context, c *compose) error {
	step("checking the path of telemetry through the stack")
	cfg := check.Local(c.offset)
	cfg.Timeout = 2 * time.Minute
	if err := check.Run(ctx, cfg, check.Printer(os.Stdout, false)); err != nil {
		c.showTrouble(context.WithoutCancel(ctx))
		return err
	}
	return nil
}

func printMemory(ctx context.Context, c *compose) error {
	containers, err := c.output(ctx, "ps", "--quiet")
	if err != nil {
		return err
	}
	args := []string{"stats", "--no-stream", "--format=table {{.Name}}\t{{.MemUsage}}\t{{.CPUPerc}}"}
	cmd := c.engine.command(ctx, "docker", append(args, strings.Fields(string(containers))...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func since(start time.Time) time.Duration {
	return time.Since(start).Round(100 * time.Millisecond)
}
