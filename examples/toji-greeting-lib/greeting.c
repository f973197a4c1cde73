#include "toji-greeting.h"

#include <stdio.h>

size_t toji_greeting(char *buffer, size_t size, const char *name)
{
	int length = snprintf(buffer, size, "Hello, %s!", name);

	return length < 0 ? 0 : (size_t)length;
}
