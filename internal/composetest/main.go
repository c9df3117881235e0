// Command composetest runs the repository's compose file for real: every service of it but those whose image can
// neither be found nor made, then the check of the whole path, then the profile with three instances, then a stop and a
// start after which the data must still be there, then the overlay for paging.
//
// Log records are kept by VictoriaLogs, with the overlay for that: Loki's image is not made here, since its licence
// keeps it out of our modules.
//
// Images that the Docker engine has are used. In place of missing ones it makes images around the natively built
// programs, and removes them at the end. If no engine runs, it starts one for the time of the test.
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

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/check"
	"github.com/sockscope/sockscope/internal/component"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
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
	store, err := flags()
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
	// Containers must be stopped even if the test is interrupted.
	cleanUp := context.WithoutCancel(ctx)
	made, err := provideImages(ctx, c, programs)
	defer func() { removeImages(cleanUp, e, made) }()
	if err != nil {
		return err
	}
	defer func() {
		step("removing containers and volumes")
		err = errors.Join(err, c.run(cleanUp, "down", "--volumes", "--remove-orphans"))
	}()
	return test(ctx, c)
}

func flags() (*component.Store, error) {
	dir, err := component.DefaultDir()
	if err != nil {
		return nil, err
	}
	store := &component.Store{Deploy: deploy.Files()}
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

// test is the test proper.
func test(ctx context.Context, c *compose) error {
	step("keeping log records in VictoriaLogs, by its overlay: no image of Loki can be made from our modules")
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
	if err := checkScale(ctx, c); err != nil {
		return err
	}
	if err := checkDataSurvives(ctx, c); err != nil {
		return err
	}
	if err := checkPaging(ctx, c); err != nil {
		return err
	}
	if err := checkScaleForgotten(ctx, c); err != nil {
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
