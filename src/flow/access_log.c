/* SPDX-License-Identifier: MIT */
/*
 * access_log.c - a line for each request, and for each session of plain bytes, to the listener's
 * access_log. The line is made here and now, on the worker's stack, and handed to a sink that never
 * makes the worker wait; a line for which there is no room is counted by the sink.
 */
#include "base/clock.h"
#include "base/sink.h"
#include "flow/access.h"
#include "flow_private.h"

#define LINE_BYTES 2048u

static struct sink *sink_of(const struct session *session)
{
	const struct flow *flow = session->flow;

	return flow->access_sinks != NULL ? flow->access_sinks[session->acceptor->listener_index] :
					    NULL;
}

/* NEVER when the later did not happen. */
static uint64_t between_us(uint64_t earlier_ns, uint64_t later_ns)
{
	if (later_ns == 0)
		return ACCESS_NEVER;
	return later_ns > earlier_ns ? (later_ns - earlier_ns) / NS_PER_US : 0;
}

static void write_line(struct session *session, struct sink *sink, struct access_record *record)
{
	const struct conf_listener *listener = session->acceptor->listener;
	char line[LINE_BYTES];
	uint32_t len;

	record->listener = listener->name;
	(void)session_client_text(session, record->client);
	record->time_ms = ring_wall_ms(session->flow->ring) - record->total_us / 1000;
	record->upstream = session->upstream != NULL ? session->upstream->name : NULL;
	record->server = session->server != NULL ? session_server_text(session) : NULL;
	record->tries = session->tries;
	record->queue_us = ACCESS_NEVER;
	len = listener->access_log_format == ACCESS_JSON ?
		      access_format_json(record, line, sizeof(line)) :
		      access_format_text(record, line, sizeof(line));
	if (sink_write(sink, session->flow->worker_index, line, len))
		counter_add(&session->flow->stats.access_lines, 1);
	else
		counter_add(&session->flow->stats.access_lines_dropped, 1);
}

static void texts(struct access_record *record, const struct exchange *exchange)
{
	const char *text = exchange->text;

	record->method = (struct access_text){ text, exchange->method_len };
	text += exchange->method_len;
	record->target = (struct access_text){ text, exchange->target_len };
	text += exchange->target_len;
	record->host = (struct access_text){ text, exchange->host_len };
}

void http_log(struct session *session, enum close_reason reason)
{
	struct exchange *exchange = session->exchange;
	struct sink *sink = sink_of(session);
	uint64_t now = ring_now_ns(session->flow->ring);
	struct access_record record = { .is_http = true };

	if (sink == NULL || exchange == NULL || exchange->logged)
		return;
	exchange->logged = true;
	if (exchange->began_ns == 0)
		exchange->began_ns = session->phase_ms * NS_PER_MS;
	texts(&record, exchange);
	record.minor = exchange->minor;
	record.status = exchange->status;
	record.bytes_in = exchange->ways[SIDE_CLIENT].bytes;
	record.bytes_out = exchange->sent_bytes;
	record.head_us = between_us(exchange->began_ns, exchange->head_ns);
	record.connect_us = between_us(exchange->head_ns, exchange->connected_ns);
	record.first_byte_us = between_us(exchange->head_ns, exchange->first_byte_ns);
	record.total_us = between_us(exchange->began_ns, now);
	record.route = exchange->route != NULL ? exchange->route->name : NULL;
	record.reused = exchange->took_idle;
	record.close_reason = reason != CLOSE_NONE ? close_reason_names[reason] : NULL;
	write_line(session, sink, &record);
}

void session_log(struct session *session)
{
	struct sink *sink = sink_of(session);
	uint64_t now = ring_now_ns(session->flow->ring);
	uint64_t began = session->started_ms * NS_PER_MS;
	struct access_record record = { .is_http = false };

	if (sink == NULL)
		return;
	record.bytes_in = session->relays[SIDE_CLIENT].bytes;
	record.bytes_out = session->relays[SIDE_SERVER].bytes;
	record.head_us = ACCESS_NEVER;
	record.first_byte_us = ACCESS_NEVER;
	record.connect_us = ACCESS_NEVER;
	record.total_us = between_us(began, now);
	record.close_reason = close_reason_names[session->reason];
	write_line(session, sink, &record);
}
