/* SPDX-License-Identifier: MIT */
/*
 * worker.c - opening, starting, running and ending a worker. The picture is in worker/worker.h.
 */
#include "worker/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Submissions of one turn; more are submitted early. */
#define SQ_ENTRIES 512u
/* Every armed receive may complete in one turn; 16 bytes each. A full queue only stops multishot
 * receives, which are armed again. */
#define CQ_ENTRIES 16384u
#define ORDERS_MAX 8

struct worker {
	/* configuration */
	const struct conf *conf;
	struct log *log;
	struct ring *ring;
	struct flow *flow;
	uint32_t index;
	int cpu;
	int over_fd;
	/* state */
	struct mailbox mailbox;
	struct mail mails[MAIL_KIND_COUNT]; /* one of each kind is enough: they do not repeat */
	bool mailed[MAIL_KIND_COUNT];
	struct op mail_op;
	pthread_t thread;
	bool thread_started;
	sem_t started;
	int result;
	_Atomic bool over;
};

static enum ring_wait wait_of(enum conf_wait wait)
{
	static const enum ring_wait waits[] = {
		[WAIT_BALANCED] = RING_WAIT_BALANCED,
		[WAIT_LATENCY] = RING_WAIT_LATENCY,
		[WAIT_THROUGHPUT] = RING_WAIT_THROUGHPUT,
		[WAIT_SQPOLL] = RING_WAIT_SQPOLL,
	};

	assert((size_t)wait < ARRAY_COUNT(waits));
	return waits[wait];
}

void worker_ring_options(const struct conf *conf, int cpu, struct ring_options *options)
{
	(void)cpu; /* the kernel's polling thread must not share the worker's CPU */
	*options = (struct ring_options){ .sq_entries = SQ_ENTRIES,
					  .cq_entries = CQ_ENTRIES,
					  .wait = wait_of(conf->proxy.wait),
					  .sqpoll_cpu = -1 };
}

static void on_mail(struct op *op, int result, uint32_t flags)
{
	struct worker *worker = container_of(op, struct worker, mail_op);
	enum mail_kind orders[ORDERS_MAX];
	uint32_t count, i;

	(void)result; /* whatever it is, looking is right */
	(void)flags;
	count = mailbox_take(&worker->mailbox, orders, ORDERS_MAX);
	for (i = 0; i < count; i++) {
		if (orders[i] == MAIL_DRAIN || orders[i] == MAIL_STOP)
			flow_drain(worker->flow);
		if (orders[i] == MAIL_CUT)
			flow_cut(worker->flow, CLOSE_DRAIN_CUT);
		if (orders[i] == MAIL_STOP)
			flow_cut(worker->flow, CLOSE_STOP_CUT);
	}
	if (!worker->mail_op.away)
		ring_poll(worker->ring, &worker->mail_op, worker->mailbox.event_fd);
}

/* Memory is taken from the NUMA node of the CPU that touches it first: be there while it is. */
static void move_to(int cpu, cpu_set_t *before)
{
	cpu_set_t there;

	CPU_ZERO(before);
	(void)sched_getaffinity(0, sizeof(*before), before);
	if (cpu < 0)
		return;
	CPU_ZERO(&there);
	CPU_SET((size_t)cpu, &there);
	(void)sched_setaffinity(0, sizeof(there), &there);
}

static int open_parts(struct worker *worker, const struct worker_options *options,
		      const char **step)
{
	struct ring_options ring_options;
	struct flow_options flow_options = {
		.conf = options->conf,
		.shared = options->shared,
		.log = options->log,
		.region = options->region,
		.region_bytes = options->region_bytes,
		.worker_index = options->index,
		.access_sinks = options->access_sinks,
		.listen_fds = options->listen_fds,
	};
	int result;

	worker_ring_options(options->conf, options->cpu, &ring_options);
	*step = "ring";
	result = ring_open(&worker->ring, &ring_options, options->features);
	if (result < 0)
		return result;
	if (options->conf->proxy.zero_copy_send != ZERO_COPY_OFF) {
		*step = "region";
		result = ring_register_region(worker->ring, options->region, options->region_bytes);
		if (result < 0)
			return result;
	}
	*step = "mailbox";
	result = mailbox_open(&worker->mailbox);
	if (result < 0)
		return result;
	*step = "flow";
	flow_options.ring = worker->ring;
	return flow_open(&worker->flow, &flow_options);
}

int worker_open(struct worker **out, const struct worker_options *options, const char **step)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	cpu_set_t before;
	int result;

	if (worker == NULL)
		return -ENOMEM;
	worker->conf = options->conf;
	worker->log = options->log;
	worker->index = options->index;
	worker->cpu = options->cpu;
	worker->over_fd = options->over_fd;
	worker->mailbox.event_fd = -1;
	op_init(&worker->mail_op, on_mail);
	sem_init(&worker->started, 0, 0);
	atomic_init(&worker->over, false);
	move_to(options->cpu, &before);
	result = open_parts(worker, options, step);
	(void)sched_setaffinity(0, sizeof(before), &before);
	if (result < 0) {
		worker_close(worker);
		return result;
	}
	*out = worker;
	return 0;
}

void worker_close(struct worker *worker)
{
	if (worker == NULL)
		return;
	assert(!worker->thread_started);
	/* The ring first: the kernel may write to what the flow owns until it is gone. */
	ring_close(worker->ring);
	flow_close(worker->flow);
	mailbox_close(&worker->mailbox);
	sem_destroy(&worker->started);
	free(worker);
}

void workers_introduce(struct worker *const *workers, struct flow **flows, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		flows[i] = workers[i]->flow;
	for (i = 0; i < count; i++)
		flow_set_peers(workers[i]->flow, flows, count);
}

static void settle(struct worker *worker)
{
	char name[16];
	cpu_set_t cpus;

	snprintf(name, sizeof(name), "sluice-%u", worker->index);
	(void)pthread_setname_np(pthread_self(), name);
	if (worker->cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET((size_t)worker->cpu, &cpus);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0)
		log_warn(worker->log, "worker %u cannot run on CPU %d", worker->index, worker->cpu);
}

/* Memory for traffic is reserved at start: a worker that runs asks for none. Builds with full
 * checks and the address sanitizer, which calls this for every allocation, hold it to that. */
static _Thread_local bool allocates_no_more;

#if defined(SLUICE_CHECKS_FULL) && defined(__SANITIZE_ADDRESS__)
void __sanitizer_malloc_hook(const volatile void *memory, size_t bytes);

void __sanitizer_malloc_hook(const volatile void *memory, size_t bytes)
{
	bool allowed = !allocates_no_more;

	(void)memory;
	(void)bytes;
	allocates_no_more = false; /* for what reports it */
	assert(allowed);
}
#endif

static void *run(void *argument)
{
	struct worker *worker = argument;
	const uint64_t one = 1;
	int result;

	settle(worker);
	worker->result = ring_enable(worker->ring);
	if (worker->result == 0) {
		ring_poll(worker->ring, &worker->mail_op, worker->mailbox.event_fd);
		flow_start(worker->flow);
	}
	sem_post(&worker->started);
	allocates_no_more = true;
	while (worker->result == 0 && !flow_is_over(worker->flow)) {
		result = ring_turn(worker->ring, flow_turn(worker->flow));
		if (result < 0) {
			log_error(worker->log,
				  "worker %u: io_uring failed: error %d; its sessions are lost",
				  worker->index, -result);
			worker->result = result;
		}
	}
	allocates_no_more = false;
	atomic_store_explicit(&worker->over, true, memory_order_release);
	(void)!write(worker->over_fd, &one, sizeof(one));
	return NULL;
}

int worker_start(struct worker *worker)
{
	sigset_t all, before;
	int result;

	/* Signals belong to the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result != 0)
		return -result;
	worker->thread_started = true;
	while (sem_wait(&worker->started) < 0 && errno == EINTR)
		continue;
	return atomic_load(&worker->over) ? worker->result : 0;
}

void worker_order(struct worker *worker, enum mail_kind order)
{
	assert(order < MAIL_KIND_COUNT);
	if (worker->mailed[order])
		return;
	worker->mailed[order] = true;
	mail_init(&worker->mails[order], order);
	mailbox_post(&worker->mailbox, &worker->mails[order]);
}

bool worker_is_over(const struct worker *worker)
{
	return atomic_load_explicit(&worker->over, memory_order_acquire);
}

int worker_join(struct worker *worker)
{
	if (worker->thread_started)
		pthread_join(worker->thread, NULL);
	worker->thread_started = false;
	return worker->result;
}

struct flow *worker_flow(struct worker *worker)
{
	return worker->flow;
}

struct ring_stats *worker_ring_stats(struct worker *worker)
{
	return ring_stats(worker->ring);
}
