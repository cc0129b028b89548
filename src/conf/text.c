/* SPDX-License-Identifier: MIT */
/*
 * text.c - words, items, tokens.
 */
#include "text.h"

#include <string.h>

#define BLANKS " \t"

char *text_take_word(char **text)
{
	char *word = *text + strspn(*text, BLANKS);

	if (*word == '\0')
		return NULL;
	*text = word + strcspn(word, BLANKS);
	if (**text)
		*(*text)++ = '\0';
	return word;
}

char *text_trim(char *text)
{
	size_t len;

	text += strspn(text, BLANKS);
	len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

char *text_take_item(char **text, char separator)
{
	char *item = *text;
	char *end;

	if (!item)
		return NULL;
	end = strchr(item, separator);
	if (end)
		*end++ = '\0';
	*text = end;
	return text_trim(item);
}

void text_lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text | 0x20);
	}
}

bool text_is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			continue;
		if (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))
			return false;
	}
	return len > 0;
}

bool text_take_number(char **text, uint32_t *number)
{
	size_t digits = strspn(*text, "0123456789");
	char end = (*text)[digits];

	if (digits == 0 || digits > 9 || (end != '\0' && !strchr(BLANKS, end)))
		return false;
	*number = 0;
	for (size_t i = 0; i < digits; i++)
		*number = *number * 10 + (uint32_t)((*text)[i] - '0');
	*text += digits;
	*text += strspn(*text, BLANKS);
	return true;
}
