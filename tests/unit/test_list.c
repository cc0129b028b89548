/* SPDX-License-Identifier: MIT */
/*
 * test_list.c - the intrusive list.
 */
#include "base/list.h"

#include "unit.h"

struct item {
	struct list node;
	char name;
};

static struct item items[4];
static struct list head, other;

static void start(void)
{
	list_init(&head);
	list_init(&other);
	for (size_t i = 0; i < ARRAY_COUNT(items); i++) {
		list_init(&items[i].node);
		items[i].name = (char)('a' + i);
	}
}

/* The list as a word, oldest first, read forwards; checked backwards. */
static const char *word(const struct list *list)
{
	static char text[ARRAY_COUNT(items) + 1];
	size_t len = 0;

	for (const struct list *node = list->next; node != list; node = node->next) {
		CHECK(node->prev->next == node);
		CHECK(node->next->prev == node);
		if (!CHECK(len < ARRAY_COUNT(items)))
			break;
		text[len++] = container_of(node, struct item, node)->name;
	}
	text[len] = '\0';
	return text;
}

TEST(nodes_come_out_in_the_order_they_went_in)
{
	start();
	CHECK(list_empty(&head));
	CHECK(list_take_first(&head) == NULL);
	for (size_t i = 0; i < 3; i++)
		list_push(&head, &items[i].node);
	CHECK_TEXT(word(&head), "abc");
	CHECK(list_take_first(&head) == &items[0].node);
	CHECK(!list_linked(&items[0].node));
	CHECK(list_linked(&items[1].node));
	list_push_first(&head, &items[3].node);
	CHECK_TEXT(word(&head), "dbc");
}

TEST(removing_twice_is_harmless)
{
	start();
	for (size_t i = 0; i < 3; i++)
		list_push(&head, &items[i].node);
	list_remove(&items[1].node);
	list_remove(&items[1].node);
	CHECK_TEXT(word(&head), "ac");
	list_remove(&items[0].node);
	list_remove(&items[2].node);
	CHECK(list_empty(&head));
}

TEST(moving_all_keeps_the_order_and_empties_the_source)
{
	start();
	list_move_all(&head, &other);
	CHECK(list_empty(&head));
	list_push(&other, &items[0].node);
	list_push(&other, &items[1].node);
	list_move_all(&head, &other);
	CHECK_TEXT(word(&head), "ab");
	CHECK(list_empty(&other));
	list_push(&other, &items[2].node);
	list_push(&other, &items[3].node);
	list_move_all(&head, &other);
	CHECK_TEXT(word(&head), "abcd");
	CHECK_TEXT(word(&other), "");
}

static void push_again(void *argument)
{
	list_push(&other, argument);
}

TEST(a_node_in_two_lists_is_an_assertion)
{
	start();
	list_push(&head, &items[0].node);
	list_push(&head, &items[1].node);
	CHECK_ABORTS(push_again, &items[0].node);
}

static const struct unit_test tests[] = {
	ROW(nodes_come_out_in_the_order_they_went_in),
	ROW(removing_twice_is_harmless),
	ROW(moving_all_keeps_the_order_and_empties_the_source),
	ROW(a_node_in_two_lists_is_an_assertion),
};
UNIT_MAIN(tests)
