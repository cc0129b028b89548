/* SPDX-License-Identifier: MIT */
/*
 * list - intrusive, circular, doubly linked list.
 *
 *      head <-> oldest <-> .. <-> newest <-> head
 *
 * A node is in at most one list. A node that is in none points at itself: list_init() puts it
 * there and list_remove() puts it back, so list_linked() always has an answer and removing twice
 * is harmless.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/assert.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node;
	node->prev = node;
}

/* True when a node is in a list, or when a head's list is not empty. */
static inline bool list_linked(const struct list *node)
{
	return node->next != node;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert_after(struct list *where, struct list *node)
{
	assert(!list_linked(node));
	node->prev = where;
	node->next = where->next;
	where->next->prev = node;
	where->next = node;
}

/* Append as the newest. */
static inline void list_push(struct list *head, struct list *node)
{
	list_insert_after(head->prev, node);
}

/* Put in front, as the oldest: list_take_first() then returns the most recent one. */
static inline void list_push_first(struct list *head, struct list *node)
{
	list_insert_after(head, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Remove and return the oldest node, or NULL. */
static inline struct list *list_take_first(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	list_remove(node);
	return node;
}

/* Move every node of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
