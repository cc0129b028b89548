/* SPDX-License-Identifier: MIT */
/*
 * head_target.c - what is asked for, and of whom (RFC 9112 3.2, RFC 3986 3).
 *
 *      origin      /path?query             every method but CONNECT
 *      absolute    http://host:port/path   the same; http and https only; its authority is the one
 *                                          that counts, whatever Host says (3.2.2)
 *      authority   host:port               CONNECT and nothing else (3.2.3)
 *      asterisk    *                       OPTIONS and nothing else (3.2.4)
 *
 * A target that is refused here is never repaired: the server would be asked for something else
 * than what was checked. In a path pass the characters of RFC 3986, "%" only with two hexadecimal
 * digits, and "[", "]" and "|", which browsers send as they are; in a query also "^", "`", "{" and
 * "}" for the same reason (url.spec.whatwg.org, percent-encode sets). Nowhere pass:
 *
 *      controls, space, DEL, bytes from 0x80   no characters of a URI
 *      #                                       what follows is not for a server
 *      \                                       "/" to some servers
 *      " < >                                   a way out of the markup of an error page
 *      %00 in a path                           the end of the path to some servers
 *
 * A host is a name of letters, digits, "-", "_" and "." without empty labels, or an address. What
 * else RFC 3986 allows in a reg-name ("a,b", "%61") names no host of the Internet, and two readers
 * may take it for two different ones. User information is refused (RFC 9110 4.2.4).
 */
#include <arpa/inet.h>
#include <string.h>

#include "head_private.h"

#define HOST_MAX 255u /* RFC 1035 2.3.4 */
#define PORT_DIGITS_MAX 5u

/* Letters, digits and - . _ ~ ! $ & ' ( ) * + , ; = : @ / and the tolerated ones, without "%". */
#define PATH_LOW                                                                          \
	(HEAD_SET_DIGITS | HEAD_SET_BIT('-') | HEAD_SET_BIT('.') | HEAD_SET_BIT('!') |    \
	 HEAD_SET_BIT('$') | HEAD_SET_BIT('&') | HEAD_SET_BIT('\'') | HEAD_SET_BIT('(') | \
	 HEAD_SET_BIT(')') | HEAD_SET_BIT('*') | HEAD_SET_BIT('+') | HEAD_SET_BIT(',') |  \
	 HEAD_SET_BIT(';') | HEAD_SET_BIT('=') | HEAD_SET_BIT(':') | HEAD_SET_BIT('/'))
#define PATH_HIGH                                                                       \
	(HEAD_SET_LETTERS | HEAD_SET_BIT('_') | HEAD_SET_BIT('~') | HEAD_SET_BIT('@') | \
	 HEAD_SET_BIT('[') | HEAD_SET_BIT(']') | HEAD_SET_BIT('|'))

static const struct head_set path_set = { { PATH_LOW, PATH_HIGH } };
static const struct head_set query_set = { {
	PATH_LOW | HEAD_SET_BIT('?'),
	PATH_HIGH | HEAD_SET_BIT('^') | HEAD_SET_BIT('`') | HEAD_SET_BIT('{') | HEAD_SET_BIT('}'),
} };
static const struct head_set host_set = { {
	HEAD_SET_DIGITS | HEAD_SET_BIT('-') | HEAD_SET_BIT('.'),
	HEAD_SET_LETTERS | HEAD_SET_BIT('_'),
} };

enum port_rule { PORT_OPTIONAL, PORT_REQUIRED };

/* --- authority ------------------------------------------------------------------------------- */

/* The length of "[IPv6]" at the front, or 0. Zones and future versions have no meaning here. */
static uint32_t literal_len(struct head_text text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;
	const uint8_t *close = memchr(text.at, ']', text.len);
	size_t len;

	assert(text.at[0] == '[');
	if (!close)
		return 0;
	len = (size_t)(close - text.at) - 1;
	if (len >= sizeof(address) || memchr(text.at, '\0', len + 1))
		return 0;
	memcpy(address, text.at + 1, len);
	address[len] = '\0';
	return inet_pton(AF_INET6, address, &parsed) == 1 ? (uint32_t)len + 2 : 0;
}

/* The length of the name at the front, a trailing dot included, or 0. */
static uint32_t name_len(struct head_text text)
{
	bool label_is_empty = true;
	uint32_t at = 0;

	for (; at < text.len && head_set_has(&host_set, text.at[at]); at++) {
		if (text.at[at] == '.' && label_is_empty)
			return 0;
		label_is_empty = text.at[at] == '.';
	}
	return at;
}

/* RFC 3986 3.2.3: an empty port stands for the default one. */
static bool port_is_good(struct head_text text, enum port_rule rule)
{
	uint32_t port = 0;

	if (text.len > PORT_DIGITS_MAX || (text.len == 0 && rule == PORT_REQUIRED))
		return false;
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		port = 10 * port + text.at[i] - '0';
	}
	return port <= UINT16_MAX && (port > 0 || rule == PORT_OPTIONAL);
}

/* host [":" port], all of the span; sets authority and host. */
static bool head_take_authority(struct http_head *head, const uint8_t *base, struct http_span span,
				enum port_rule rule)
{
	struct head_text text = head_text(base, span);
	uint32_t len;

	if (text.len == 0)
		return false;
	len = text.at[0] == '[' ? literal_len(text) : name_len(text);
	if (len == 0 || len > HOST_MAX)
		return false;
	if (len == text.len && rule == PORT_REQUIRED)
		return false;
	if (len < text.len) {
		struct head_text port = { text.at + len + 1, text.len - len - 1 };

		if (text.at[len] != ':' || !port_is_good(port, rule))
			return false;
	}
	if (text.at[len - 1] == '.')
		len--;
	assert(len > 0);
	head->authority = span;
	head->host = head_span(span.at, span.at + len);
	return true;
}

/* --- path and query -------------------------------------------------------------------------- */

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* [at, end) is path and query, of which the path may be empty. */
static bool head_take_path(struct http_head *head, const uint8_t *base, uint32_t at, uint32_t end)
{
	const struct head_set *set = &path_set;
	uint32_t path = at, query = end;

	for (; at < end; at++) {
		uint8_t c = base[at];

		if (head_set_has(set, c))
			continue;
		if (c == '?' && set == &path_set) {
			set = &query_set;
			query = at;
			continue;
		}
		/* RFC 3986 2.1 */
		if (c != '%' || end - at < 3)
			return false;

		int high = hex_value(base[at + 1]), low = hex_value(base[at + 2]);

		if (high < 0 || low < 0 || (high == 0 && low == 0 && set == &path_set))
			return false;
		at += 2;
	}
	head->path = head_span(path, query);
	head->query = head_span(query, end);
	return true;
}

/* --- target ---------------------------------------------------------------------------------- */

/* The length of "http://" or "https://", or 0. */
static uint32_t scheme_len(struct head_text text)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (uint32_t i = 0; i < ARRAY_COUNT(schemes); i++) {
		uint32_t len = (uint32_t)strlen(schemes[i]);

		if (text.len > len && http_text_equal(text.at, len, schemes[i]))
			return len;
	}
	return 0;
}

static bool head_take_absolute(struct http_head *head, const uint8_t *base)
{
	uint32_t end = head->target.at + head->target.len;
	uint32_t scheme = scheme_len(head_text(base, head->target));
	uint32_t authority = head->target.at + scheme;
	uint32_t at = authority;

	if (scheme == 0)
		return false;
	while (at < end && base[at] != '/' && base[at] != '?')
		at++;
	return head_take_authority(head, base, head_span(authority, at), PORT_OPTIONAL) &&
	       head_take_path(head, base, at, end);
}

static bool head_take_target(struct http_head *head, const uint8_t *base)
{
	uint32_t at = head->target.at;

	assert(head->target.len > 0);
	if (head->method == HTTP_METHOD_CONNECT)
		return head_take_authority(head, base, head->target, PORT_REQUIRED);
	if (base[at] == '/')
		return head_take_path(head, base, at, at + head->target.len);
	if (base[at] == '*') {
		head->path = head->target;
		return head->target.len == 1 && head->method == HTTP_METHOD_OPTIONS;
	}
	return head_take_absolute(head, base);
}

/* RFC 9112 3.2: exactly one Host in HTTP/1.1, and a good one also where the target has its own. */
static bool head_take_host(struct http_head *head, const uint8_t *base,
			   const struct head_index *index)
{
	uint32_t count = index->count[HTTP_FIELD_HOST];
	const struct http_field *field = &head->fields[index->first[HTTP_FIELD_HOST]];

	if (count > 1 || (count == 0 && head->minor == 1))
		return false;
	return count == 0 || head_take_authority(head, base, field->value, PORT_OPTIONAL);
}

bool head_judge_target(struct http_head *head, const uint8_t *base, const struct head_index *index)
{
	if (!head_take_host(head, base, index))
		return head_refuse(head, HTTP_REFUSAL_HOST);
	if (!head_take_target(head, base)) /* its authority, if any, takes the place of Host's */
		return head_refuse(head, HTTP_REFUSAL_TARGET);
	assert(head->minor == 0 || head->authority.len > 0);
	return true;
}
