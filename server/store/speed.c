/* speed.c - measured speeds as rows. Written by workers, read for prices. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/rows.h"

enum { KEPT = 500 };

enum store_status store_speed_note(struct store *s, const struct speed *v)
{
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx,
		"INSERT INTO speed (model_sha256, batch_size, training_flops, samples_per_second, measured_at)"
		" VALUES (:model, :batch, :flops, :rate, :now)"
		" ON CONFLICT (model_sha256, batch_size) DO UPDATE SET"
		" samples_per_second = :rate, measured_at = :now");
	db_bind_text(st, ":model", v->model_sha256);
	db_bind_int(st, ":batch", v->batch_size);
	db_bind_real(st, ":flops", v->training_flops);
	db_bind_real(st, ":rate", v->samples_per_second);
	db_bind_real(st, ":now", clock_now());
	db_run(st);
	st = db_query(tx, "DELETE FROM speed WHERE measured_at < (SELECT measured_at FROM speed"
			  " ORDER BY measured_at DESC LIMIT 1 OFFSET :kept) AND model_sha256 NOT LIKE 'calibration%'");
	db_bind_int(st, ":kept", KEPT);
	db_run(st);
	return store_end(s, tx, STORE_OK);
}

/* How far a measured net is from the wanted one: in work for a sample first, then in batch size. */
static double distance(struct db_stmt *st, const struct speed *want)
{
	double flops = db_real(st, "training_flops"), batch = (double)db_int(st, "batch_size");
	return fabs(log(flops / want->training_flops)) + 0.1 * fabs(log(batch / want->batch_size));
}

enum store_status store_speed_find(struct store *s, struct speed *want, bool *ret_exact)
{
	enum store_status status = STORE_NOT_FOUND;
	double nearest = INFINITY;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT *, model_sha256 = :model AS same FROM speed");
	db_bind_text(st, ":model", want->model_sha256);
	*ret_exact = false;
	while (db_step(st)) {
		bool same = db_int(st, "same");
		double far = same ? -1 + 0.01 * distance(st, want) : distance(st, want);
		if (far >= nearest)
			continue;
		nearest = far;
		*ret_exact = same;
		/* What is done in a second is about the same for nets of about the same work. */
		want->samples_per_second =
			db_real(st, "samples_per_second") * db_real(st, "training_flops") / want->training_flops;
		status = STORE_OK;
	}
	return store_end(s, tx, status);
}
