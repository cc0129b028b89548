/* SPDX-License-Identifier: MIT */
/*
 * srv.c - the SRV records of a message.
 *
 *      header 12 | name, type, class | name, type, class, TTL, length, data | ..
 *                  the question        an answer
 *
 * Names may be compressed: a part of one is then said by pointing backwards. The C library undoes
 * that, within the message and without running in circles.
 */
#include "srv.h"

#include <arpa/nameser.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define QUESTION_FIXED 4u /* type, class */
#define ANSWER_FIXED 10u  /* type, class, TTL, length */
#define SRV_FIXED 6u      /* priority, weight, port */
#define ANSWER_MIN (1u + ANSWER_FIXED)
#define TTL_SIGN 0x80000000u

static const char malformed[] = "the answer is malformed";

struct message {
	const uint8_t *bytes;
	const uint8_t *end;
	const uint8_t *at;
};

struct record {
	char name[NS_MAXDNAME];
	uint32_t type;
	uint32_t class;
	uint32_t ttl_s;
	const uint8_t *data;
	uint32_t len;
};

static uint32_t number16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t number32(const uint8_t *bytes)
{
	return number16(bytes) << 16 | number16(bytes + 2);
}

static bool has(const struct message *message, size_t len)
{
	return (size_t)(message->end - message->at) >= len;
}

static bool read_name(struct message *message, char name[NS_MAXDNAME])
{
	int len = ns_name_uncompress(message->bytes, message->end, message->at, name, NS_MAXDNAME);

	if (len < 0 || !has(message, (size_t)len))
		return false;
	message->at += len;
	return true;
}

static bool read_record(struct message *message, struct record *record)
{
	if (!read_name(message, record->name) || !has(message, ANSWER_FIXED))
		return false;
	record->type = number16(message->at);
	record->class = number16(message->at + 2);
	record->ttl_s = number32(message->at + 4);
	if (record->ttl_s & TTL_SIGN)
		record->ttl_s = 0; /* RFC 2181 section 8 */
	record->len = number16(message->at + 8);
	message->at += ANSWER_FIXED;
	if (!has(message, record->len))
		return false;
	record->data = message->at;
	message->at += record->len;
	return true;
}

/* Copy in lower case. What other characters a label may have, a host name has none of. */
static bool copy_host(char host[ADDR_NAME_MAX + 1], const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > ADDR_NAME_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		char c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (i < len && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
		    c != '_' && c != '.')
			return false;
		host[i] = c;
	}
	return strcmp(host, ".") != 0;
}

/* False: the record is malformed. A target that is not used is not one of those that are returned,
 * and no mistake either. */
static bool add_target(struct reply *reply, const struct message *message,
		       const struct record *record)
{
	struct message data = *message;
	struct target *target = &reply->targets[reply->targets_count];
	char name[NS_MAXDNAME];

	data.at = record->data;
	if (record->len <= SRV_FIXED)
		return false;
	data.at += SRV_FIXED;
	if (!read_name(&data, name) || data.at != record->data + record->len)
		return false;
	target->priority = (uint16_t)number16(record->data);
	target->weight = (uint16_t)number16(record->data + 2);
	target->port = (uint16_t)number16(record->data + 4);
	target->host_index = 0;
	if (target->port != 0 && copy_host(target->host, name))
		reply->targets_count++;
	return true;
}

/* The name follows the CNAME records, which come in the order of the chain. */
static bool take_record(struct reply *reply, const struct message *message,
			const struct record *record, char name[NS_MAXDNAME])
{
	struct message data = *message;

	if (record->class != ns_c_in || strcasecmp(record->name, name) != 0)
		return true;
	if (record->type != ns_t_srv && record->type != ns_t_cname)
		return true;
	if (record->ttl_s * MS_PER_S < reply->ttl_ms)
		reply->ttl_ms = record->ttl_s * MS_PER_S;
	if (record->type == ns_t_srv)
		return add_target(reply, message, record);
	data.at = record->data;
	return read_name(&data, name) && data.at == record->data + record->len;
}

static int by_priority_and_host(const void *one, const void *other)
{
	const struct target *a = one, *b = other;
	int order = a->priority - b->priority;

	if (order == 0)
		order = strcmp(a->host, b->host);
	if (order == 0)
		order = a->port - b->port;
	return order != 0 ? order : b->weight - a->weight;
}

static bool is_repeated(const struct target *one, const struct target *other)
{
	return one->priority == other->priority && one->port == other->port &&
	       strcmp(one->host, other->host) == 0;
}

static void sort_targets(struct reply *reply)
{
	uint32_t kept = 0;

	qsort(reply->targets, reply->targets_count, sizeof(*reply->targets), by_priority_and_host);
	for (uint32_t i = 0; i < reply->targets_count; i++) {
		if (kept == 0 || !is_repeated(&reply->targets[kept - 1], &reply->targets[i]))
			reply->targets[kept++] = reply->targets[i];
	}
	reply->targets_count = kept;
	if (kept > RESOLVER_RECORDS_MAX) {
		reply->left_out = kept - RESOLVER_RECORDS_MAX;
		reply->targets_count = RESOLVER_RECORDS_MAX;
	}
}

static bool read_answers(struct reply *reply, struct message *message, uint32_t count)
{
	char name[NS_MAXDNAME];
	struct record record;

	if (!read_name(message, name) || !has(message, QUESTION_FIXED))
		return false;
	message->at += QUESTION_FIXED;
	for (uint32_t i = 0; i < count; i++) {
		if (!read_record(message, &record) || !take_record(reply, message, &record, name))
			return false;
	}
	return true;
}

struct reply srv_parse(const uint8_t *bytes, size_t len)
{
	struct message message = { bytes, bytes + len, bytes };
	struct reply reply = { .kind = REPLY_FOUND, .why = "", .ttl_ms = UINT64_MAX };
	uint32_t count;

	/* No error is said (the last four bits of the flags), and there is one question. */
	if (len < NS_HFIXEDSZ || (bytes[3] & 15) != 0 || number16(bytes + 4) != 1)
		return reply_without(REPLY_FAILED, malformed);
	message.at += NS_HFIXEDSZ;
	count = number16(bytes + 6);
	if (count > len / ANSWER_MIN)
		return reply_without(REPLY_FAILED, malformed);
	reply.targets = calloc(count + 1, sizeof(*reply.targets));
	if (!reply.targets)
		return reply_without(REPLY_FAILED, "out of memory");
	if (!read_answers(&reply, &message, count)) {
		reply_deinit(&reply);
		return reply_without(REPLY_FAILED, malformed);
	}
	if (reply.targets_count == 0) {
		reply_deinit(&reply);
		return reply_without(REPLY_GONE, "the name has no SRV records that can be used");
	}
	sort_targets(&reply);
	return reply;
}
