package history

import (
	"context"

	"go.etcd.io/bbolt"
)

// Hold has the file's writer busy, as a disk that hangs would, until release is called.
func Hold(f *File) (release func()) {
	holding, free := make(chan struct{}), make(chan struct{})
	go f.write(context.Background(), func(*bbolt.Tx) (bool, error) {
		close(holding)
		<-free
		return false, nil
	})
	<-holding
	return func() { close(free) }
}
