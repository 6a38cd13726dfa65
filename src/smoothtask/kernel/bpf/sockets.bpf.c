// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Every open IPv4 and IPv6 socket that has a peer, with its process, in one pass (a bpf_iter/task_file program).

#include "prelude.h"

enum { AF_INET = 2, AF_INET6 = 10 };     // include/linux/socket.h
enum { TCP_CLOSE = 7, TCP_LISTEN = 10 }; // include/net/tcp_states.h; a UDP socket without a peer is closed

struct sock_common { u16 skc_family; volatile u8 skc_state; } KERN;
struct sock { struct sock_common __sk_common; } KERN;
struct socket { struct sock *sk; } KERN;
struct inode { unsigned long i_ino; } KERN;
struct file { struct inode *f_inode; } KERN;
struct task_struct { int tgid; } KERN;
struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; } KERN;
struct bpf_iter__task_file { struct bpf_iter_meta *meta; struct task_struct *task; u32 fd; struct file *file; } KERN;

struct connection { u64 inode; u32 tgid, unused; }; // CONNECTION_DTYPE of ../meters_bpf.py

SEC("iter/task_file")
int connections(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct connection c = {};
	struct socket *socket;
	struct sock *sk;
	u16 family;
	u8 state;

	if (!file || !task)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	state = sk->__sk_common.skc_state;
	if ((family != AF_INET && family != AF_INET6) || state == TCP_CLOSE || state == TCP_LISTEN)
		return 0;
	c.inode = file->f_inode->i_ino;
	c.tgid = task->tgid;
	bpf_seq_write(ctx->meta->seq, &c, sizeof(c));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
