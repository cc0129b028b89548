/* SPDX-License-Identifier: MIT */
/*
 * answer.c - answers of our own.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "http/edit.h"

struct reason {
	uint16_t status;
	const char *text;
};

/* By status, ascending. RFC 9110 15, and the register of those that came later. */
static const struct reason reasons[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 102, "Processing" },
	{ 103, "Early Hints" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 207, "Multi-Status" },
	{ 208, "Already Reported" },
	{ 226, "IM Used" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 305, "Use Proxy" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 424, "Failed Dependency" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 506, "Variant Also Negotiates" },
	{ 507, "Insufficient Storage" },
	{ 508, "Loop Detected" },
	{ 511, "Network Authentication Required" },
};

const char *http_reason(uint32_t status)
{
	for (size_t i = 0; i < ARRAY_COUNT(reasons) && reasons[i].status <= status; i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "";
}

/* A text that grows until it does not fit; then used > room. */
struct answer {
	char *text;
	uint32_t room;
	uint32_t used;
};

__attribute__((format(printf, 2, 3))) static void put(struct answer *answer, const char *format,
						      ...)
{
	va_list arguments;
	int written;

	if (answer->used >= answer->room)
		return;
	va_start(arguments, format);
	written = vsnprintf(answer->text + answer->used, answer->room - answer->used, format,
			    arguments);
	va_end(arguments);
	assert(written >= 0);
	answer->used += (uint32_t)written;
}

uint32_t http_answer_head(char *text, uint32_t room, uint32_t status, const char *content_type,
			  uint64_t content_length, const char *extra_lines, const char *connection)
{
	struct answer answer = { text, room, 0 };

	assert(status >= 100 && status <= 599);
	put(&answer, "HTTP/1.1 %" PRIu32 " %s\r\n", status, http_reason(status));
	if (content_type)
		put(&answer, "Content-Type: %s\r\n", content_type);
	if (status >= 200 && status != 204) /* RFC 9110 8.6 */
		put(&answer, "Content-Length: %" PRIu64 "\r\n", content_length);
	if (extra_lines)
		put(&answer, "%s", extra_lines);
	if (connection)
		put(&answer, "Connection: %s\r\n", connection);
	put(&answer, "\r\n");
	return answer.used < answer.room ? answer.used : 0;
}
