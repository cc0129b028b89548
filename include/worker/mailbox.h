/* SPDX-License-Identifier: MIT */
/*
 * mailbox - orders from other threads to a worker.
 *
 *      any thread                                     the worker
 *      mailbox_post() --push--> [ newest | .. | oldest ] --mailbox_take()--> oldest first
 *              '--write--> eventfd --readable--> the ring wakes it
 *
 * A lock-free stack of mails that the posters own: a mail must stay valid, and must not be posted
 * again, until its `taken` is true. Nothing here is on the data path.
 */
#ifndef WORKER_MAILBOX_H
#define WORKER_MAILBOX_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/assert.h"

enum mail_kind { MAIL_DRAIN, MAIL_STOP, MAIL_CUT, MAIL_KIND_COUNT };

struct mail {
	struct mail *next;
	enum mail_kind kind;
	_Atomic bool taken; /* the worker is done with the mail */
};

struct mailbox {
	_Atomic(struct mail *) newest;
	int event_fd; /* readable when there may be mail */
};

/* Returns 0 or a negative errno. */
int mailbox_open(struct mailbox *mailbox);
void mailbox_close(struct mailbox *mailbox);

static inline void mail_init(struct mail *mail, enum mail_kind kind)
{
	mail->next = NULL;
	mail->kind = kind;
	atomic_init(&mail->taken, false);
}

/* From any thread. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);
/* From the owner: read each mail's kind into kinds, oldest first, and let go of it. Returns their
 * number, at most max; the rest is left for the next call. */
uint32_t mailbox_take(struct mailbox *mailbox, enum mail_kind *kinds, uint32_t max);

#endif
