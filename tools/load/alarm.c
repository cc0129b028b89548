/* SPDX-License-Identifier: MIT */
/*
 * alarm.c - the heap of alarm.h.
 */
#include "alarm.h"

#include <stdlib.h>

void alarms_init(struct alarms *alarms)
{
	*alarms = (struct alarms){ 0 };
}

void alarms_deinit(struct alarms *alarms)
{
	free(alarms->heap);
	*alarms = (struct alarms){ 0 };
}

void alarm_init(struct alarm *alarm, void (*fire)(struct alarm *alarm))
{
	*alarm = (struct alarm){ .fire = fire };
}

static void put(struct alarms *alarms, uint32_t place, struct alarm *alarm)
{
	assert(place > 0 && place <= alarms->count);
	alarms->heap[place] = alarm;
	alarm->place = place;
}

static void sift_up(struct alarms *alarms, struct alarm *alarm)
{
	uint32_t place = alarm->place;

	while (place > 1 && alarms->heap[place / 2]->at_ns > alarm->at_ns) {
		put(alarms, place, alarms->heap[place / 2]);
		place /= 2;
	}
	put(alarms, place, alarm);
}

static void sift_down(struct alarms *alarms, struct alarm *alarm)
{
	uint32_t place = alarm->place;

	for (;;) {
		uint32_t child = place * 2;

		if (child > alarms->count)
			break;
		if (child < alarms->count &&
		    alarms->heap[child + 1]->at_ns < alarms->heap[child]->at_ns)
			child++;
		if (alarms->heap[child]->at_ns >= alarm->at_ns)
			break;
		put(alarms, place, alarms->heap[child]);
		place = child;
	}
	put(alarms, place, alarm);
}

static void make_room(struct alarms *alarms)
{
	if (alarms->count + 1 < alarms->room)
		return;
	alarms->room = alarms->room == 0 ? 64 : alarms->room * 2;
	alarms->heap = realloc(alarms->heap, alarms->room * sizeof(*alarms->heap));
	assert(alarms->heap != NULL);
}

void alarm_set(struct alarms *alarms, struct alarm *alarm, uint64_t at_ns)
{
	alarm_stop(alarms, alarm);
	make_room(alarms);
	alarm->at_ns = at_ns;
	alarms->count++;
	put(alarms, alarms->count, alarm);
	sift_up(alarms, alarm);
}

void alarm_stop(struct alarms *alarms, struct alarm *alarm)
{
	struct alarm *last;
	uint32_t place = alarm->place;

	if (place == 0)
		return;
	assert(alarms->heap[place] == alarm);
	last = alarms->heap[alarms->count];
	alarm->place = 0;
	if (last == alarm) {
		alarms->count--;
		return;
	}
	put(alarms, place, last);
	alarms->count--;
	sift_up(alarms, last);
	sift_down(alarms, last);
}

void alarms_fire(struct alarms *alarms, uint64_t now_ns)
{
	while (alarms->count > 0 && alarms->heap[1]->at_ns <= now_ns) {
		struct alarm *alarm = alarms->heap[1];

		alarm_stop(alarms, alarm);
		alarm->fire(alarm);
	}
}
