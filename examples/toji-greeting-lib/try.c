#include "toji-greeting.h"

#include <stdio.h>

int main(void)
{
	char line[64];

	toji_greeting(line, sizeof(line), "brewer");
	return puts(line) < 0;
}
