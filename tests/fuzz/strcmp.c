/*
 * strcmp.c - strcmp as the fuzz targets have it: looked at by AddressSanitizer, but not noted with each comparison
 * for mutators of libFuzzer's that are not used (see the Makefile). `model` looks up names all the time: a run of it
 * took 1.4 times as long.
 */
#include <string.h>

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}
