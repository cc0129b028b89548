/* SPDX-License-Identifier: MIT */
/*
 * mailbox.c - a stack that many push to and one empties.
 */
#include "worker/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_open(struct mailbox *mailbox)
{
	atomic_init(&mailbox->newest, NULL);
	mailbox->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return mailbox->event_fd < 0 ? -errno : 0;
}

void mailbox_close(struct mailbox *mailbox)
{
	if (mailbox->event_fd >= 0)
		close(mailbox->event_fd);
	mailbox->event_fd = -1;
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
	struct mail *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
	const uint64_t one = 1;

	do
		mail->next = newest;
	while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, mail,
						      memory_order_release, memory_order_relaxed));
	/* EAGAIN: the counter is full, so the worker has been woken 2^64 times: it will look. */
	while (write(mailbox->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

/* Take the whole stack and turn it round: oldest first. */
static struct mail *take_all(struct mailbox *mailbox)
{
	struct mail *mail = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
	struct mail *oldest = NULL;

	while (mail != NULL) {
		struct mail *next = mail->next;

		mail->next = oldest;
		oldest = mail;
		mail = next;
	}
	return oldest;
}

uint32_t mailbox_take(struct mailbox *mailbox, enum mail_kind *kinds, uint32_t max)
{
	uint64_t wakes;
	struct mail *mail;
	uint32_t count = 0;

	assert(max > 0);
	(void)!read(mailbox->event_fd, &wakes, sizeof(wakes)); /* EAGAIN: woken for nothing */
	for (mail = take_all(mailbox); mail != NULL && count < max; count++) {
		struct mail *next = mail->next;

		kinds[count] = mail->kind;
		atomic_store_explicit(&mail->taken, true, memory_order_release);
		mail = next;
	}
	while (mail != NULL) { /* more than the caller has room for: back they go, in order */
		struct mail *next = mail->next;

		mailbox_post(mailbox, mail);
		mail = next;
	}
	return count;
}
