-- 0001_foundation: data sets, models, jobs, their events and checkpoints.
--
-- Immutable once released: its checksum is recorded in every database. A change is a new file.
-- Times are unix seconds. Ids are opaque text that sorts by time of making (base/id.h). JSON is text.

CREATE TABLE dataset (
  id         TEXT PRIMARY KEY NOT NULL,     -- "ds_..."
  name       TEXT NOT NULL UNIQUE,          -- chosen by the client, [A-Za-z0-9._-]{1,64}
  status     TEXT NOT NULL                  -- receiving: files are being uploaded; ready: packed, jobs may use it
             CHECK (status IN ('receiving', 'ready')),
  sha256     TEXT,                          -- of the packed file, which is named so; NULL while receiving
  info       TEXT,                          -- JSON object made by ingest: shape, splits, classes, mean, std; NULL while receiving
  bytes      INTEGER NOT NULL DEFAULT 0     -- size of the packed file
             CHECK (bytes >= 0),
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  CHECK (status = 'receiving' OR (sha256 IS NOT NULL AND info IS NOT NULL))
) STRICT;
CREATE INDEX dataset_sha256 ON dataset (sha256); -- does another data set share the packed file?

CREATE TABLE dataset_file (
  dataset_id TEXT NOT NULL                  -- whose upload this is; its data set is receiving
             REFERENCES dataset (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,                 -- as the client calls it
  stored_as  TEXT NOT NULL UNIQUE,          -- file name under uploads/
  bytes      INTEGER NOT NULL CHECK (bytes >= 0),
  PRIMARY KEY (dataset_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE model (
  id         TEXT PRIMARY KEY NOT NULL,     -- "mdl_..."
  name       TEXT NOT NULL,                 -- for people; need not be unique
  definition TEXT NOT NULL,                 -- JSON, as resolved
  summary    TEXT NOT NULL,                 -- JSON: layers with shapes, parameters, FLOPs
  created_at REAL NOT NULL
) STRICT;

CREATE TABLE job (
  id             TEXT PRIMARY KEY NOT NULL, -- "job_..."; its order is the order of submission
  name           TEXT NOT NULL,             -- for people; need not be unique
  status         TEXT NOT NULL              -- changed by one function only (store/job_status.c), which knows the legal moves
                 CHECK (status IN ('queued', 'running', 'pausing', 'paused', 'stopping', 'cancelling',
                                   'succeeded', 'failed', 'cancelled')),
  status_reason  TEXT,                      -- code: server_restart, early_stopped ...; NULL: nothing to add
  status_detail  TEXT,                      -- the same as a sentence for a person
  dataset_id     TEXT NOT NULL,             -- no REFERENCES: an ended job outlives its data set
  dataset_name   TEXT NOT NULL,             -- as it was at submission
  dataset_sha256 TEXT NOT NULL,             -- the packed file
  model          TEXT NOT NULL,             -- JSON definition, resolved: a copy, so that models may go
  spec           TEXT NOT NULL,             -- JSON: everything else as resolved (training, resources, normalization, plan)
  priority       INTEGER NOT NULL           -- higher first
                 CHECK (priority BETWEEN 0 AND 100),
  epochs         INTEGER NOT NULL,          -- asked for
  epoch          INTEGER NOT NULL DEFAULT 0,-- finished
  metrics        TEXT,                      -- JSON object of the newest epoch, at the end with the test's; NULL before the first
  last_seq       INTEGER NOT NULL DEFAULT 0,-- newest event
  attempt        INTEGER NOT NULL DEFAULT 0,-- claims so far
  boot_id        TEXT,                      -- the daemon's boot that claimed it last; another boot's running job is dead
  created_at     REAL NOT NULL,
  started_at     REAL,                      -- first claim; NULL before
  finished_at    REAL,                      -- NULL until the status is terminal
  version        INTEGER NOT NULL DEFAULT 1 -- grows with every change; the ETag
) STRICT;
CREATE INDEX job_queue ON job (priority DESC, id) WHERE status = 'queued'; -- the order of claims
CREATE INDEX job_status ON job (status, id);                               -- lists by status, counts
CREATE INDEX job_dataset ON job (dataset_id, status);                      -- may the data set go?
CREATE INDEX job_dataset_name ON job (dataset_name, id);                   -- lists by data set
CREATE INDEX job_name ON job (name, id);                                   -- lists by name

CREATE TABLE job_status_history (
  job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  seq    INTEGER NOT NULL,                  -- of the "status" event of the move
  status TEXT NOT NULL,                     -- moved to
  reason TEXT,
  detail TEXT,
  at     REAL NOT NULL,
  PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  global_seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order over all jobs; never used again, for clients remember it
  job_id     TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  seq        INTEGER NOT NULL,              -- dense from 1 within the job
  type       TEXT NOT NULL,                 -- status, epoch, checkpoint, progress
  data       TEXT NOT NULL,                 -- JSON object
  created_at REAL NOT NULL,
  UNIQUE (job_id, seq)
) STRICT;

CREATE TABLE checkpoint (
  id         TEXT PRIMARY KEY NOT NULL,     -- "ckpt_..."; the greatest of a job is its last
  job_id     TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  epoch      INTEGER NOT NULL,              -- finished epochs
  step       INTEGER NOT NULL,              -- optimizer steps taken
  file       TEXT NOT NULL,                 -- file name under checkpoints/<job>/
  bytes      INTEGER NOT NULL CHECK (bytes >= 0),
  metrics    TEXT,                          -- JSON object, or NULL
  is_best    INTEGER NOT NULL DEFAULT 0 CHECK (is_best IN (0, 1)),
  created_at REAL NOT NULL
) STRICT;
CREATE INDEX checkpoint_job ON checkpoint (job_id, id);
CREATE UNIQUE INDEX checkpoint_best ON checkpoint (job_id) WHERE is_best = 1; -- at most one best a job

CREATE TABLE idempotency (
  key            TEXT PRIMARY KEY NOT NULL, -- the Idempotency-Key header
  request_sha256 TEXT NOT NULL,             -- of the body that came with it
  job_id         TEXT NOT NULL              -- what it made; with the job goes the key
                 REFERENCES job (id) ON DELETE CASCADE,
  created_at     REAL NOT NULL              -- kept for 24 h
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_job ON idempotency (job_id);
CREATE INDEX idempotency_age ON idempotency (created_at);
