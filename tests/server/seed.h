/*
 * seed.h - a store in the test's scratch directory, with a data set and jobs in it. For the store's suites.
 *
 * These may reach through store/rows.h to the database itself, to look at rows and to spoil them.
 */
#ifndef TESTS_SEED_H
#define TESTS_SEED_H

#include "store/rows.h"
#include "store/store.h"

struct store *seed_open(const char *boot_id); /* the same file each time */
/* A ready data set; its id stays until the test ends. */
const char *seed_dataset(struct store *s, const char *name);
/* A queued job; its id stays until the test ends. */
const char *seed_job(struct store *s, const char *dataset_id, int priority);
/* The job as it is; owned by the caller. */
struct job_row seed_get(struct store *s, const char *job_id);
enum job_status seed_status(struct store *s, const char *job_id);
int64_t seed_append(struct store *s, const char *job_id, const char *type); /* the new seq */
/* Runs a statement on the writer, or counts with "SELECT count(*) AS n FROM ...". */
void seed_execute(struct store *s, const char *sql);
int64_t seed_count(struct store *s, const char *sql);

#endif
