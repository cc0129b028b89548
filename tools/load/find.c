/* SPDX-License-Identifier: MIT */
/*
 * find.c - the search of find.h.
 */
#include "find.h"

#include "run.h"
#include "verdict.h"

#define RATE_FIRST 1000
#define RATE_MIN 10
#define RATE_MAX 5e6
#define CLOSE_ENOUGH 1.03
#define CONFIRMATIONS 3
#define SENT_SHARE 0.98
#define TRIES_MAX 3

struct search {
	struct plan plan; /* a copy, with the rate at hand */
	struct verdict verdict;
	struct outcome *outcome; /* of the latest step */
	FILE *text;
	bool has_outcome;
	bool saturated; /* the last bad rate failed for want of ourselves */
	int status;
};

/* What the runs at one rate said. */
struct tries {
	uint32_t holds;
	uint32_t fails;
	uint32_t spoiled; /* by this program: they say nothing about the target */
};

/* Why the latest run does not hold, or NULL. */
static const char *first_failing(const struct search *search)
{
	unsigned i;

	for (i = 0; i < search->verdict.count; i++)
		if (!condition_holds(&search->verdict.conditions[i], search->outcome))
			return search->verdict.conditions[i].text;
	if (outcome_rps(search->outcome) < search->plan.rate * SENT_SHARE)
		return "the rate is not reached";
	return NULL;
}

static bool tries_go_on(const struct tries *tries)
{
	return tries->holds <= tries->fails && tries->fails < 2 &&
	       tries->holds + tries->fails + tries->spoiled < TRIES_MAX;
}

static void tell(const struct search *search, const char *failing, bool late, bool again)
{
	char text[AMOUNT_TEXT_MAX];

	if (search->text == NULL)
		return;
	fprintf(search->text, "  %9.0f req/s: p99 %s, %llu errors: %s%s%s%s%s\n",
	        search->plan.rate,
	        amount_format_time(text, (double)histogram_value_at_percentile(
						 outcome_times(search->outcome), 99)),
	        (unsigned long long)tally_faults(search->outcome->total),
	        failing == NULL && !late ? "holds" : "does not hold: ",
	        failing == NULL ? "" : failing, failing != NULL && late ? ", but " : "",
	        late ? "this program sent late" : "", again ? "; again, lest it was a hiccup" : "");
	fflush(search->text);
}

/* False: the search is over. */
static bool try_once(struct search *search, struct tries *tries)
{
	const char *failing;
	bool late;

	if (search->has_outcome)
		outcome_release(search->outcome);
	run_once(&search->plan, search->outcome, NULL, NULL);
	search->outcome->plan = &search->plan;
	search->has_outcome = true;
	search->status = outcome_status(search->outcome);
	if (search->status == 2 || search->status == 130)
		return false;
	search->status = 0;
	failing = first_failing(search);
	/* One late request is a stall, and those behind it wait for their connection. */
	late = failing != NULL ? outcome_sent_late(search->outcome)
	                       : outcome_is_saturated(search->outcome);
	if (late)
		tries->spoiled++;
	else if (failing != NULL)
		tries->fails++;
	else
		tries->holds++;
	tell(search, failing, late, tries_go_on(tries));
	return true;
}

static bool holds(struct search *search, double rate)
{
	struct tries tries = { 0 };

	search->plan.rate = rate;
	while (tries_go_on(&tries))
		if (!try_once(search, &tries))
			return false;
	search->saturated = tries.holds == 0 && tries.fails == 0 &&
			    outcome_is_saturated(search->outcome);
	return tries.holds > tries.fails;
}

/* Bracket the limit. False: nothing holds, or the search was ended. */
static bool bracket(struct search *search, double *good, double *bad)
{
	double rate = search->plan.rate > 0 ? search->plan.rate : RATE_FIRST;

	*good = 0;
	*bad = 0;
	while (search->status == 0 && rate <= RATE_MAX && rate >= RATE_MIN) {
		bool held = holds(search, rate);

		if (search->status != 0)
			return false;
		if (held)
			*good = rate;
		else
			*bad = rate;
		if (*good > 0 && *bad > 0)
			return true;
		rate = held ? rate * 2 : rate / 2;
	}
	return *good > 0;
}

static bool confirmed(struct search *search, double rate)
{
	int i;

	for (i = 0; i < CONFIRMATIONS; i++)
		if (!holds(search, rate))
			return false;
	return true;
}

static double search_rate(struct search *search)
{
	double good, bad;

	if (!bracket(search, &good, &bad))
		return 0;
	while (search->status == 0 && bad > good * CLOSE_ENOUGH) {
		double middle = (good + bad) / 2;

		if (holds(search, middle))
			good = middle;
		else
			bad = middle;
	}
	while (search->status == 0 && good >= RATE_MIN && !confirmed(search, good))
		good /= CLOSE_ENOUGH;
	return search->status == 0 && good >= RATE_MIN ? good : 0;
}

int find_run(struct plan *plan, FILE *text, struct outcome *outcome)
{
	struct search search = { .plan = *plan, .outcome = outcome, .text = text };
	const char *reason;
	double rate;

	if (!verdict_parse(&search.verdict, plan->find, &reason))
		return 1;
	search.plan.count = 0;
	rate = search_rate(&search);
	plan->rate = rate > 0 ? rate : search.plan.rate;
	outcome->plan = plan;
	if (search.status != 0)
		return search.status;
	if (text != NULL && rate > 0)
		fprintf(text, "Highest rate that holds %s: %.0f req/s (confirmed %d times)\n",
		        plan->find, rate, CONFIRMATIONS);
	else if (text != NULL)
		fprintf(text, "No rate holds %s\n", plan->find);
	if (rate > 0)
		return 0;
	return search.saturated ? 4 : 3;
}
