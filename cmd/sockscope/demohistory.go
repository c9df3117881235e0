package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sockscope/sockscope/demo/history"
)

// kafkaTimeout is how long Kafka may take to answer at the start.
const kafkaTimeout = 10 * time.Second

// openHistory opens the store of messages, and the connection to Redis. The returned function closes both.
func (f *demoFlags) openHistory(ctx context.Context, logger *slog.Logger) (end func() error, err error) {
	endStore, endRedis := func() error { return nil }, func() error { return nil }
	if f.redis != "" {
		if endRedis, err = f.openRedis(logger); err != nil {
			return nil, err
		}
	}
	switch {
	case f.kafka != "":
		endStore, err = f.openKafka(ctx, logger)
	case f.redis != "":
		f.server.History, err = history.NewRedis(f.server.Redis, history.Limits{})
		endStore = func() error { return f.server.History.Close() }
	default:
		endStore, err = f.openHistoryFile()
	}
	if err != nil {
		return nil, errors.Join(err, endRedis())
	}
	return func() error { return errors.Join(endStore(), endRedis()) }, nil
}

func (f *demoFlags) openRedis(logger *slog.Logger) (end func() error, err error) {
	options, err := redis.ParseURL(f.redis)
	if err != nil {
		return nil, fmt.Errorf("--redis is %q, give redis://127.0.0.1:6379/0: %w", f.redis, err)
	}
	options.ContextTimeoutEnabled = true
	redis.SetLogger(redisLogger{logger})
	f.server.Redis = redis.NewClient(options)
	return f.server.Redis.Close, nil
}

// redisLogger takes the library's messages about failed connections. The demo itself notices these, too.
type redisLogger struct{ *slog.Logger }

// Printf implements go-redis' interface for loggers.
func (l redisLogger) Printf(ctx context.Context, format string, v ...any) {
	l.DebugContext(ctx, "redis client", "text", fmt.Sprintf(format, v...))
}

func (f *demoFlags) openKafka(ctx context.Context, logger *slog.Logger) (end func() error, err error) {
	topic, err := parseKafka(f.kafka)
	if err != nil {
		return nil, err
	}
	topic.Options = append(topic.Options, kgo.WithLogger(kafkaLogger{logger}))
	path, remove, err := f.historyFile()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	store, err := history.OpenKafka(ctx, topic, path, history.Limits{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--kafka is %q: %w", f.kafka, err), remove())
	}
	f.server.History = store
	return func() error { return errors.Join(store.Close(), remove()) }, nil
}

// parseKafka reads an address such as kafka://one:9092,two:9092/topic.
func parseKafka(address string) (history.Topic, error) {
	rest, ok := strings.CutPrefix(address, "kafka://")
	hosts, name, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(name)
	brokers := strings.Split(hosts, ",")
	for _, broker := range brokers {
		ok = ok && broker != ""
	}
	if !ok || name == "" || err != nil {
		return history.Topic{}, fmt.Errorf("--kafka is %q: give brokers and a topic as in kafka://127.0.0.1:9092/sockscope-history", address)
	}
	return history.Topic{Brokers: brokers, Name: name}, nil
}

// kafkaLogger takes what the library says about brokers. The demo itself notices failures, too.
type kafkaLogger struct{ *slog.Logger }

// Level implements kgo.Logger.
func (l kafkaLogger) Level() kgo.LogLevel {
	if l.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

// Log implements kgo.Logger.
func (l kafkaLogger) Log(level kgo.LogLevel, text string, details ...any) {
	l.Debug("kafka client", "level", level.String(), "text", text, "details", fmt.Sprint(details...))
}

func (f *demoFlags) openHistoryFile() (end func() error, err error) {
	path, remove, err := f.historyFile()
	if err != nil {
		return nil, err
	}
	store, err := history.OpenFile(path, history.Limits{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--history: %w", err), remove())
	}
	f.server.History = store
	return func() error { return errors.Join(store.Close(), remove()) }, nil
}

// historyFile returns where messages are kept on this machine. remove deletes it if it is to be gone at the end.
func (f *demoFlags) historyFile() (path string, remove func() error, err error) {
	path, remove = f.history, func() error { return nil }
	if path == "" {
		dir, err := os.MkdirTemp("", "sockscope-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("make a place for messages (--history): %w", err)
		}
		path, remove = filepath.Join(dir, "history.db"), func() error { return os.RemoveAll(dir) }
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", nil, fmt.Errorf("make a place for messages (--history): %w", err)
	}
	return path, remove, nil
}
