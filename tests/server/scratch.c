/* scratch.c - see scratch.h. Check forks for every test, so what is static here belongs to one test. */
#include "scratch.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[256];
static int captured = -1, original = -1;

void scratch_make(void)
{
	const char *parent = getenv("TMPDIR");
	snprintf(directory, sizeof directory, "%s/backpropd-test-XXXXXX", parent ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void scratch_remove(void)
{
	nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(const char *name)
{
	static char buffers[4][512];
	static int next;
	char *path = buffers[next++ % 4];
	snprintf(path, sizeof buffers[0], "%s/%s", directory, name);
	return path;
}

void scratch_write(const char *name, const char *text)
{
	FILE *f = fopen(scratch_path(name), "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

void capture_begin(int fd)
{
	fflush(NULL);
	captured = fd;
	original = dup(fd);
	int file = open(scratch_path("captured"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
	ck_assert_int_ge(file, 0);
	dup2(file, fd);
	close(file);
}

const char *capture_end(void)
{
	static char text[32768];
	fflush(NULL);
	dup2(original, captured);
	close(original);
	FILE *f = fopen(scratch_path("captured"), "r");
	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}
