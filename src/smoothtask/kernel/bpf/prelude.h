// SPDX-License-Identifier: MIT OR GPL-2.0-only
// What every program here begins with: the kernel's integers and libbpf's helpers, without a vmlinux.h.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;

// include/uapi/linux/bpf.h; bpf_helper_defs.h wants the enum to exist, too.
enum { BPF_MAP_TYPE_LRU_HASH = 9, BPF_MAP_TYPE_LRU_PERCPU_HASH = 10 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define KERN __attribute__((preserve_access_index))

// What meters by process have in common: a per-CPU hash by tgid, made of the first thing that is counted of a process,
// which notes its parent then: who has exited by the time somebody reads counts for the nearest ancestor that lives.
#define BY_PROCESS(name, value_type)                          \
	struct {                                              \
		__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);   \
		__uint(max_entries, PROCESSES);               \
		__type(key, u32);                             \
		__type(value, value_type);                    \
	} name SEC(".maps")

enum { PROCESSES = 2048 }; // when there are more, those with nothing to count for longest are forgotten

// *its_parent* is looked at only for a process that is not there yet.
#define ENTRY_OF(name, value_type, its_tgid, its_parent)                              \
	({                                                                            \
		u32 tgid = (its_tgid);                                                \
		value_type *entry = bpf_map_lookup_elem(&name, &tgid);                \
		if (!entry) {                                                         \
			value_type fresh = {.parent = (its_parent)};                  \
			bpf_map_update_elem(&name, &tgid, &fresh, BPF_NOEXIST);       \
			entry = bpf_map_lookup_elem(&name, &tgid);                    \
		}                                                                     \
		entry;                                                                \
	})
