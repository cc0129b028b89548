/* SPDX-License-Identifier: MIT */
/*
 * The real ring against the real kernel: the promises of ring/ring.h that the layers above build
 * on.
 */
#include "ring/ring.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit.h"

#define PAIRS_MAX 300
#define BUFFER_BYTES 4096u
#define BUFFERS 64u

static struct ring_features kernel;
static uint8_t memory[BUFFERS * BUFFER_BYTES];

/* A socket pair with an op on its first end; what it got. */
struct end {
	struct op op;
	int pair[2];
	int result;
	uint32_t flags;
	uint32_t completions;
	uint32_t bytes;
	bool ended;
};

static void on_done(struct op *op, int result, uint32_t flags)
{
	struct end *end = container_of(op, struct end, op);

	end->result = result;
	end->flags = flags;
	end->completions++;
	if (result > 0)
		end->bytes += (uint32_t)result;
	end->ended = end->ended || result == 0;
}

static bool end_open(struct end *end)
{
	memset(end, 0, sizeof(*end));
	op_init(&end->op, on_done);
	return CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end->pair) == 0);
}

static void end_close(struct end *end)
{
	close(end->pair[0]);
	close(end->pair[1]);
}

static struct ring *open_ring(enum ring_wait wait, uint32_t sq, uint32_t cq,
			      const struct ring_features *features)
{
	struct ring_options options = {
		.sq_entries = sq, .cq_entries = cq, .wait = wait, .sqpoll_cpu = -1
	};
	struct ring *ring = NULL;
	uint32_t i;

	if (!CHECK_INT(ring_open(&ring, &options, features), 0))
		return NULL;
	CHECK_INT(ring_buffers_open(ring, 0, BUFFERS), 0);
	for (i = 0; i < BUFFERS; i++)
		ring_buffers_add(ring, 0, memory + i * BUFFER_BYTES, BUFFER_BYTES, (uint16_t)i);
	ring_buffers_publish(ring, 0);
	CHECK_INT(ring_buffers_open(ring, 1, 8), 0); /* stays empty */
	CHECK_INT(ring_enable(ring), 0);
	return ring;
}

static struct ring *open_plain(void)
{
	return open_ring(RING_WAIT_BALANCED, 64, 256, &kernel);
}

/* Turns until the op is home, at most a second. */
static bool turn_until_home(struct ring *ring, const struct op *op)
{
	uint64_t limit = clock_ns() + NS_PER_S;

	while (op->away && clock_ns() < limit)
		(void)ring_turn(ring, limit);
	return !op->away;
}

TEST(this_kernel_has_every_required_feature)
{
	struct ring_feature_text rows[RING_FEATURES_MAX];
	unsigned count = ring_features_table(&kernel, rows);
	unsigned i;

	CHECK(count > 0);
	for (i = 0; i < count; i++) {
		unit_row(rows[i].name);
		CHECK(!rows[i].required || rows[i].found);
		CHECK(strlen(rows[i].purpose) > 0 && strlen(rows[i].without) > 0);
	}
	unit_row(NULL);
}

static void echo_once(enum ring_wait wait, const struct ring_features *features)
{
	struct ring *ring = open_ring(wait, 64, 256, features);
	struct end in, out;
	struct iovec parts[2] = { { .iov_base = memory, .iov_len = 3 },
				  { .iov_base = memory + BUFFER_BYTES, .iov_len = 2 } };
	char got[8] = "";

	if (ring == NULL || !end_open(&in) || !end_open(&out))
		return;
	memcpy(memory, "abc", 3);
	memcpy(memory + BUFFER_BYTES, "de", 2);
	ring_send(ring, &out.op, out.pair[0], parts, 2);
	CHECK(turn_until_home(ring, &out.op));
	CHECK_INT(out.result, 5);
	CHECK_INT(recv(out.pair[1], got, sizeof(got), MSG_DONTWAIT), 5);
	CHECK(memcmp(got, "abcde", 5) == 0);
	ring_recv(ring, &in.op, in.pair[0], 0, 100, RING_RECV_MANY);
	CHECK_INT(write(in.pair[1], "xyz", 3), 3);
	CHECK_INT(shutdown(in.pair[1], SHUT_WR), 0);
	CHECK(turn_until_home(ring, &in.op));
	CHECK_UINT(in.bytes, 3);
	CHECK(in.ended || !(features->recv_credit)); /* a one-shot receive is over with the data */
	end_close(&in);
	end_close(&out);
	ring_close(ring);
}

TEST(every_way_to_wait_submits_and_delivers)
{
	echo_once(RING_WAIT_BALANCED, &kernel);
	echo_once(RING_WAIT_LATENCY, &kernel);
	echo_once(RING_WAIT_THROUGHPUT, &kernel);
	echo_once(RING_WAIT_SQPOLL, &kernel);
}

TEST(without_the_newer_features_the_same_calls_work)
{
	struct ring_features old = kernel;

	old.recv_credit = old.send_vector = old.min_wait = false;
	old.zero_copy_report = old.zero_copy_vector = old.no_iowait = false;
	echo_once(RING_WAIT_BALANCED, &old);
	echo_once(RING_WAIT_THROUGHPUT, &old);
}

TEST(a_multishot_receive_ends_at_its_credit)
{
	struct ring *ring = open_plain();
	struct end end;
	char data[3 * BUFFER_BYTES] = "";

	if (ring == NULL || !end_open(&end))
		return;
	if (!kernel.recv_credit) {
		unit_skip("this kernel has no credit-limited receive");
		return;
	}
	CHECK_INT(write(end.pair[1], data, sizeof(data)), (int)sizeof(data));
	ring_recv(ring, &end.op, end.pair[0], 0, BUFFER_BYTES + 1, RING_RECV_MANY);
	CHECK(turn_until_home(ring, &end.op));
	CHECK_UINT(end.bytes, 2 * BUFFER_BYTES); /* up to the end of the buffer that reaches it */
	CHECK(end.flags & RING_BUFFER);
	end_close(&end);
	ring_close(ring);
}

TEST(a_receive_from_an_empty_group_reports_enobufs)
{
	struct ring *ring = open_plain();
	struct end end;

	if (ring == NULL || !end_open(&end))
		return;
	CHECK_INT(write(end.pair[1], "x", 1), 1);
	ring_recv(ring, &end.op, end.pair[0], 1, 100, 0);
	CHECK(turn_until_home(ring, &end.op));
	CHECK_INT(end.result, -ENOBUFS);
	end_close(&end);
	ring_close(ring);
}

/* 300 answers, room for 128. */
TEST(a_full_completion_queue_loses_nothing)
{
	static struct end ends[PAIRS_MAX];
	struct ring *ring = open_ring(RING_WAIT_BALANCED, 64, 128, &kernel);
	uint64_t limit = clock_ns() + 2 * NS_PER_S;
	uint32_t bytes = 0, i;

	if (ring == NULL)
		return;
	for (i = 0; i < PAIRS_MAX; i++) {
		if (!end_open(&ends[i]))
			return;
		CHECK_INT(write(ends[i].pair[1], "x", 1), 1);
		ring_poll(ring, &ends[i].op, ends[i].pair[0]);
	}
	while (bytes < PAIRS_MAX && clock_ns() < limit) {
		(void)ring_turn(ring, limit);
		for (i = bytes = 0; i < PAIRS_MAX; i++)
			bytes += ends[i].completions > 0;
	}
	CHECK_UINT(bytes, PAIRS_MAX);
	CHECK(counter_read(&ring_stats(ring)->full_queue_submits) > 0);
	for (i = 0; i < PAIRS_MAX; i++)
		end_close(&ends[i]);
	ring_close(ring);
}

/* A listening unix socket that nobody accepts from, its name in *address. */
static int deaf_listener(struct sockaddr_un *address, socklen_t *len, int backlog)
{
	struct sockaddr_un autobind = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*len = sizeof(*address);
	CHECK_INT(bind(fd, (struct sockaddr *)&autobind, sizeof(sa_family_t)), 0);
	CHECK_INT(listen(fd, backlog), 0);
	CHECK_INT(getsockname(fd, (struct sockaddr *)address, len), 0);
	return fd;
}

static void connect_and_send(struct ring *ring, struct end *connect, struct end *send, int fd,
			     const struct sockaddr_un *address, socklen_t len, uint64_t timeout_ns)
{
	struct iovec part = { .iov_base = memory, .iov_len = 4 };

	ring_connect(ring, &connect->op, fd, (const struct sockaddr *)address, len, timeout_ns,
		     &send->op, &part, 1);
	CHECK(turn_until_home(ring, &connect->op));
	CHECK(turn_until_home(ring, &send->op));
}

TEST(connect_sends_what_is_linked_behind_it)
{
	struct ring *ring = open_plain();
	struct end connect, send;
	struct sockaddr_un address;
	socklen_t len;
	int listener = deaf_listener(&address, &len, 8);
	int fd = ring_socket_open(ring, AF_UNIX);

	if (!end_open(&connect) || !end_open(&send))
		return;
	connect_and_send(ring, &connect, &send, fd, &address, len, NS_PER_S);
	CHECK_INT(connect.result, 0);
	CHECK_INT(send.result, 4);
	ring_socket_close(ring, fd);
	close(listener);
	end_close(&connect);
	end_close(&send);
	ring_close(ring);
}

TEST(a_refused_connect_cancels_the_linked_send)
{
	struct ring *ring = open_plain();
	struct end connect, send;
	struct sockaddr_un address;
	socklen_t len;
	int listener = deaf_listener(&address, &len, 8);
	int fd = ring_socket_open(ring, AF_UNIX);

	close(listener);
	if (!end_open(&connect) || !end_open(&send))
		return;
	connect_and_send(ring, &connect, &send, fd, &address, len, NS_PER_S);
	CHECK_INT(connect.result, -ECONNREFUSED);
	CHECK_INT(send.result, -ECANCELED);
	ring_socket_close(ring, fd);
	end_close(&connect);
	end_close(&send);
	ring_close(ring);
}

TEST(a_connect_ends_at_its_deadline)
{
	struct ring *ring = open_plain();
	struct sockaddr_in nowhere = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct end dial, fill[4];
	socklen_t len = sizeof(nowhere);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t before;
	size_t i;
	int fd;

	/* A listener with a full backlog answers no more. */
	CHECK_INT(bind(listener, (struct sockaddr *)&nowhere, len), 0);
	CHECK_INT(listen(listener, 0), 0);
	CHECK_INT(getsockname(listener, (struct sockaddr *)&nowhere, &len), 0);
	for (i = 0; i < ARRAY_COUNT(fill); i++) {
		fill[i].pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fill[i].pair[0], (struct sockaddr *)&nowhere, len);
	}
	if (!end_open(&dial))
		return;
	fd = ring_socket_open(ring, AF_INET);
	before = clock_ns();
	ring_connect(ring, &dial.op, fd, (struct sockaddr *)&nowhere, len, 50 * NS_PER_MS, NULL,
		     NULL, 0);
	CHECK(turn_until_home(ring, &dial.op));
	CHECK_INT(dial.result, -ECANCELED);
	CHECK(clock_ns() - before >= 49 * NS_PER_MS);
	ring_socket_close(ring, fd);
	for (i = 0; i < ARRAY_COUNT(fill); i++)
		close(fill[i].pair[0]);
	close(listener);
	end_close(&dial);
	ring_close(ring);
}

TEST(a_cancelled_receive_comes_home)
{
	struct ring *ring = open_plain();
	struct end end;

	if (ring == NULL || !end_open(&end))
		return;
	ring_recv(ring, &end.op, end.pair[0], 0, 100, 0);
	CHECK_INT(ring_turn(ring, 0), 0);
	CHECK(end.op.away);
	ring_cancel(ring, &end.op);
	CHECK(turn_until_home(ring, &end.op));
	CHECK_INT(end.result, -ECANCELED);
	end_close(&end);
	ring_close(ring);
}

TEST(stopping_a_socket_completes_its_requests)
{
	struct ring *ring = open_plain();
	struct end end;

	if (ring == NULL || !end_open(&end))
		return;
	ring_recv(ring, &end.op, end.pair[0], 0, 100, RING_RECV_MANY);
	(void)ring_turn(ring, 0);
	ring_socket_stop(ring, end.pair[0]);
	CHECK(turn_until_home(ring, &end.op));
	CHECK(end.ended);
	end_close(&end);
	ring_close(ring);
}

TEST(a_value_posted_to_another_ring_arrives)
{
	struct ring *ring = open_plain();
	struct ring *other = open_plain();
	struct end sent, target;

	if (ring == NULL || other == NULL || !end_open(&sent) || !end_open(&target))
		return;
	target.op.away = true;
	ring_post(ring, &sent.op, other, &target.op, 77);
	CHECK(turn_until_home(ring, &sent.op));
	CHECK(sent.result >= 0);
	CHECK_INT(ring_turn(other, clock_ns() + NS_PER_S), 1);
	CHECK_INT(target.result, 77);
	CHECK(target.op.away); /* for good */
	end_close(&sent);
	end_close(&target);
	ring_close(ring);
	ring_close(other);
}

/* An accepted TCP connection: pair[0] the client's end, pair[1] ours. */
static bool tcp_pair(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool made;

	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	made = bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0 &&
	       getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
	       connect(pair[0], (struct sockaddr *)&address, len) == 0;
	pair[1] = made ? accept(listener, NULL, NULL) : -1;
	close(listener);
	return CHECK(made && pair[1] >= 0);
}

TEST(an_abort_is_a_reset_and_completes_what_is_away)
{
	struct ring *ring = open_plain();
	struct end end;
	int pair[2];
	char byte;

	if (ring == NULL || !end_open(&end) || !tcp_pair(pair))
		return;
	ring_recv(ring, &end.op, pair[1], 0, 100, RING_RECV_MANY);
	(void)ring_turn(ring, 0);
	ring_socket_abort(ring, pair[1]);
	CHECK(turn_until_home(ring, &end.op));
	CHECK_INT(recv(pair[0], &byte, 1, 0), -1);
	CHECK_INT(errno, ECONNRESET);
	ring_socket_close(ring, pair[1]);
	close(pair[0]);
	end_close(&end);
	ring_close(ring);
}

TEST(a_zero_copy_send_reports_its_result_and_then_that_the_memory_is_free)
{
	struct ring_options options = { .sq_entries = 64, .cq_entries = 256, .sqpoll_cpu = -1 };
	struct iovec part = { .iov_base = memory, .iov_len = 1000 };
	struct ring *ring;
	struct end end;
	int pair[2];

	if (!kernel.zero_copy_report) {
		unit_skip("this kernel has no reporting zero-copy send");
		return;
	}
	if (!CHECK_INT(ring_open(&ring, &options, &kernel), 0) ||
	    !CHECK_INT(ring_register_region(ring, memory, sizeof(memory)), 0) ||
	    !CHECK_INT(ring_enable(ring), 0) || !end_open(&end) || !tcp_pair(pair))
		return;
	ring_send_zero_copy(ring, &end.op, pair[1], &part, 1);
	CHECK(turn_until_home(ring, &end.op));
	CHECK_UINT(end.completions, 2);
	CHECK(end.flags & RING_NOTIF);
	CHECK((uint32_t)end.result & RING_NOTIF_COPIED); /* loopback always copies */
	close(pair[0]);
	close(pair[1]);
	end_close(&end);
	ring_close(ring);
}

TEST(every_errno_of_opening_has_a_remedy)
{
	CHECK(strstr(ring_open_remedy(-ENOSYS), "seccomp") != NULL);
	CHECK(strstr(ring_open_remedy(-EPERM), "io_uring_disabled") != NULL);
	CHECK(strstr(ring_open_remedy(-ENOMEM), "MEMLOCK") != NULL);
	CHECK(strstr(ring_open_remedy(-EMFILE), "NOFILE") != NULL);
	CHECK(strlen(ring_open_remedy(-EIO)) > 0);
}

static const struct unit_test tests[] = {
	ROW(this_kernel_has_every_required_feature),
	ROW(every_way_to_wait_submits_and_delivers),
	ROW(without_the_newer_features_the_same_calls_work),
	ROW(a_multishot_receive_ends_at_its_credit),
	ROW(a_receive_from_an_empty_group_reports_enobufs),
	ROW(a_full_completion_queue_loses_nothing),
	ROW(connect_sends_what_is_linked_behind_it),
	ROW(a_refused_connect_cancels_the_linked_send),
	ROW(a_connect_ends_at_its_deadline),
	ROW(a_cancelled_receive_comes_home),
	ROW(stopping_a_socket_completes_its_requests),
	ROW(a_value_posted_to_another_ring_arrives),
	ROW(an_abort_is_a_reset_and_completes_what_is_away),
	ROW(a_zero_copy_send_reports_its_result_and_then_that_the_memory_is_free),
	ROW(every_errno_of_opening_has_a_remedy),
};

int main(int argc, char **argv)
{
	int result = ring_probe(&kernel);

	if (result < 0) {
		printf("skip: io_uring is not available here (error %d)\n", -result);
		return 77;
	}
	return unit_main(argc, argv, tests, ARRAY_COUNT(tests));
}
