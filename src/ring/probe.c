/* SPDX-License-Identifier: MIT */
/*
 * probe.c - trying each feature of features.def on a small ring and sockets of our own.
 *
 * Every try is bounded: it waits at most TRY_MS for a completion, and takes microseconds where the
 * feature works. A try leaves nothing behind: its requests are over or its sockets shut down when
 * the next one starts, and the ring goes at the end.
 */
#include "ring/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ring_private.h"

#define TRY_MS 100
#define BUFFERS 4
#define BUFFER_BYTES 64

struct trial {
	struct io_uring ring;
	struct io_uring_buf_ring *buffers;
	unsigned kernel_features;
	uint8_t memory[BUFFERS * BUFFER_BYTES];
};

static struct io_uring_sqe *trial_sqe(struct trial *trial, uint64_t name)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&trial->ring);

	assert(sqe != NULL);
	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = name;
	return sqe;
}

/* The next completion, or false when none comes in time. */
static bool trial_next(struct trial *trial, struct io_uring_cqe *copy)
{
	struct __kernel_timespec limit = { .tv_nsec = TRY_MS * 1000000 };
	struct io_uring_cqe *cqe = NULL;

	if (io_uring_submit_and_wait_timeout(&trial->ring, &cqe, 1, &limit, NULL) < 0)
		return false;
	if (cqe == NULL)
		return false;
	*copy = *cqe;
	io_uring_cqe_seen(&trial->ring, cqe);
	return true;
}

static void trial_refill(struct trial *trial)
{
	int i;

	for (i = 0; i < BUFFERS; i++)
		io_uring_buf_ring_add(trial->buffers, trial->memory + i * BUFFER_BYTES,
				      BUFFER_BYTES, (unsigned short)i, BUFFERS - 1, i);
	io_uring_buf_ring_advance(trial->buffers, BUFFERS);
}

static int trial_open(struct trial *trial)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY,
	};
	int result;

	memset(trial, 0, sizeof(*trial));
	result = io_uring_queue_init_params(16, &trial->ring, &params);
	trial->kernel_features = params.features;
	return result;
}

static void receive_many(struct trial *trial, int fd, uint32_t credit)
{
	struct io_uring_sqe *sqe = trial_sqe(trial, 1);

	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->optlen = credit;
	sqe->user_data = 1;
}

/* Data and the end arrive in one go behind an armed receive: both must be reported. */
static bool try_recv_many_end(struct trial *trial)
{
	struct io_uring_cqe cqe;
	bool data = false, end = false;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	receive_many(trial, pair[0], 0);
	io_uring_submit(&trial->ring);
	if (write(pair[1], "x", 1) == 1 && shutdown(pair[1], SHUT_WR) == 0) {
		while (!end && trial_next(trial, &cqe)) {
			data = data || cqe.res == 1;
			end = cqe.res == 0;
			if (cqe.res < 0)
				break;
		}
	}
	(void)shutdown(pair[0], SHUT_RDWR);
	close(pair[0]);
	close(pair[1]);
	return data && end;
}

static bool try_recv_credit(struct trial *trial)
{
	struct io_uring_cqe cqe = { 0 };
	bool ended = false;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	if (write(pair[1], "x", 1) == 1) {
		receive_many(trial, pair[0], 1);
		ended = trial_next(trial, &cqe) && cqe.res == 1 && !(cqe.flags & IORING_CQE_F_MORE);
	}
	(void)shutdown(pair[0], SHUT_RDWR);
	if (cqe.flags & IORING_CQE_F_MORE)
		(void)trial_next(trial, &cqe);
	close(pair[0]);
	close(pair[1]);
	return ended;
}

static bool try_send_vector(struct trial *trial)
{
	char text[] = "abc";
	struct iovec parts[2] = { { .iov_base = text, .iov_len = 2 },
				  { .iov_base = text + 2, .iov_len = 1 } };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	char got[4] = "";
	bool works;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	sqe = trial_sqe(trial, 2);
	io_uring_prep_send(sqe, pair[0], parts, 2, MSG_WAITALL);
	sqe->ioprio = RING_SEND_VECTORIZED;
	sqe->user_data = 2;
	works = trial_next(trial, &cqe) && cqe.res == 3 &&
		recv(pair[1], got, sizeof(got), MSG_DONTWAIT) == 3 && memcmp(got, "abc", 3) == 0;
	close(pair[0]);
	close(pair[1]);
	return works;
}

/* A listening socket that needs no network: an autobound abstract unix one. */
static int listen_somewhere(struct sockaddr_un *address, socklen_t *len)
{
	struct sockaddr_un autobind = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	*len = sizeof(*address);
	if (bind(fd, (struct sockaddr *)&autobind, sizeof(sa_family_t)) < 0 || listen(fd, 1) < 0 ||
	    getsockname(fd, (struct sockaddr *)address, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* connect -> its deadline -> send: three completions, all three as they should be. */
static bool try_link_connect(struct trial *trial)
{
	struct __kernel_timespec limit = { .tv_sec = 1 };
	struct sockaddr_un address;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	unsigned right = 0;
	socklen_t len;
	int listener = listen_somewhere(&address, &len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener >= 0 && fd >= 0) {
		sqe = trial_sqe(trial, 0);
		io_uring_prep_connect(sqe, fd, (struct sockaddr *)&address, len);
		sqe->flags |= IOSQE_IO_LINK;
		sqe = trial_sqe(trial, 0);
		io_uring_prep_link_timeout(sqe, &limit, 0);
		sqe->flags |= IOSQE_IO_LINK;
		sqe->user_data = 1;
		sqe = trial_sqe(trial, 0);
		io_uring_prep_send(sqe, fd, "x", 1, 0);
		sqe->user_data = 2;
		while (right < 3 && trial_next(trial, &cqe)) {
			const int expected[] = { 0, -ECANCELED, 1 };

			if (cqe.user_data > 2 || cqe.res != expected[cqe.user_data])
				break;
			right++;
		}
	}
	if (fd >= 0)
		close(fd);
	if (listener >= 0)
		close(listener);
	return right == 3;
}

/* A TCP connection to ourselves; false where even loopback is missing. */
static bool tcp_pair(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool done = false;

	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[1] = -1;
	if (listener >= 0 && pair[0] >= 0 &&
	    bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0 &&
	    getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
	    connect(pair[0], (struct sockaddr *)&address, len) == 0) {
		pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		done = pair[1] >= 0;
	}
	if (listener >= 0)
		close(listener);
	if (!done && pair[0] >= 0)
		close(pair[0]);
	return done;
}

/* Two completions: the result with MORE, the notification that says whether it was copied. */
static bool zero_copy_works(struct trial *trial, int expected)
{
	struct io_uring_cqe cqe;

	return trial_next(trial, &cqe) && cqe.res == expected && (cqe.flags & IORING_CQE_F_MORE) &&
	       trial_next(trial, &cqe) && (cqe.flags & IORING_CQE_F_NOTIF);
}

static bool try_zero_copy_report(struct trial *trial)
{
	struct io_uring_sqe *sqe;
	bool works;
	int pair[2];

	if (!tcp_pair(pair))
		return false;
	sqe = trial_sqe(trial, 0);
	io_uring_prep_send_zc(sqe, pair[0], trial->memory, 8, 0, IORING_SEND_ZC_REPORT_USAGE);
	works = zero_copy_works(trial, 8);
	close(pair[0]);
	close(pair[1]);
	return works;
}

static bool try_zero_copy_vector(struct trial *trial)
{
	struct iovec whole = { .iov_base = trial->memory, .iov_len = sizeof(trial->memory) };
	struct iovec parts[2] = { { .iov_base = trial->memory, .iov_len = 8 },
				  { .iov_base = trial->memory + BUFFER_BYTES, .iov_len = 8 } };
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };
	struct io_uring_sqe *sqe;
	bool works;
	int pair[2];

	if (io_uring_register_buffers(&trial->ring, &whole, 1) < 0)
		return false;
	if (!tcp_pair(pair))
		return false;
	sqe = trial_sqe(trial, 0);
	io_uring_prep_sendmsg_zc(sqe, pair[0], &header, 0);
	sqe->ioprio |= IORING_SEND_ZC_REPORT_USAGE | IORING_RECVSEND_FIXED_BUF;
	sqe->buf_index = 0;
	works = zero_copy_works(trial, 16);
	close(pair[0]);
	close(pair[1]);
	return works;
}

/* Each on a ring of its own: what one leaves behind cannot be taken for the next one's result. */
static bool on_new_ring(bool (*attempt)(struct trial *trial), bool with_buffers)
{
	struct trial trial;
	bool found = false;
	int error = 0;

	if (trial_open(&trial) < 0)
		return false;
	if (with_buffers) {
		trial.buffers = io_uring_setup_buf_ring(&trial.ring, BUFFERS, 0, 0, &error);
		if (trial.buffers == NULL)
			goto out;
		trial_refill(&trial);
	}
	found = attempt(&trial);
	if (trial.buffers != NULL)
		io_uring_free_buf_ring(&trial.ring, trial.buffers, BUFFERS, 0);
out:
	io_uring_queue_exit(&trial.ring);
	return found;
}

static bool try_nothing(struct trial *trial)
{
	return trial->buffers != NULL;
}

int ring_probe(struct ring_features *features)
{
	struct io_uring_params params = { 0 };
	struct io_uring ring;
	struct trial trial;
	int result;

	memset(features, 0, sizeof(*features));
	result = io_uring_queue_init_params(8, &ring, &params);
	if (result < 0)
		return result;
	io_uring_queue_exit(&ring);

	features->min_wait = (params.features & IORING_FEAT_MIN_TIMEOUT) != 0;
	features->no_iowait = (params.features & RING_FEAT_NO_IOWAIT) != 0;
	features->defer_taskrun = trial_open(&trial) == 0;
	if (!features->defer_taskrun)
		return 0;
	io_uring_queue_exit(&trial.ring);
	features->buffer_ring = on_new_ring(try_nothing, true);
	if (features->buffer_ring) {
		features->recv_many_end = on_new_ring(try_recv_many_end, true);
		features->recv_credit = on_new_ring(try_recv_credit, true);
	}
	features->link_connect = on_new_ring(try_link_connect, false);
	features->send_vector = on_new_ring(try_send_vector, false);
	features->zero_copy_report = on_new_ring(try_zero_copy_report, false);
	features->zero_copy_vector = features->zero_copy_report &&
				     on_new_ring(try_zero_copy_vector, false);
	return 0;
}

unsigned ring_features_table(const struct ring_features *features,
			     struct ring_feature_text rows[RING_FEATURES_MAX])
{
	unsigned count = 0;

#define FEATURE(name_, required_, since_, purpose_, without_) \
	if (rows != NULL)                                     \
		rows[count] = (struct ring_feature_text){     \
			.name = #name_,                       \
			.since = since_,                      \
			.purpose = purpose_,                  \
			.without = without_,                  \
			.required = required_,                \
			.found = features->name_,             \
		};                                            \
	count++;
#include "ring/features.def"
#undef FEATURE
	assert(count <= RING_FEATURES_MAX);
	return count;
}
