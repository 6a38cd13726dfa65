// SPDX-License-Identifier: MIT OR GPL-2.0-only
// How long each request to a disk took, from the process that began it to its end.
//
// block_io_start (Linux 6.5) comes in the context of whoever began it. Before, block_rq_issue must do: there a
// scheduler may hand requests to the disk in a worker's context, which then stands for the process.

#include "prelude.h"

struct task_struct { int tgid; struct task_struct *real_parent; } KERN;

#include "histogram.h"

enum { REQUESTS = 4096 };

struct beginning { u64 ns; u32 tgid, parent; };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REQUESTS);
	__type(key, u64); // address of the struct request
	__type(value, struct beginning);
} running SEC(".maps");

static __always_inline int begin(u64 request)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct beginning now = {bpf_ktime_get_ns(), task->tgid, task->real_parent->tgid};

	bpf_map_update_elem(&running, &request, &now, BPF_ANY);
	return 0;
}

static __always_inline int end(u64 request)
{
	struct beginning *found = bpf_map_lookup_elem(&running, &request);

	if (!found)
		return 0;
	count_delay(ENTRY_OF(delays, struct histogram, found->tgid, found->parent), bpf_ktime_get_ns() - found->ns);
	bpf_map_delete_elem(&running, &request);
	return 0;
}

SEC("tp_btf/block_io_start")
int started(u64 *ctx) { return begin(ctx[0]); }

SEC("tp_btf/block_io_done")
int done(u64 *ctx) { return end(ctx[0]); }

SEC("tp_btf/block_rq_issue")
int issued(u64 *ctx) { return begin(ctx[0]); }

SEC("tp_btf/block_rq_complete")
int completed(u64 *ctx) { return end(ctx[0]); }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
