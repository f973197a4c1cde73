#ifndef TOJI_GREETING_H
#define TOJI_GREETING_H

#include <stddef.h>

/* Writes a greeting for `name` into `buffer` of `size` bytes; returns its full length. */
size_t toji_greeting(char *buffer, size_t size, const char *name);

#endif
