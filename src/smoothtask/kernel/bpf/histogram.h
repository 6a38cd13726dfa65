// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Delays by process: powers of two of 1.024 µs. Emptied by ../meters_bpf.py, which knows the layout.

enum { BUCKETS = 24 };

struct histogram { u32 parent, counts[BUCKETS], unused; };

BY_PROCESS(delays, struct histogram);

// 0 below 1.024 µs, n from 2^(n-1) × 1.024 µs on; the last one is open at its end, at 4.3 s.
static __always_inline u32 bucket_of(u64 ns)
{
	u32 bucket = 0;
	u64 units = ns >> 10;

	if (units >> (BUCKETS - 2))
		return BUCKETS - 1;
	if (units >> 16) { bucket += 16; units >>= 16; }
	if (units >> 8) { bucket += 8; units >>= 8; }
	if (units >> 4) { bucket += 4; units >>= 4; }
	if (units >> 2) { bucket += 2; units >>= 2; }
	return bucket + units - (units > 2); // what is left is 0, 1, 2 or 3
}

static __always_inline void count_delay(struct histogram *of, u64 ns)
{
	u32 bucket = bucket_of(ns);

	if (of && bucket < BUCKETS)
		of->counts[bucket]++;
}
