/* SPDX-License-Identifier: MIT */
/*
 * The mailbox: order of one sender, nothing lost among several, mails free again when taken. Built
 * with ThreadSanitizer too.
 */
#include "worker/mailbox.h"

#include <poll.h>
#include <pthread.h>

#include "unit.h"

#define SENDERS 4
#define MAILS_EACH 20000

TEST(mails_of_one_sender_arrive_in_order)
{
	struct mail mails[3];
	enum mail_kind kinds[4];
	struct mailbox mailbox;
	uint32_t i;

	CHECK_INT(mailbox_open(&mailbox), 0);
	mail_init(&mails[0], MAIL_DRAIN);
	mail_init(&mails[1], MAIL_CUT);
	mail_init(&mails[2], MAIL_STOP);
	for (i = 0; i < 3; i++)
		mailbox_post(&mailbox, &mails[i]);
	CHECK_UINT(mailbox_take(&mailbox, kinds, 4), 3);
	CHECK_INT(kinds[0], MAIL_DRAIN);
	CHECK_INT(kinds[1], MAIL_CUT);
	CHECK_INT(kinds[2], MAIL_STOP);
	for (i = 0; i < 3; i++)
		CHECK(atomic_load(&mails[i].taken));
	CHECK_UINT(mailbox_take(&mailbox, kinds, 4), 0);
	mailbox_close(&mailbox);
}

TEST(what_does_not_fit_is_kept_in_order_and_wakes_again)
{
	struct mail mails[3];
	enum mail_kind kinds[2];
	struct mailbox mailbox;
	struct pollfd readable;
	uint32_t i;

	CHECK_INT(mailbox_open(&mailbox), 0);
	for (i = 0; i < 3; i++) {
		mail_init(&mails[i], (enum mail_kind)i);
		mailbox_post(&mailbox, &mails[i]);
	}
	CHECK_UINT(mailbox_take(&mailbox, kinds, 2), 2);
	CHECK_INT(kinds[0], 0);
	CHECK_INT(kinds[1], 1);
	readable = (struct pollfd){ .fd = mailbox.event_fd, .events = POLLIN };
	CHECK_INT(poll(&readable, 1, 0), 1);
	CHECK_UINT(mailbox_take(&mailbox, kinds, 2), 1);
	CHECK_INT(kinds[0], 2);
	mailbox_close(&mailbox);
}

struct sender {
	pthread_t thread;
	struct mailbox *mailbox;
	enum mail_kind kind;
};

/* One mail, posted again as soon as it was taken. */
static void *send_many(void *argument)
{
	struct sender *sender = argument;
	struct mail mail;
	uint32_t i;

	for (i = 0; i < MAILS_EACH; i++) {
		mail_init(&mail, sender->kind);
		mailbox_post(sender->mailbox, &mail);
		while (!atomic_load_explicit(&mail.taken, memory_order_acquire))
			sched_yield();
	}
	return NULL;
}

TEST(nothing_is_lost_among_several_senders)
{
	struct sender senders[SENDERS];
	struct mailbox mailbox;
	uint32_t counts[MAIL_KIND_COUNT] = { 0 };
	uint32_t taken = 0, i;

	CHECK_INT(mailbox_open(&mailbox), 0);
	for (i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ .mailbox = &mailbox,
					      .kind = (enum mail_kind)(i % MAIL_KIND_COUNT) };
		CHECK_INT(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
	}
	while (taken < SENDERS * MAILS_EACH) {
		struct pollfd readable = { .fd = mailbox.event_fd, .events = POLLIN };
		enum mail_kind kinds[8];
		uint32_t count;

		if (!CHECK(poll(&readable, 1, 5000) == 1))
			break;
		count = mailbox_take(&mailbox, kinds, 8);
		for (i = 0; i < count; i++)
			counts[kinds[i]]++;
		taken += count;
	}
	for (i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	CHECK_UINT(taken, SENDERS * MAILS_EACH);
	CHECK_UINT(counts[0], 2 * MAILS_EACH); /* four senders, three kinds */
	CHECK_UINT(counts[1], MAILS_EACH);
	mailbox_close(&mailbox);
}

static const struct unit_test tests[] = {
	ROW(mails_of_one_sender_arrive_in_order),
	ROW(what_does_not_fit_is_kept_in_order_and_wakes_again),
	ROW(nothing_is_lost_among_several_senders),
};
UNIT_MAIN(tests)
