// SPDX-License-Identifier: MIT OR GPL-2.0-only
// How long each process waited for a CPU, every time it got one.
//
// The kernel itself notes when a task was queued (sched_info.last_queued) and clears that right after this
// tracepoint: so one program at the switch is enough, with no map of wake-up times, and its histogram is of the very
// delays whose sum is in /proc/PID/schedstat. A task moved to another CPU while it waits counts as two shorter waits.

#include "prelude.h"

struct sched_info { u64 last_queued; } KERN;
struct rq { u64 clock; } KERN;
struct cfs_rq { struct rq *rq; } KERN;
struct sched_entity { struct cfs_rq *cfs_rq; } KERN; // of every task, whatever its policy (CONFIG_FAIR_GROUP_SCHED)
struct task_struct {
	int tgid;
	struct task_struct *real_parent;
	struct sched_entity se;
	struct sched_info sched_info;
} KERN;

#include "histogram.h"

SEC("tp_btf/sched_switch")
int switched(u64 *ctx) // bool preempt, struct task_struct *prev, struct task_struct *next, …
{
	struct task_struct *next = (struct task_struct *)ctx[2];
	u64 queued, now;

	if (!next->tgid) // the idle task
		return 0;
	queued = next->sched_info.last_queued;
	now = next->se.cfs_rq->rq->clock; // this CPU's: the clock that last_queued was read from
	if (queued && now >= queued)
		count_delay(ENTRY_OF(delays, struct histogram, next->tgid, next->real_parent->tgid), now - queued);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
