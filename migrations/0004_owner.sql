-- 0004_owner: whose data sets, models and jobs are whose. A data set's name is one of its owner's names, so two users may
-- both have a "mnist"; what was there before there were users is "local"'s.

CREATE TABLE dataset_owned (
  id         TEXT PRIMARY KEY NOT NULL,     -- "ds_..."
  owner      TEXT NOT NULL,                 -- a user's name
  name       TEXT NOT NULL,                 -- chosen by the owner, [A-Za-z0-9._-]{1,64}
  status     TEXT NOT NULL                  -- receiving: files are being uploaded; ready: packed, jobs may use it
             CHECK (status IN ('receiving', 'ready')),
  sha256     TEXT,                          -- of the packed file, which is named so; NULL while receiving
  info       TEXT,                          -- JSON object made by ingest: shape, splits, classes, mean, std; NULL while receiving
  bytes      INTEGER NOT NULL DEFAULT 0     -- size of the packed file
             CHECK (bytes >= 0),
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  UNIQUE (owner, name),
  CHECK (status = 'receiving' OR (sha256 IS NOT NULL AND info IS NOT NULL))
) STRICT;
INSERT INTO dataset_owned SELECT id, 'local', name, status, sha256, info, bytes, created_at, updated_at FROM dataset;
DROP TABLE dataset;
ALTER TABLE dataset_owned RENAME TO dataset;
CREATE INDEX dataset_sha256 ON dataset (sha256); -- does another data set share the packed file?

ALTER TABLE model ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';
CREATE INDEX model_owner ON model (owner, id);
ALTER TABLE job ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';
CREATE INDEX job_owner ON job (owner, id);
-- A key is its user's: from here on idempotency.key is "<owner> <Idempotency-Key>".
UPDATE idempotency SET key = 'local ' || key;
