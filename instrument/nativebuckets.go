package instrument

import (
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// bucket is a native bucket that is not empty.
type bucket struct {
	key   int
	count uint64
}

// addBucket adds n to the bucket of key, which is the last one or comes after it.
func addBucket(all []bucket, key int, n uint64) []bucket {
	if last := len(all) - 1; last >= 0 && all[last].key == key {
		all[last].count += n
		return all
	}
	return append(all, bucket{key, n})
}

// writeNative converts the buckets to the exposition format, in which spans describe runs of buckets, and counts are
// differences.
func writeNative(d *dto.Histogram, buckets []bucket) {
	resolution := int32(schema)
	for len(buckets) > maxNativeBuckets {
		resolution--
		halved := buckets[:0]
		for _, b := range buckets {
			halved = addBucket(halved, coarser(b.key), b.count)
		}
		buckets = halved
	}
	d.Schema = proto.Int32(resolution)
	var previous uint64
	add := func(count uint64) {
		d.PositiveDelta = append(d.PositiveDelta, int64(count)-int64(previous))
		previous = count
		*d.PositiveSpan[len(d.PositiveSpan)-1].Length++
	}
	next := 0 // the key after the last
	for i, b := range buckets {
		gap := b.key - next
		// A few empty buckets cost less than another span. client_golang does the same.
		if i == 0 || gap > 2 {
			d.PositiveSpan = append(d.PositiveSpan, &dto.BucketSpan{Offset: proto.Int32(int32(gap)), Length: proto.Uint32(0)})
		} else {
			for range gap {
				add(0)
			}
		}
		add(b.count)
		next = b.key + 1
	}
}
