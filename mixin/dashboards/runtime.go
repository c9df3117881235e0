package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// busyCPU is where a processor counts as busy: from there on, latency grows faster than load.
const busyCPU = 0.8

func (s service) runtime() board {
	connections := s.recordedInstance("job_instance:realtime_connections:sum")
	each := func(metric string) query { return ask("{{job}} {{instance}}", s.process(metric)) }
	perSecond := func(metric string) query {
		return ask("{{job}} {{instance}}", "rate("+s.process(metric)+"["+window+"])")
	}
	return board{
		file: "runtime.json", uid: "sockscope-runtime", title: "Runtime and host",
		about: "How much of the machine the processes use: what a connection costs, what leaks, and what runs out.",
		variables: []dashboard.VariableModel{
			s.labelVariable("Service", "job", s.labelled("process_start_time_seconds")),
			s.labelVariable("Instance", "instance", s.labelled("process_start_time_seconds", s.within("job")...)),
		},
		alerts: `alertname=~"RealtimeTarget.*|FileDescriptors.*|.*GoroutineLeak|.*MemoryPerConnectionHigh|Host.*|HighCPU.*", job=~"$job|"`,
		rows: []row{
			{1, "Does the machine have room?", []panel{
				series(2, "CPU of the Machine", "percentunit", "The share of the time in which processors are busy, of the machine that the Collector runs on. Normal: below 80%. Above that, everything waits for a processor.",
					ask("{{instance}}", "1 - "+rate("instance", s.labelled("system_cpu_time_seconds_total", `state=~"idle|wait"`))+"\n/\n"+rate("instance", s.labelled("system_cpu_time_seconds_total")))).
					limits(warn(busyCPU), bad(s.limits["cpu_share"])).toOne(0).sized(8, 8).alerting("HostCPUSaturated"),
				series(3, "Memory of the Machine", "percentunit", "The share of the memory that is used, caches left out. Normal: below 80%. When it is used up, the system ends processes.",
					ask("{{instance}}", sum("instance", s.labelled("system_memory_usage_bytes", `state="used"`))+"\n/\n"+sum("instance", s.labelled("system_memory_usage_bytes", `state=~"used|free|buffered|cached"`)))).
					limits(warn(busyCPU), bad(s.limits["memory_share"])).toOne(0).sized(8, 8).alerting("HostMemoryLow"),
				series(4, "CPU by Process", "short", "Processors that each instance keeps busy. Normal: in proportion to messages. Compare with the processors of the machine.",
					perSecond("process_cpu_seconds_total")).stacked().above(0).sized(8, 8).alerting("HostCPUSaturated"),
			}},
			{5, "What does a connection cost?", []panel{
				series(6, "Heap per Connection", "bytes", "The least heap of five minutes, by the open connections. Normal: tens of KiB, and steady. If it rises, buffers or queues do.",
					ask("{{job}} {{instance}}", sum("job, instance", "min_over_time("+s.process("go_memstats_heap_alloc_bytes")+"[5m])")+"\n/\n("+connections+" > 0)")).
					limits(warn(s.limits["memory_bytes"])).above(0).alerting("WebSocketMemoryPerConnectionHigh"),
				series(7, "Goroutines Beyond Connections", "short", "Goroutines that are not explained by three for each connection. Normal: steady. If it rises while connections do not, goroutines leak.",
					ask("{{job}} {{instance}}", s.recordedInstance("job_instance:go_goroutines_beyond_connections:count"))).limits(warn(s.limits["goroutine_count"])).alerting("WebSocketGoroutineLeak"),
				series(8, "Goroutines", "short", "All goroutines of each instance. Normal: two or three for each connection, and some more.", each("go_goroutines")).above(0).sized(8, 8).alerting("WebSocketGoroutineLeak"),
				series(9, "Heap", "bytes", "Memory that is in use or not yet collected. Normal: a saw that does not climb.", each("go_memstats_heap_alloc_bytes")).above(0).sized(8, 8).alerting("WebSocketMemoryPerConnectionHigh"),
				series(10, "Memory of Processes", "bytes", "What the system counts for each instance. Normal: the heap and a third more. If it is far above the heap, the memory is not Go's.", each("process_resident_memory_bytes")).above(0).sized(8, 8).alerting("HostMemoryLow"),
			}},
			{11, "What runs out?", []panel{
				series(12, "File Descriptors", "percentunit", "Open file descriptors, of those allowed. Each connection takes one. Normal: below 85%.",
					ask("{{job}} {{instance}}", s.process("process_open_fds")+"\n/\n"+s.process("process_max_fds"))).
					limits(warn(s.limits["fd_share"]), bad(s.limits["fd_share_critical"])).toOne(0).sized(8, 8).alerting("FileDescriptorsNearlyExhausted"),
				series(13, "Longest GC Pause", "s", "The longest pause of the newest garbage collections. Normal: below a millisecond.",
					ask("{{job}} {{instance}}", s.process("go_gc_duration_seconds", `quantile="1"`))).above(0).sized(8, 8),
				series(14, "Allocations", "Bps", "Bytes that are allocated in a second. Normal: in proportion to messages.", perSecond("go_memstats_alloc_bytes_total")).above(0).sized(8, 8),
			}},
			{15, "Do processes stay?", []panel{
				series(16, "Up", "short", "Whether an instance answers when it is scraped (1) or not (0). Normal: 1.", each("up")).limits(good(1)).toOne(0).rounded().alerting("RealtimeTargetDown", "RealtimeTargetMissing"),
				series(17, "Starts Within a Quarter of an Hour", "short", "How often each instance has started within a quarter of an hour. Normal: 0, and 1 after a release.",
					ask("{{job}} {{instance}}", "changes("+s.process("process_start_time_seconds")+"[15m])")).limits(bad(s.limits["restart_count"])).above(0).rounded().alerting("RealtimeTargetRestarting"),
			}},
		},
	}
}
