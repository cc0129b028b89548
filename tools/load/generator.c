/* SPDX-License-Identifier: MIT */
/*
 * generator.c - the loop, the phases and the hand-over of generator.h.
 */
#include "generator.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "client.h"

#define BATCH 8            /* requests between two looks at the ring */
#define CONNECTING_MAX 256 /* at once: more would overrun the target's backlog */
#define STOP_LOOK_NS (20 * NS_PER_MS)
#define CLOSE_WAIT_NS (300 * NS_PER_MS)
#define ROTATE_NS NS_PER_S
/* No connection has stood, and so often connecting failed: it is hopeless. */
#define HOPELESS_ATTEMPTS 3

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* --- tallies --------------------------------------------------------------------------------- */

static struct tally *take_slot(_Atomic(struct tally *) *slots)
{
	int i;

	for (i = 0; i < TALLIES; i++) {
		struct tally *tally = atomic_load_explicit(&slots[i], memory_order_acquire);

		if (tally != NULL) {
			atomic_store_explicit(&slots[i], NULL, memory_order_relaxed);
			return tally;
		}
	}
	return NULL;
}

static void put_slot(_Atomic(struct tally *) *slots, struct tally *tally)
{
	int i;

	for (i = 0; i < TALLIES; i++) {
		if (atomic_load_explicit(&slots[i], memory_order_acquire) == NULL) {
			atomic_store_explicit(&slots[i], tally, memory_order_release);
			return;
		}
	}
	unreachable(); /* there are as many slots as tallies */
}

struct tally *generator_take_tally(struct generator *generator)
{
	return take_slot(generator->full);
}

void generator_give_tally(struct generator *generator, struct tally *tally)
{
	tally_reset(tally);
	put_slot(generator->empty, tally);
}

/* Requests that are due and not sent: none after the end of sending, nor more than -n left. */
static uint64_t backlog(const struct generator *generator, uint64_t now_ns)
{
	uint64_t until_ns = now_ns < generator->end_ns ? now_ns : generator->end_ns;
	uint64_t count;

	if (!generator->open_loop)
		return 0;
	count = (uint64_t)arrival_backlog(&generator->arrival, until_ns);
	if (generator->limited && count > generator->requests_left)
		count = generator->requests_left;
	return count;
}

/* Hand the current tally over and go on with an empty one. False: none is empty yet. */
static bool rotate(struct generator *generator)
{
	uint64_t now_ns = engine_now_ns(&generator->engine);
	struct tally *next = take_slot(generator->empty);

	if (next == NULL)
		return false;
	generator->tally->end_ns = now_ns - generator->start_ns;
	generator->tally->open = generator->open;
	generator->tally->backlog = backlog(generator, now_ns);
	next->begin_ns = generator->tally->end_ns;
	next->measured = generator->phase >= GENERATOR_MEASURE;
	put_slot(generator->full, generator->tally);
	generator->tally = next;
	return true;
}

static void on_rotate(struct alarm *alarm)
{
	struct generator *generator = container_of(alarm, struct generator, rotate);

	(void)rotate(generator);
	alarm_set(&generator->engine.alarms, alarm, alarm->at_ns + ROTATE_NS);
}

/* --- phases ---------------------------------------------------------------------------------- */

static void begin_measuring(struct generator *generator)
{
	const struct plan *plan = generator->plan;
	uint64_t begin_ns = generator->start_ns + plan->warmup_ns;

	generator->phase = GENERATOR_MEASURE;
	generator->measure_ns = begin_ns;
	if (plan->warmup_ns > 0) {
		/* Every slot but the current one is empty at this time, or will be soon. */
		while (!rotate(generator))
			(void)sched_yield();
	}
	generator->tally->measured = true;
	generator->cpu_begin_ns = thread_cpu_ns();
	generator->end_ns = plan->duration_ns > 0 ? begin_ns + plan->duration_ns : UINT64_MAX;
	if (plan->duration_ns > 0)
		alarm_set(&generator->engine.alarms, &generator->phase_alarm, generator->end_ns);
}

static void count_unfinished(struct generator *generator)
{
	uint64_t now_ns = engine_now_ns(&generator->engine);
	uint32_t i;

	for (i = 0; i < generator->clients_count; i++) {
		struct client *client = &generator->clients[i];
		uint32_t in_flight = client_in_flight(client);
		uint64_t age_ns;

		if (in_flight == 0 || client->manner != MANNER_GOOD)
			continue;
		tally_add(generator->tally, unfinished, in_flight);
		age_ns = now_ns - client_oldest(client)->started_ns;
		if (age_ns > generator->tally->unfinished_oldest_ns)
			generator->tally->unfinished_oldest_ns = age_ns;
	}
}

static void end_sending(struct generator *generator)
{
	uint64_t now_ns = engine_now_ns(&generator->engine);

	generator->cpu_ns = thread_cpu_ns() - generator->cpu_begin_ns;
	generator->measured_ns = now_ns - generator->measure_ns;
	tally_add(generator->tally, unsent, backlog(generator, now_ns));
}

static void be_over(struct generator *generator)
{
	uint32_t i;

	if (generator->phase == GENERATOR_OVER)
		return;
	if (generator->phase < GENERATOR_DRAIN && generator->measure_ns != UINT64_MAX)
		end_sending(generator);
	count_unfinished(generator);
	generator->phase = GENERATOR_OVER;
	generator->tally->open = generator->open;
	alarm_stop(&generator->engine.alarms, &generator->phase_alarm);
	alarm_stop(&generator->engine.alarms, &generator->opener);
	for (i = 0; i < generator->clients_count; i++) {
		alarm_stop(&generator->engine.alarms, &generator->clients[i].alarm);
		client_close(&generator->clients[i], PEER_END_CLOSE);
	}
}

void generator_check_over(struct generator *generator)
{
	bool sent_all = generator->limited && generator->requests_left == 0;

	if (generator->in_flight > 0 || generator->phase == GENERATOR_OVER)
		return;
	/* Over only from the loop: a client may be in the middle of an event. */
	if (generator->phase == GENERATOR_DRAIN ||
	    (generator->phase == GENERATOR_MEASURE && sent_all))
		alarm_set(&generator->engine.alarms, &generator->phase_alarm,
		          engine_now_ns(&generator->engine));
}

static void on_phase(struct alarm *alarm)
{
	struct generator *generator = container_of(alarm, struct generator, phase_alarm);
	const struct plan *plan = generator->plan;

	switch (generator->phase) {
	case GENERATOR_WARM_UP:
		begin_measuring(generator);
		return;
	case GENERATOR_MEASURE:
		if (plan->drain_ns == 0 || generator->in_flight == 0 || !plan_has_requests(plan)) {
			be_over(generator);
			return;
		}
		end_sending(generator);
		generator->phase = GENERATOR_DRAIN;
		alarm_set(&generator->engine.alarms, alarm,
		          engine_now_ns(&generator->engine) + plan->drain_ns);
		return;
	case GENERATOR_DRAIN:
		be_over(generator);
		return;
	case GENERATOR_OVER:
		break;
	}
	unreachable();
}

/* --- opening --------------------------------------------------------------------------------- */

void generator_open_some(struct generator *generator)
{
	double now_ns;

	while (!list_empty(&generator->waiting) && generator->connecting < CONNECTING_MAX &&
	       generator->phase <= GENERATOR_MEASURE) {
		struct list *link;

		if (generator->open_gap_ns > 0) {
			now_ns = (double)engine_now_ns(&generator->engine);
			if (now_ns < generator->open_next_ns) {
				alarm_set(&generator->engine.alarms, &generator->opener,
				          (uint64_t)generator->open_next_ns + 1);
				return;
			}
			generator->open_next_ns += generator->open_gap_ns;
		}
		link = list_take_first(&generator->waiting);
		client_open(container_of(link, struct client, link));
	}
}

static void on_opener(struct alarm *alarm)
{
	generator_open_some(container_of(alarm, struct generator, opener));
}

/* --- life ------------------------------------------------------------------------------------ */

static const struct engine_options *engine_options_of(const struct plan *plan)
{
	/* Messages are small and many are in the cache at once; a stream wants few large pieces. */
	static const struct engine_options messages = { 16384, 128, 128 };
	static const struct engine_options streams = { 262144, 8, 8 };

	return plan->mode == MODE_STREAM ? &streams : &messages;
}

static void open_tallies(struct generator *generator)
{
	int i;

	for (i = 0; i < TALLIES; i++) {
		generator->tallies[i] = tally_open();
		put_slot(generator->empty, generator->tallies[i]);
	}
	generator->tally = take_slot(generator->empty);
}

int generator_open(struct generator *generator, const struct plan *plan, uint32_t index,
                   uint64_t first, uint32_t connections, uint64_t requests)
{
	uint32_t i;

	*generator = (struct generator){
		.plan = plan,
		.index = index,
		.first_number = first,
		.clients_count = connections,
		.limited = plan->count > 0,
		.requests_left = requests,
		.open_loop = plan->rate > 0,
		.measure_ns = UINT64_MAX,
		.end_ns = UINT64_MAX,
		.next_id = (uint64_t)index << 48,
	};
	list_init(&generator->able);
	list_init(&generator->waiting);
	alarm_init(&generator->phase_alarm, on_phase);
	alarm_init(&generator->rotate, on_rotate);
	alarm_init(&generator->opener, on_opener);
	draw_init(&generator->draw, plan->seed, 1000 + index);
	head_reader_init(&generator->heads, HTTP_HEAD_RESPONSE);
	open_tallies(generator);
	generator->clients = calloc(connections, sizeof(*generator->clients));
	if (generator->clients == NULL)
		return -ENOMEM;
	for (i = 0; i < connections; i++)
		client_init(&generator->clients[i], generator, first + i);
	return 0;
}

void generator_close(struct generator *generator)
{
	uint32_t i;

	for (i = 0; i < generator->clients_count && generator->clients != NULL; i++)
		client_deinit(&generator->clients[i]);
	free(generator->clients);
	for (i = 0; i < TALLIES; i++)
		tally_close(generator->tallies[i]);
}

static double open_gap(const struct plan *plan)
{
	double rate = plan->conn_rate;

	if (rate == 0 && plan->ramp_ns > 0)
		rate = (double)plan->connections / ((double)plan->ramp_ns / 1e9);
	return rate > 0 ? 1e9 / rate : 0;
}

static void start(struct generator *generator)
{
	const struct plan *plan = generator->plan;
	double gap_ns = open_gap(plan);
	double threads = (double)plan->threads;
	double first_ns = (double)generator->start_ns;
	uint32_t i;

	generator->open_gap_ns = gap_ns * threads;
	generator->open_next_ns = first_ns + gap_ns * generator->index;
	if (generator->open_loop)
		arrival_init(&generator->arrival, plan->rate / threads,
		             plan->arrival == ARRIVAL_POISSON,
		             first_ns + 1e9 / plan->rate * generator->index, plan->seed,
		             generator->index);
	alarm_set(&generator->engine.alarms, &generator->rotate, generator->start_ns + ROTATE_NS);
	if (plan->warmup_ns > 0)
		alarm_set(&generator->engine.alarms, &generator->phase_alarm,
		          generator->start_ns + plan->warmup_ns);
	else
		begin_measuring(generator);
	for (i = 0; i < generator->clients_count; i++) {
		struct client *client = &generator->clients[i];

		list_push(plan->mode == MODE_CRR && generator->open_loop ? &generator->able
		                                                         : &generator->waiting,
		          &client->link);
	}
	generator_open_some(generator);
}

static struct client *take_able(struct generator *generator)
{
	struct list *link = list_take_first(&generator->able);

	return link != NULL ? container_of(link, struct client, link) : NULL;
}

/* How late is this program itself? Later than the time, and than the connection. */
static void note_lag(struct generator *generator, const struct client *client,
                     uint64_t intended_ns, uint64_t now_ns)
{
	uint64_t could_ns = intended_ns > client->able_ns ? intended_ns : client->able_ns;

	if (intended_ns >= generator->measure_ns)
		tally_time(generator->tally, TALLY_LAG, now_ns > could_ns ? now_ns - could_ns : 0);
}

static void send_open(struct generator *generator, uint64_t now_ns)
{
	uint32_t left = BATCH;

	while (left-- > 0 && arrival_next_ns(&generator->arrival) <= now_ns &&
	       arrival_next_ns(&generator->arrival) < generator->end_ns &&
	       generator_sends(generator)) {
		struct client *client = take_able(generator);
		uint64_t intended_ns;

		if (client == NULL)
			return;
		intended_ns = arrival_take(&generator->arrival);
		note_lag(generator, client, intended_ns, now_ns);
		client_request(client, intended_ns, now_ns);
	}
}

static void send_closed(struct generator *generator, uint64_t now_ns)
{
	uint32_t left = BATCH;

	while (left-- > 0 && generator_sends(generator)) {
		struct client *client = take_able(generator);

		if (client == NULL)
			return;
		client_request(client, now_ns, now_ns);
	}
}

/* Until when nothing has to be done. */
static uint64_t next_work_ns(const struct generator *generator, uint64_t now_ns)
{
	uint64_t look_ns = now_ns + STOP_LOOK_NS;
	uint64_t due_ns;

	if (list_empty(&generator->able) || !generator_sends(generator))
		return look_ns;
	if (!generator->open_loop)
		return 0;
	due_ns = arrival_next_ns(&generator->arrival);
	if (due_ns <= now_ns)
		return 0;
	return due_ns < look_ns ? due_ns : look_ns;
}

static bool is_hopeless(const struct generator *generator)
{
	return generator->connects_good == 0 && generator->alive == 0 &&
	       generator->connects_bad >= HOPELESS_ATTEMPTS;
}

static int loop(struct generator *generator)
{
	int result = 0;

	while (result == 0 && generator->phase != GENERATOR_OVER) {
		uint64_t now_ns = clock_ns();

		if (generator->open_loop)
			send_open(generator, now_ns);
		else
			send_closed(generator, now_ns);
		result = engine_turn(&generator->engine, next_work_ns(generator, now_ns));
		if (is_hopeless(generator) ||
		    atomic_load_explicit(&generator->stop, memory_order_relaxed))
			be_over(generator);
	}
	return result;
}

/* Let every operation come home before the memory goes. */
static void wait_closed(struct generator *generator)
{
	uint64_t until_ns = clock_ns() + CLOSE_WAIT_NS;

	while (generator->alive > 0 && clock_ns() < until_ns)
		if (engine_turn(&generator->engine, clock_ns() + NS_PER_MS) < 0)
			return;
}

void generator_run(struct generator *generator, uint64_t start_ns)
{
	cpu_set_t set;

	if (generator->plan->cpus_count > 0) {
		CPU_ZERO(&set);
		CPU_SET((size_t)generator->plan->cpus[generator->index %
		                                      generator->plan->cpus_count],
		        &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
	generator->result = engine_open(&generator->engine, engine_options_of(generator->plan));
	if (generator->result == 0) {
		generator->start_ns = start_ns;
		/* The ring's clock is that of its latest turn: begin with one. */
		generator->result = engine_turn(&generator->engine, start_ns);
		start(generator);
		if (generator->result == 0)
			generator->result = loop(generator);
		wait_closed(generator);
		generator->tally->end_ns = generator_run_ns(generator);
		generator->tally->measured |= generator->phase >= GENERATOR_MEASURE;
		engine_close(&generator->engine);
	}
	atomic_store(&generator->is_over, true);
}
