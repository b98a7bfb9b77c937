-- 0008_share: what a shared queue needs to know of jobs and of their users.

ALTER TABLE job ADD COLUMN queued_at REAL NOT NULL DEFAULT 0;       -- when it went into the queue last: its age there
ALTER TABLE job ADD COLUMN threads INTEGER NOT NULL DEFAULT 0       -- the most that it may use; 0: as many as it is given
                CHECK (threads >= 0);
ALTER TABLE job ADD COLUMN planned_bytes INTEGER NOT NULL DEFAULT 0 -- memory reserved for it while a worker has it; 0: not known
                CHECK (planned_bytes >= 0);
ALTER TABLE job ADD COLUMN epoch_seconds REAL;                      -- what an epoch was predicted to take; NULL: not known
ALTER TABLE job ADD COLUMN max_seconds REAL;                        -- training.max_runtime_seconds; NULL: none
UPDATE job SET queued_at = created_at;
UPDATE job SET threads = CASE json_type(spec, '$.resources.threads')
                           WHEN 'integer' THEN json_extract(spec, '$.resources.threads') ELSE 0 END,
               planned_bytes = CAST(coalesce(json_extract(spec, '$.plan.memory.total'), 0) AS INTEGER),
               epoch_seconds = CAST(json_extract(spec, '$.plan.estimate.seconds_per_epoch') AS REAL),
               max_seconds = CAST(json_extract(spec, '$.training.max_runtime_seconds') AS REAL)
           WHERE status IN ('queued', 'running', 'pausing', 'paused', 'stopping', 'cancelling') AND json_valid(spec);

-- All that the order of the queue follows from, so that not one of the jobs themselves (whose JSON is long) is read.
DROP INDEX job_queue;
CREATE INDEX job_waiting ON job (id, status, owner, priority, created_at, queued_at, not_before, threads, planned_bytes,
                                 epoch_seconds, max_seconds, epochs, epoch, runtime_seconds, stop_requested)
             WHERE status = 'queued';

CREATE TABLE usage (
  user         TEXT PRIMARY KEY NOT NULL,
  core_seconds REAL NOT NULL                -- used by the user's jobs, as it had decayed at that time
               CHECK (core_seconds >= 0),
  at           REAL NOT NULL                -- on a clock of its own, which goes on while the server runs (store/usage.c)
) STRICT, WITHOUT ROWID;

CREATE TABLE lane (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  passed INTEGER NOT NULL                   -- short jobs that went past the others since one of these was claimed
) STRICT;
INSERT INTO lane (id, passed) VALUES (1, 0);
