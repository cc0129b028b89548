/* SPDX-License-Identifier: MIT */
/*
 * wheel.c - where a timer hangs, and how time passes over it.
 *
 * A tick is a number of four base-64 digits (and more above them). A timer hangs at the level of
 * the highest digit in which its tick differs from the present tick:
 *
 *      now      ..  0  12  40  63           level = 1: digit 1 is the highest that differs
 *      timer    ..  0  12  41   5           index = 41: the timer's digit 1
 *
 * So on levels 0 to 2 every occupied slot lies ahead of the present digit and none wraps around:
 * the next one is the lowest bit of the bitmap. Only level 3 wraps, and there the slot at the
 * present digit is a whole turn away. A slot's tick is the one at which all its lower digits
 * become 0; time must stop there, to hang its timers lower.
 *
 * The overdue hang on level 0 in the slot of the present tick.
 *
 * Why digits and not distances: with distances a timer 4,095 ticks ahead can fall into the slot of
 * level 1 that is being passed right now, and needs a special case in every place that reads one.
 *
 * Why a bit is not cleared when its slot's last timer is stopped: that would cost every stop a
 * look-up of the slot. A bit without timers costs one empty stop of wheel_advance() at most.
 *
 * Why the due are collected first and fired then: fire() may set a timer in the past, and such a
 * timer belongs to the next wheel_advance(), or two timers could keep one call busy for ever.
 */
#include "base/wheel.h"

#define DIGIT_BITS 6
#define HORIZON_TICKS (1ull << (DIGIT_BITS * WHEEL_LEVELS))

static_assert(1 << DIGIT_BITS == WHEEL_SLOTS, "a slot is a digit");
static_assert(WHEEL_SLOTS == 64, "a level's bitmap is one uint64_t");

struct stop {
	uint64_t tick;
	unsigned level;
	unsigned index;
};

static inline unsigned tick_digit(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> (level * DIGIT_BITS)) & (WHEEL_SLOTS - 1);
}

/* The first tick that is not before the deadline. */
static inline uint64_t tick_of_deadline(uint64_t deadline_ms)
{
	return deadline_ms / WHEEL_TICK_MS + (deadline_ms % WHEEL_TICK_MS != 0);
}

static inline unsigned level_of_difference(uint64_t difference)
{
	unsigned highest_bit = 63u - (unsigned)__builtin_clzll(difference | 1);
	unsigned level = highest_bit / DIGIT_BITS;

	return level < WHEEL_LEVELS ? level : WHEEL_LEVELS - 1;
}

/* How many slots ahead of the present digit the next occupied one of a level is. */
static inline unsigned slots_ahead(uint64_t occupied, unsigned level, unsigned present)
{
	unsigned first = level == 0 ? present : present + 1;
	unsigned turn = first % WHEEL_SLOTS;
	uint64_t turned = occupied >> turn | occupied << (-turn % WHEEL_SLOTS);

	assert(occupied != 0);
	return first - present + (unsigned)__builtin_ctzll(turned);
}

/* Find the earliest occupied slot; of several at one tick the highest level, whose timers may have
 * to hang in the others. */
static bool wheel_find_stop(const struct wheel *wheel, struct stop *stop)
{
	bool found = false;

	for (unsigned level = WHEEL_LEVELS; level-- > 0;) {
		unsigned present = tick_digit(wheel->now_tick, level);
		unsigned shift = level * DIGIT_BITS;
		unsigned ahead;
		uint64_t tick;

		if (wheel->occupied[level] == 0)
			continue;
		ahead = slots_ahead(wheel->occupied[level], level, present);
		assert(level == WHEEL_LEVELS - 1 || present + ahead < WHEEL_SLOTS);
		tick = ((wheel->now_tick >> shift) + ahead) << shift;
		assert(tick >= wheel->now_tick);
		if (!found || tick < stop->tick) {
			*stop = (struct stop){ tick, level, (present + ahead) % WHEEL_SLOTS };
			found = true;
		}
	}
	return found;
}

/* Expensive: every timer hangs in a slot that promises not to be late for it. */
static void wheel_check(const struct wheel *wheel)
{
	uint32_t count = 0;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		for (unsigned index = 0; index < WHEEL_SLOTS; index++) {
			const struct list *slot = &wheel->slots[level][index];

			if (!list_empty(slot))
				assert(wheel->occupied[level] >> index & 1);
			for (const struct list *node = slot->next; node != slot;
			     node = node->next) {
				assert(node->next->prev == node);
				count++;
			}
		}
	}
	assert(count == wheel->timers_count);
}

static void wheel_place(struct wheel *wheel, struct timer *timer)
{
	uint64_t tick = tick_of_deadline(timer->deadline_ms);
	unsigned level, index;

	if (tick < wheel->now_tick)
		tick = wheel->now_tick;
	else if (tick - wheel->now_tick > HORIZON_TICKS)
		tick = wheel->now_tick + HORIZON_TICKS;
	level = level_of_difference(tick ^ wheel->now_tick);
	index = tick_digit(tick, level);
	assert(level == WHEEL_LEVELS - 1 || index >= tick_digit(wheel->now_tick, level));

	list_push(&wheel->slots[level][index], &timer->node);
	wheel->occupied[level] |= 1ull << index;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
	assert(wheel);
	wheel->now_tick = now_ms / WHEEL_TICK_MS;
	wheel->timers_count = 0;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		wheel->occupied[level] = 0;
		for (unsigned index = 0; index < WHEEL_SLOTS; index++)
			list_init(&wheel->slots[level][index]);
	}
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	assert(timer);
	assert(fire);
	list_init(&timer->node);
	timer->deadline_ms = 0;
	timer->fire = fire;
}

void wheel_set(struct wheel *wheel, struct timer *timer, uint64_t deadline_ms)
{
	assert(timer->fire);
	if (timer_is_set(timer)) {
		assert(wheel->timers_count > 0);
		list_remove(&timer->node);
	} else {
		wheel->timers_count++;
	}
	timer->deadline_ms = deadline_ms;
	wheel_place(wheel, timer);
	assert(timer_is_set(timer));
}

void wheel_stop(struct wheel *wheel, struct timer *timer)
{
	if (!timer_is_set(timer))
		return;
	assert(wheel->timers_count > 0);
	list_remove(&timer->node);
	wheel->timers_count--;
}

/* Move time to a stop: its timers are due, or hang lower from now on. */
static void wheel_halt(struct wheel *wheel, const struct stop *stop, struct list *due)
{
	struct list *slot = &wheel->slots[stop->level][stop->index];
	struct list moving;

	assert(stop->tick >= wheel->now_tick);
	wheel->now_tick = stop->tick;
	wheel->occupied[stop->level] &= ~(1ull << stop->index);
	if (stop->level == 0) {
		list_move_all(due, slot);
		return;
	}
	/* Through a list of its own: on level 3 a timer may come back to the same slot. */
	list_init(&moving);
	list_move_all(&moving, slot);
	for (struct list *node; (node = list_take_first(&moving));)
		wheel_place(wheel, container_of(node, struct timer, node));
}

static uint32_t wheel_fire(struct wheel *wheel, struct list *due)
{
	uint32_t fired_count = 0;

	for (struct list *node; (node = list_take_first(due));) {
		struct timer *timer = container_of(node, struct timer, node);

		assert(wheel->timers_count > 0);
		assert(tick_of_deadline(timer->deadline_ms) <= wheel->now_tick);
		wheel->timers_count--;
		fired_count++;
		timer->fire(timer);
	}
	return fired_count;
}

uint32_t wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
	uint64_t target_tick = now_ms / WHEEL_TICK_MS;
	struct list due;
	struct stop stop;
	uint32_t fired_count;

	assert(target_tick >= wheel->now_tick);
	list_init(&due);
	while (wheel_find_stop(wheel, &stop) && stop.tick <= target_tick)
		wheel_halt(wheel, &stop, &due);
	wheel->now_tick = target_tick;
	fired_count = wheel_fire(wheel, &due);
	assert(list_empty(&due));
	if (CHECKS_FULL)
		wheel_check(wheel);
	return fired_count;
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
	struct stop stop;

	if (wheel->timers_count == 0 || !wheel_find_stop(wheel, &stop))
		return UINT64_MAX;
	return stop.tick * WHEEL_TICK_MS;
}
