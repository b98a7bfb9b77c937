/* test_migrations.c - migrations: applied once, in order, all or nothing; and which databases are refused. */
#include <string.h>

#include "base/embed.h"
#include "base/log.h"
#include "db/db.h"
#include "runner.h"
#include "scratch.h"
#include "seed.h"

static const struct migration steps[] = {
	{"0001_first.sql", "CREATE TABLE a (x INTEGER PRIMARY KEY) STRICT; INSERT INTO a VALUES (1);"},
	{"0002_second.sql", "CREATE TABLE b (x INTEGER REFERENCES a (x)) STRICT; INSERT INTO b VALUES (1);"},
	{"0003_third.sql", "INSERT INTO a SELECT max(x) + 1 FROM a;"},
};

static struct db *open_steps(const struct migration *list, int n)
{
	log_level_set(LOG_WARNING);
	return db_open(scratch_path("m.db"), list, n);
}

/* Opens and closes; what was logged in *ret_text. */
static bool opens(const struct migration *list, int n, const char **ret_text)
{
	capture_begin(2);
	struct db *db = open_steps(list, n);
	db_close(db);
	*ret_text = capture_end();
	return db != NULL;
}

static int64_t number(const char *sql, int nsteps)
{
	struct db *db = open_steps(steps, nsteps);
	ck_assert_ptr_nonnull(db);
	struct db_tx *tx = db_snapshot(db);
	struct db_stmt *st = db_query(tx, sql);
	ck_assert(db_step(st));
	int64_t n = db_int(st, "n");
	ck_assert_int_eq(db_end(tx, false), DB_OK);
	db_close(db);
	return n;
}

#define ck_said(text, part) ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in: %s", part, text)

START_TEST(a_fresh_database_gets_all_of_them_once)
{
	ck_assert_int_eq(number("SELECT count(*) AS n FROM migration", 3), 3);
	ck_assert_int_eq(number("SELECT max(x) AS n FROM a", 3), 2);
	ck_assert_int_eq(number("SELECT max(x) AS n FROM a", 3), 2); /* opened again: not applied again */
}
END_TEST

START_TEST(an_older_database_gets_those_it_has_not_had)
{
	ck_assert_int_eq(number("SELECT max(x) AS n FROM a", 1), 1);
	ck_assert_int_eq(number("SELECT count(*) AS n FROM migration", 2), 2);
	ck_assert_int_eq(number("SELECT max(x) AS n FROM a", 3), 2);
	ck_assert_int_eq(number("SELECT count(*) AS n FROM b", 3), 1);
}
END_TEST

START_TEST(a_changed_migration_is_refused)
{
	const char *text;
	ck_assert(opens(steps, 3, &text));
	struct migration changed[3] = {steps[0], {"0002_second.sql", "CREATE TABLE b (x INTEGER) STRICT;"}, steps[2]};
	ck_assert(!opens(changed, 3, &text));
	ck_said(text, "0002_second.sql is not the one that the database was made with");
	ck_assert(opens(steps, 3, &text));
}
END_TEST

START_TEST(a_newer_database_is_refused_and_left_alone)
{
	const char *text;
	ck_assert(opens(steps, 3, &text));
	ck_assert(!opens(steps, 2, &text));
	ck_said(text, "newer backpropd (migration 0003_third.sql)");
	ck_assert_int_eq(number("SELECT count(*) AS n FROM migration", 3), 3);
}
END_TEST

START_TEST(a_failing_migration_leaves_nothing_and_those_before_it_stay)
{
	const char *text;
	struct migration bad[3] = {
		steps[0], {"0002_bad.sql", "CREATE TABLE half (x INTEGER) STRICT; SELECT nonsense;"}, steps[2]};
	ck_assert(!opens(bad, 3, &text));
	ck_said(text, "0002_bad.sql");
	ck_said(text, "nonsense");
	ck_assert_int_eq(number("SELECT count(*) AS n FROM migration", 1), 1);
	ck_assert_int_eq(number("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'half'", 1), 0);
	ck_assert(opens(steps, 3, &text)); /* mended */
}
END_TEST

START_TEST(a_migration_may_not_break_references_or_end_its_transaction)
{
	const char *text;
	struct migration dangling[3] = {steps[0], steps[1], {"0003_bad.sql", "DELETE FROM a;"}};
	ck_assert(!opens(dangling, 3, &text));
	ck_said(text, "breaks references");
	struct migration ending[3] = {steps[0], steps[1], {"0003_bad.sql", "COMMIT;"}};
	ck_assert(!opens(ending, 3, &text));
	ck_said(text, "must not end its transaction");
	ck_assert_int_eq(number("SELECT count(*) AS n FROM migration", 2), 2);
}
END_TEST

START_TEST(migrations_must_be_numbered_without_a_gap)
{
	const char *text;
	struct migration gap[2] = {steps[0], steps[2]};
	ck_assert(!opens(gap, 2, &text));
	ck_said(text, "0003_third.sql should have number 2");
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_refused)
{
	const char *text;
	scratch_write("m.db", "this is not a database, but it is long enough to look at as if it were one: "
			      "................................................................................");
	ck_assert(!opens(steps, 3, &text));
	ck_said(text, "not a database");
	log_level_set(LOG_WARNING);
	struct migration none[1] = {{"0001_first.sql", "SELECT 1;"}};
	struct db *db = db_open(scratch_path("other.db"), none, 1);
	struct db_tx *tx = db_begin(db);
	db_run(db_query(tx, "PRAGMA application_id = 42"));
	ck_assert_int_eq(db_end(tx, true), DB_OK);
	db_close(db);
	capture_begin(2);
	db = db_open(scratch_path("other.db"), none, 1);
	text = capture_end();
	ck_assert_ptr_null(db);
	ck_said(text, "not a database of backpropd");
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_said)
{
	capture_begin(2);
	struct db *db = db_open(scratch_path("missing/m.db"), steps, 3);
	const char *text = capture_end();
	ck_assert_ptr_null(db);
	ck_said(text, "No such file");
}
END_TEST

START_TEST(the_embedded_ones_make_strict_tables_with_working_references)
{
	int n = 0;
	for (int i = 0; i < embedded_count(); i++)
		n += strncmp(embedded_at(i).path, "migrations/", 11) == 0;
	struct store *s = seed_open("boot_1");
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM migration"), n);
	ck_assert_int_ge(seed_count(s, "SELECT count(*) AS n FROM pragma_table_list WHERE type = 'table'"), 9);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM pragma_table_list WHERE type = 'table'"
				       " AND name NOT LIKE 'sqlite_%' AND NOT strict"),
		0);
	ck_assert_int_eq(seed_count(s, "SELECT foreign_keys AS n FROM pragma_foreign_keys"), 1);
	ck_assert_int_eq(seed_count(s, "SELECT trusted_schema AS n FROM pragma_trusted_schema"), 0);
	ck_assert_int_eq(seed_count(s, "SELECT query_only AS n FROM pragma_query_only"), 1);
	store_close(s);
}
END_TEST

TEST_SUITE(migrations, 20)
{
	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, a_fresh_database_gets_all_of_them_once);
	tcase_add_test(tc, an_older_database_gets_those_it_has_not_had);
	tcase_add_test(tc, a_changed_migration_is_refused);
	tcase_add_test(tc, a_newer_database_is_refused_and_left_alone);
	tcase_add_test(tc, a_failing_migration_leaves_nothing_and_those_before_it_stay);
	tcase_add_test(tc, a_migration_may_not_break_references_or_end_its_transaction);
	tcase_add_test(tc, migrations_must_be_numbered_without_a_gap);
	tcase_add_test(tc, a_file_that_is_not_ours_is_refused);
	tcase_add_test(tc, a_directory_that_is_not_there_is_said);
	tcase_add_test(tc, the_embedded_ones_make_strict_tables_with_working_references);
}
