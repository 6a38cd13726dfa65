// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Bytes that each process sends and receives over IPv4 and IPv6, whatever the protocol.
//
// Tracepoints of Linux 6.3 tell the length of every message. Before, the functions behind them must do.

#include "prelude.h"

enum { MSG_PEEK = 2 };               // include/linux/socket.h
enum { AF_INET = 2, AF_INET6 = 10 }; // include/linux/socket.h

struct sock_common { u16 skc_family; } KERN;
struct sock { struct sock_common __sk_common; } KERN;
struct task_struct { int tgid; struct task_struct *real_parent; } KERN;

struct traffic { u32 parent, unused; u64 sent, received; };

BY_PROCESS(traffic, struct traffic);

static __always_inline int count(s64 sent, s64 received)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct traffic *found = ENTRY_OF(traffic, struct traffic, task->tgid, task->real_parent->tgid);

	if (!found)
		return 0;
	if (sent > 0)
		found->sent += sent;
	if (received > 0)
		found->received += received;
	return 0;
}

static __always_inline int is_inet(struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family;

	return family == AF_INET || family == AF_INET6;
}

// struct sock *, int (what was returned), int flags
SEC("tp_btf/sock_send_length")
int sent(u64 *ctx) { return is_inet((struct sock *)ctx[0]) ? count((s32)ctx[1], 0) : 0; }

SEC("tp_btf/sock_recv_length")
int received(u64 *ctx)
{
	return is_inet((struct sock *)ctx[0]) && !(ctx[2] & MSG_PEEK) ? count(0, (s32)ctx[1]) : 0;
}

// int inet_sendmsg(struct socket *, struct msghdr *, size_t): then comes what it returned.
SEC("fexit/inet_sendmsg")
int sent4(u64 *ctx) { return count((s32)ctx[3], 0); }

SEC("fexit/inet6_sendmsg")
int sent6(u64 *ctx) { return count((s32)ctx[3], 0); }

// int inet_recvmsg(struct socket *, struct msghdr *, size_t, int flags)
SEC("fexit/inet_recvmsg")
int received4(u64 *ctx) { return ctx[3] & MSG_PEEK ? 0 : count(0, (s32)ctx[4]); }

SEC("fexit/inet6_recvmsg")
int received6(u64 *ctx) { return ctx[3] & MSG_PEEK ? 0 : count(0, (s32)ctx[4]); }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
