#include <stdio.h>
#include <toji-greeting.h>

int main(int argc, char **argv)
{
	char line[256];

	toji_greeting(line, sizeof(line), argc > 1 ? argv[1] : "world");
	return puts(line) < 0;
}
