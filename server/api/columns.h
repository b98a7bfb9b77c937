/*
 * columns.h - numbers by epoch in columns, thinned so that the extremes of every column survive.
 * Plain data, one thread.
 */
#ifndef API_COLUMNS_H
#define API_COLUMNS_H

#include <stdbool.h>

struct columns {
	int ncolumns, rows, capacity, max_rows;
	int *epochs;    /* rows, increasing */
	double *values; /* rows x ncolumns; NaN: nothing */
};

/* max_rows: how many may be left by columns_finish; memory stays within a small multiple of that. */
void columns_init(struct columns *c, int ncolumns, int max_rows);
void columns_done(struct columns *c);
/* A new row, all NaN, after those of smaller epochs; rows of this epoch and later ones go. NULL: out of memory. */
double *columns_add(struct columns *c, int epoch);
/* Thins to max_rows. False: out of memory. */
bool columns_finish(struct columns *c);

#endif
