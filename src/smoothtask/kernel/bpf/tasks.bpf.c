// SPDX-License-Identifier: MIT OR GPL-2.0-only
// One fixed record a thread, for every thread of the machine, in one pass (a bpf_iter/task program).
//
// CO-RE: only the fields used here are declared, and libbpf finds where the running kernel has them. What a
// kernel lacks reads as zero. Layout of `record`: RECORD_DTYPE in ../tasks_bpf.py.

#include "prelude.h"

enum { PIDTYPE_PGID = 2, PIDTYPE_SID = 3 }; // include/linux/pid.h, since 4.19
enum { PF_KTHREAD = 0x00200000 };           // include/linux/sched.h
enum { FLAG_KTHREAD = 1, FLAG_FOREIGN = 2 };
enum { NICE_0_PRIO = 120 };

struct upid { int nr; } KERN;
struct pid { unsigned int level; struct upid numbers[1]; } KERN;
struct kuid { u32 val; } KERN;
struct cred { struct kuid euid; } KERN;
struct kernfs_node { u64 id; } KERN;
struct cgroup { struct kernfs_node *kn; } KERN;
struct css_set { struct cgroup *dfl_cgrp; } KERN;
struct tty_driver { int major; int minor_start; } KERN;
struct tty_struct { int index; struct tty_driver *driver; } KERN;
struct task_io_accounting { u64 read_bytes; u64 write_bytes; } KERN;
struct sched_info { u64 run_delay; } KERN;
struct sched_entity { u64 sum_exec_runtime; u64 slice; u8 custom_slice; } KERN;
struct percpu_counter { s64 count; } KERN;
struct mm_struct { struct percpu_counter rss_stat[4]; } KERN;

// Before 6.2: struct mm_rss_stat { atomic_long_t count[4]; }
struct atomic_long___old { long counter; } KERN;
struct mm_rss_stat___old { struct atomic_long___old count[4]; } KERN;
struct mm_struct___old { struct mm_rss_stat___old rss_stat; } KERN;

struct signal_struct {
	struct pid *pids[4];
	struct tty_struct *tty;
	unsigned long nvcsw;
	unsigned long nivcsw;
	struct task_io_accounting ioac;
	u64 sum_sched_runtime;
	u64 cutime;
	u64 cstime;
} KERN;

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int exit_state;
	int static_prio;
	unsigned int policy;
	int pid;
	int tgid;
	u64 start_boottime;
	unsigned long nvcsw;
	unsigned long nivcsw;
	struct sched_entity se;
	struct sched_info sched_info;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct pid *thread_pid;
	const struct cred *cred;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct task_io_accounting ioac;
	char comm[16];
} KERN;

struct task_struct___old { long state; } KERN; // before 5.14

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; } KERN;
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } KERN;

enum { NS_PER_TICK = 10000000 }; // USER_HZ is 100

struct record {
	// THREAD_DTYPE of ../../model/tasks.py, to the byte: its rows are taken out in one copy.
	s32 tgid, tid;
	u64 start_ticks, run_ns, wait_ns, nvcsw, nivcsw, slice_ns;
	signed char nice;
	u8 policy, state, flags;
	char comm[16];
	// Of the process, in its leader's record.
	s32 ppid, sid, pgid, tty_nr;
	u32 uid;
	u64 read_bytes, write_bytes;
	u64 dead_run_ns, dead_nvcsw, dead_nivcsw, dead_read_bytes, dead_write_bytes, children_ns;
	u64 rss_pages, cgroup_id;
};

// As task_state_index() of include/linux/sched.h and fs/proc/array.c: the letter of the highest bit that is set.
static __always_inline u8 state_letter(struct task_struct *task)
{
	u32 state;

	if (bpf_core_field_exists(task->__state))
		state = task->__state;
	else
		state = ((struct task_struct___old *)task)->state;
	if (state & 0x9000) // TASK_RTLOCK_WAIT, TASK_FROZEN: the kernel tells people that they are uninterruptible
		return 'D';
	if ((state & 0x402) == 0x402) // TASK_IDLE, whatever else (TASK_FREEZABLE)
		return 'I';
	state |= task->exit_state;
	if (state & 0x40)
		return 'P';
	if (state & 0x20)
		return 'Z';
	if (state & 0x10)
		return 'X';
	if (state & 0x08)
		return 't';
	if (state & 0x04)
		return 'T';
	if (state & 0x02)
		return 'D';
	return state & 0x01 ? 'S' : 'R';
}

static __always_inline u64 resident_pages(struct mm_struct *mm)
{
	s64 pages; // MM_FILEPAGES 0, MM_ANONPAGES 1, MM_SHMEMPAGES 3

	if (bpf_core_field_exists(((struct mm_struct___old *)mm)->rss_stat.count)) {
		struct mm_struct___old *old = (void *)mm;
		pages = BPF_CORE_READ(old, rss_stat.count[0].counter) +
			BPF_CORE_READ(old, rss_stat.count[1].counter) +
			BPF_CORE_READ(old, rss_stat.count[3].counter);
	} else {
		pages = mm->rss_stat[0].count + mm->rss_stat[1].count + mm->rss_stat[3].count;
	}
	return pages < 0 ? 0 : pages;
}

static __always_inline s32 tty_number(struct tty_struct *tty)
{
	u32 major, minor;

	if (!tty || !tty->driver)
		return 0;
	major = tty->driver->major;
	minor = tty->driver->minor_start + tty->index;
	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct signal_struct *signal;
	struct record r = {};

	if (!task)
		return 0;
	signal = task->signal;
	r.tgid = task->tgid;
	r.tid = task->pid;
	r.start_ticks = task->start_boottime / NS_PER_TICK;
	r.run_ns = task->se.sum_exec_runtime;
	r.wait_ns = task->sched_info.run_delay;
	r.nvcsw = task->nvcsw;
	r.nivcsw = task->nivcsw;
	// Only a slice of its own: the kernel's default is no property of the thread.
	if (bpf_core_field_exists(task->se.custom_slice) && task->se.custom_slice)
		r.slice_ns = task->se.slice;
	r.read_bytes = task->ioac.read_bytes;
	r.write_bytes = task->ioac.write_bytes;
	r.nice = task->static_prio - NICE_0_PRIO;
	r.policy = task->policy;
	r.state = state_letter(task);
	if (task->flags & PF_KTHREAD)
		r.flags |= FLAG_KTHREAD;
	if (task->thread_pid && task->thread_pid->level > 0)
		r.flags |= FLAG_FOREIGN;
	#pragma unroll
	for (int i = 0; i < 16; i++)
		r.comm[i] = task->comm[i];
	if (r.tid == r.tgid && signal) { // what belongs to the process comes with its leader
		r.ppid = task->real_parent->tgid;
		r.pgid = BPF_CORE_READ(signal, pids[PIDTYPE_PGID], numbers[0].nr);
		r.sid = BPF_CORE_READ(signal, pids[PIDTYPE_SID], numbers[0].nr);
		r.tty_nr = tty_number(signal->tty);
		r.uid = task->cred->euid.val;
		r.cgroup_id = task->cgroups->dfl_cgrp->kn->id;
		r.dead_run_ns = signal->sum_sched_runtime;
		r.dead_nvcsw = signal->nvcsw;
		r.dead_nivcsw = signal->nivcsw;
		r.dead_read_bytes = signal->ioac.read_bytes;
		r.dead_write_bytes = signal->ioac.write_bytes;
		r.children_ns = signal->cutime + signal->cstime;
		if (task->mm)
			r.rss_pages = resident_pages(task->mm);
	}
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
