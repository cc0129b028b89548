/* SPDX-License-Identifier: MIT */
/* What SRV records make of servers: priorities, weights, and names without such records. */
#include "app/names.h"
#include "unit.h"

static struct resolver_record record(uint16_t priority, uint16_t weight)
{
	struct resolver_record row = { .priority = priority, .weight = weight };

	row.addr.kind = ADDR_INET;
	return row;
}

TEST(the_first_priority_is_usual_and_all_others_are_spare)
{
	const struct resolver_record records[] = { record(5, 1), record(20, 1), record(5, 1),
						   record(9, 1) };
	const struct conf_name name = { .is_srv = true, .places = 4, .spares = 4 };
	const struct conf_name backup = { .is_srv = true, .places = 4 };
	struct member members[4];

	names_members(members, &name, records, 4);
	CHECK(!members[0].is_spare);
	CHECK(members[1].is_spare);
	CHECK(!members[2].is_spare);
	CHECK(members[3].is_spare);
	names_members(members, &backup, records, 4);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(!members[i].is_spare);
}

TEST(weights_are_as_they_are_or_scaled_together)
{
	const struct resolver_record small[] = { record(0, 0), record(0, 1), record(0, 256) };
	const struct resolver_record large[] = { record(0, 65535), record(0, 6554), record(0, 1),
						 record(0, 0) };
	const struct conf_name name = { .is_srv = true, .places = 4, .spares = 4 };
	struct member members[4];

	names_members(members, &name, small, 3);
	CHECK_UINT(members[0].weight, 1);
	CHECK_UINT(members[1].weight, 1);
	CHECK_UINT(members[2].weight, 256);
	names_members(members, &name, large, 4);
	CHECK_UINT(members[0].weight, 256);
	CHECK_UINT(members[1].weight, 25);
	CHECK_UINT(members[2].weight, 1);
	CHECK_UINT(members[3].weight, 1);
}

TEST(nothing_makes_nothing)
{
	const struct conf_name name = { .places = 1 };
	struct member members[1] = { { .weight = 77 } };

	names_members(members, &name, NULL, 0);
	CHECK_UINT(members[0].weight, 77);
}

static const struct unit_test tests[] = {
	ROW(the_first_priority_is_usual_and_all_others_are_spare),
	ROW(weights_are_as_they_are_or_scaled_together),
	ROW(nothing_makes_nothing),
};
UNIT_MAIN(tests)
