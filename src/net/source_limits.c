/* SPDX-License-Identifier: MIT */
/*
 * source_limits.c - a table of sets, four cache lines each.
 *
 *      hash(source) --> set    | lock | source | source | source | source | source | .. 7 of them |
 *                                       place = 7 * set + way
 *
 * A source with an open session keeps its place, so a session finds it again by its place alone,
 * whatever address it goes by then.
 *
 * Tokens are counted in thousandths: a rate of N in a second is N thousandths in a millisecond, and
 * no rounding loses any.
 */
#include "net/source_limits.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 7
#define SET_BYTES 256
#define TOKEN 1000u
#define SPINS_MAX 128

enum source_kind { SOURCE_NONE, SOURCE_INET, SOURCE_INET6 };

struct source {
	uint64_t prefix;
	uint64_t seen_ms; /* up to when its tokens are filled up */
	uint32_t sessions;
	uint32_t tokens; /* in thousandths */
	enum source_kind kind;
};

struct set {
	_Alignas(SET_BYTES) _Atomic uint32_t is_locked;
	struct source sources[WAYS];
};

struct source_limits {
	struct set *sets;
	uint32_t mask; /* sets - 1, a power of two - 1 */
	uint64_t seed;
	_Atomic uint64_t untracked;
};

static_assert(sizeof(struct set) == SET_BYTES, "a set is four cache lines");
static_assert(SOURCE_RATE_MAX <= UINT32_MAX / TOKEN, "a full bucket fits its member");
static_assert(2ull * SOURCE_LIMITS_MAX * WAYS < SOURCE_UNTRACKED, "no place is SOURCE_UNTRACKED");

struct source_limits *source_limits_open(uint32_t sources, uint64_t seed)
{
	struct source_limits *limits = calloc(1, sizeof(*limits));
	uint32_t sets_count = 1;
	size_t size;

	assert(sources > 0 && sources <= SOURCE_LIMITS_MAX);
	while (sets_count * WAYS < sources)
		sets_count *= 2;
	size = (size_t)sets_count * sizeof(struct set);
	if (!limits)
		return NULL;
	limits->sets = aligned_alloc(SET_BYTES, size);
	if (!limits->sets) {
		free(limits);
		return NULL;
	}
	memset(limits->sets, 0, size);
	limits->mask = sets_count - 1;
	limits->seed = seed;
	return limits;
}

void source_limits_close(struct source_limits *limits)
{
	if (!limits)
		return;
	free(limits->sets);
	free(limits);
}

uint64_t source_limits_untracked(const struct source_limits *limits)
{
	return atomic_load_explicit(&limits->untracked, memory_order_relaxed);
}

uint32_t source_limits_room(const struct source_limits *limits)
{
	return (limits->mask + 1) * WAYS;
}

uint64_t source_limits_bytes(const struct source_limits *limits)
{
	return (limits->mask + 1ull) * sizeof(struct set) + sizeof(*limits);
}

/* A thread that was taken off its CPU inside is waited for without one of our own. */
static void set_lock(struct set *set)
{
	uint32_t spins = 0;

	while (atomic_exchange_explicit(&set->is_locked, 1, memory_order_acquire) != 0) {
		while (atomic_load_explicit(&set->is_locked, memory_order_relaxed) != 0) {
			if (++spins % SPINS_MAX == 0)
				sched_yield();
		}
	}
}

static void set_unlock(struct set *set)
{
	assert(atomic_load_explicit(&set->is_locked, memory_order_relaxed) == 1);
	atomic_store_explicit(&set->is_locked, 0, memory_order_release);
}

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 32) * 0xd6e8feb86659fd93ull;
	value = (value ^ value >> 32) * 0xd6e8feb86659fd93ull;
	return value ^ value >> 32;
}

/* The seed goes in twice: who does not know it cannot choose sources that share a set. */
static struct set *set_of(const struct source_limits *limits, enum source_kind kind,
			  uint64_t prefix)
{
	uint64_t hash = mix(prefix ^ limits->seed);

	hash = mix((hash + (uint64_t)kind) ^ (limits->seed << 32 | limits->seed >> 32));
	return &limits->sets[hash & limits->mask];
}

static enum source_kind source_of(const struct addr *addr, uint64_t *prefix)
{
	uint32_t in;

	switch (addr->kind) {
	case ADDR_INET:
		*prefix = ntohl(addr->u.in.sin_addr.s_addr);
		return SOURCE_INET;
	case ADDR_INET6:
		if (IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr)) {
			memcpy(&in, &addr->u.in6.sin6_addr.s6_addr[12], sizeof(in));
			*prefix = ntohl(in);
			return SOURCE_INET;
		}
		memcpy(prefix, &addr->u.in6.sin6_addr, sizeof(*prefix));
		return SOURCE_INET6;
	default:
		return SOURCE_NONE;
	}
}

static uint32_t bucket_of(const struct source_rule *rule)
{
	return (rule->burst > 0 ? rule->burst : rule->rate) * TOKEN;
}

/* The source's own place in its set, or one for it; NULL when all have open sessions. */
static struct source *set_take(struct set *set, enum source_kind kind, uint64_t prefix)
{
	struct source *free_one = NULL;

	for (uint32_t i = 0; i < WAYS; i++) {
		struct source *source = &set->sources[i];

		if (source->kind == kind && source->prefix == prefix)
			return source;
		if (source->sessions > 0 || (free_one && free_one->kind == SOURCE_NONE))
			continue;
		if (!free_one || source->kind == SOURCE_NONE || source->seen_ms < free_one->seen_ms)
			free_one = source;
	}
	if (free_one)
		free_one->kind = SOURCE_NONE;
	return free_one;
}

/* Tokens that have come since it was last seen. Never more than fit. */
static void source_fill(struct source *source, const struct source_rule *rule, uint64_t now_ms)
{
	uint32_t bucket = bucket_of(rule);
	uint64_t passed;

	if (now_ms < source->seen_ms)
		now_ms = source->seen_ms; /* another thread's clock was ahead */
	passed = now_ms - source->seen_ms;
	source->seen_ms = now_ms;
	if (source->tokens > bucket)
		source->tokens = bucket; /* the rule was changed */
	if (rule->rate > 0 && passed >= (bucket - source->tokens) / rule->rate + 1)
		source->tokens = bucket;
	else
		source->tokens += (uint32_t)(passed * rule->rate);
	assert(source->tokens <= bucket);
}

static enum source_verdict source_admit(struct source *source, const struct source_rule *rule)
{
	if (rule->sessions > 0 && source->sessions >= rule->sessions)
		return SOURCE_TOO_MANY;
	if (rule->rate > 0 && source->tokens < TOKEN)
		return SOURCE_TOO_FAST;
	if (rule->rate > 0)
		source->tokens -= TOKEN;
	source->sessions++;
	assert(source->sessions > 0);
	return SOURCE_OK;
}

static enum source_verdict set_admit(struct set *set, const struct source_rule *rule,
				     enum source_kind kind, uint64_t prefix, uint64_t now_ms,
				     struct source **taken)
{
	struct source *source = set_take(set, kind, prefix);
	enum source_verdict verdict;

	*taken = NULL;
	if (!source)
		return SOURCE_OK;
	if (source->kind == SOURCE_NONE)
		*source = (struct source){
			.prefix = prefix,
			.seen_ms = now_ms,
			.tokens = bucket_of(rule),
			.kind = kind,
		};
	source_fill(source, rule, now_ms);
	verdict = source_admit(source, rule);
	if (verdict == SOURCE_OK)
		*taken = source;
	return verdict;
}

enum source_verdict source_limits_admit(struct source_limits *limits,
					const struct source_rule *rule, const struct addr *source,
					uint64_t now_ms, uint32_t *place)
{
	uint64_t prefix = 0;
	enum source_kind kind = source_of(source, &prefix);
	enum source_verdict verdict;
	struct source *taken;
	struct set *set;

	assert(rule->rate <= SOURCE_RATE_MAX && rule->burst <= SOURCE_RATE_MAX);
	*place = SOURCE_UNTRACKED;
	if (kind == SOURCE_NONE || (rule->sessions == 0 && rule->rate == 0))
		return SOURCE_OK;
	set = set_of(limits, kind, prefix);
	set_lock(set);
	verdict = set_admit(set, rule, kind, prefix, now_ms, &taken);
	set_unlock(set);
	if (taken)
		*place = (uint32_t)(set - limits->sets) * WAYS + (uint32_t)(taken - set->sources);
	else if (verdict == SOURCE_OK)
		atomic_fetch_add_explicit(&limits->untracked, 1, memory_order_relaxed);
	return verdict;
}

void source_limits_release(struct source_limits *limits, uint32_t place)
{
	struct set *set;

	if (place == SOURCE_UNTRACKED)
		return;
	assert(place / WAYS <= limits->mask);
	set = &limits->sets[place / WAYS];
	set_lock(set);
	assert(set->sources[place % WAYS].sessions > 0);
	set->sources[place % WAYS].sessions--;
	set_unlock(set);
}
