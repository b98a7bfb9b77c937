/*
 * usage.c - what users' jobs have used lately, as rows: one number a user, which decays by a half-life.
 *
 * The decay goes by a clock of its own, the time that the server has run: it goes on from the newest row at each start,
 * so neither a jump of the wall clock nor a night without power changes who has used how much. A row is written when
 * something is added; in between it decays as it is read.
 */
#include "base/clock.h"
#include "store/rows.h"

void usage_clock_start(struct store *s, struct db_tx *tx)
{
	struct db_stmt *st = db_query(tx, "SELECT max(at) AS newest FROM usage");
	s->usage_clock = (db_step(st) ? db_real(st, "newest") : 0) - clock_mono();
}

double usage_now(const struct store *s)
{
	return s->usage_clock + clock_mono();
}

enum store_status store_usage_add(struct store *s, const char *user, double core_seconds)
{
	double used = 0, now = usage_now(s);
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "SELECT core_seconds, at FROM usage WHERE user = :user");
	db_bind_text(st, ":user", user);
	if (db_step(st))
		used = order_decay(db_real(st, "core_seconds"), now - db_real(st, "at"), s->policy.halflife_seconds);
	st = db_query(tx, "INSERT INTO usage (user, core_seconds, at) VALUES (:user, :used, :now)"
			  " ON CONFLICT (user) DO UPDATE SET core_seconds = :used, at = :now");
	db_bind_text(st, ":user", user);
	db_bind_real(st, ":used", used + (core_seconds > 0 ? core_seconds : 0));
	db_bind_real(st, ":now", now);
	db_run(st);
	return store_end(s, tx, STORE_OK);
}
