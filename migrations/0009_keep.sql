-- 0009_keep: how long things are kept, how much room each user takes, and lists that stay quick with 100,000 jobs.
--
-- "Kept time" is a clock in seconds that goes on while the server runs, and over a stop by at most half a day: whatever the wall
-- clock is set to, nothing grows old by it (store/keep.c). Columns that end in _kept are in kept time.

CREATE TABLE keep (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  kept        REAL NOT NULL,                -- kept time when it was written last; 0: never
  wall        REAL NOT NULL,                -- the wall clock then
  jobs        INTEGER NOT NULL DEFAULT 0,   -- removed by retention so far: jobs,
  weights     INTEGER NOT NULL DEFAULT 0,   -- checkpoints,
  datasets    INTEGER NOT NULL DEFAULT 0,   -- data sets that were ready,
  uploads     INTEGER NOT NULL DEFAULT 0,   -- data sets that never were,
  bytes       INTEGER NOT NULL DEFAULT 0    -- and their bytes
) STRICT;
INSERT INTO keep (id, kept, wall) VALUES (1, 0, 0);

ALTER TABLE job ADD COLUMN ended_kept REAL;                          -- when it ended; NULL: it has not
ALTER TABLE job ADD COLUMN weights_kept INTEGER NOT NULL DEFAULT 2   -- retention left: 2 all its checkpoints, 1 its best, 0 none
                CHECK (weights_kept BETWEEN 0 AND 2);
ALTER TABLE job ADD COLUMN weights_removed_at REAL;                  -- when retention took some of them; NULL: it has not
ALTER TABLE job ADD COLUMN claimed_mono REAL;                        -- claimed_at on the monotonic clock of its boot_id
ALTER TABLE job ADD COLUMN seen_mono REAL;                           -- its newest event, on the same clock
ALTER TABLE job ADD COLUMN trained INTEGER NOT NULL DEFAULT 0        -- 1: no epoch will follow; its test is being made
                CHECK (trained IN (0, 1));
UPDATE job SET ended_kept = finished_at WHERE finished_at IS NOT NULL;
CREATE INDEX job_ended ON job (ended_kept, id) WHERE ended_kept IS NOT NULL; -- the oldest ended
CREATE INDEX job_weights ON job (weights_kept, ended_kept, id) WHERE ended_kept IS NOT NULL; -- the same, with weights

ALTER TABLE dataset ADD COLUMN used_kept REAL NOT NULL DEFAULT 0;    -- when it was last uploaded to, or a job of it began or ended
UPDATE dataset SET used_kept = max(updated_at, coalesce(
  (SELECT max(max(created_at, coalesce(finished_at, 0))) FROM job WHERE dataset_id = dataset.id), 0));
CREATE INDEX dataset_used ON dataset (status, used_kept, id);        -- the longest unused
CREATE INDEX dataset_owner ON dataset (owner, id);                   -- lists by owner

-- Lists of jobs: each index holds all that a list may be narrowed by, so that no row is read that is not shown.
DROP INDEX job_status;
DROP INDEX job_owner;
DROP INDEX job_dataset_name;
DROP INDEX job_name;
CREATE INDEX job_status ON job (status, id, owner, dataset_name, name);
CREATE INDEX job_owner ON job (owner, id, dataset_name, name, status);
CREATE INDEX job_owner_status ON job (owner, status, id, dataset_name, name);
CREATE INDEX job_dataset_name ON job (dataset_name, id, owner, status, name);
CREATE INDEX job_name ON job (name, id, owner, status, dataset_name);

-- Whose an event is: a user's stream of all jobs must not read through everyone else's.
ALTER TABLE event ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';
UPDATE event SET owner = (SELECT owner FROM job WHERE id = event.job_id)
  WHERE job_id IN (SELECT id FROM job WHERE owner <> 'local');
CREATE INDEX event_type ON event (type, global_seq);
CREATE INDEX event_owner ON event (owner, global_seq);
CREATE INDEX event_owner_type ON event (owner, type, global_seq);
CREATE INDEX event_job_type ON event (job_id, type, seq);

-- How many jobs are in each status.
CREATE TABLE job_count (
  status TEXT PRIMARY KEY NOT NULL,
  n      INTEGER NOT NULL CHECK (n >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO job_count SELECT status, count(*) FROM job GROUP BY status;
CREATE TRIGGER job_count_add AFTER INSERT ON job BEGIN
  INSERT INTO job_count VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER job_count_move AFTER UPDATE OF status ON job WHEN OLD.status <> NEW.status BEGIN
  UPDATE job_count SET n = n - 1 WHERE status = OLD.status;
  INSERT INTO job_count VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER job_count_remove AFTER DELETE ON job BEGIN
  UPDATE job_count SET n = n - 1 WHERE status = OLD.status;
END;

-- How much of the disk each user takes. Equal data sets share a file, and are counted for each user who has one.
CREATE TABLE disk_use (
  owner       TEXT PRIMARY KEY NOT NULL,
  datasets    INTEGER NOT NULL DEFAULT 0,   -- bytes of packed data sets,
  uploads     INTEGER NOT NULL DEFAULT 0,   -- of files that wait for their commit,
  checkpoints INTEGER NOT NULL DEFAULT 0    -- of the jobs' checkpoints
) STRICT, WITHOUT ROWID;
INSERT INTO disk_use (owner) SELECT owner FROM dataset UNION SELECT owner FROM job;
UPDATE disk_use SET
  datasets = (SELECT coalesce(sum(bytes), 0) FROM dataset AS d WHERE d.owner = disk_use.owner),
  uploads = (SELECT coalesce(sum(f.bytes), 0) FROM dataset_file AS f JOIN dataset AS d ON d.id = f.dataset_id
             WHERE d.owner = disk_use.owner),
  checkpoints = (SELECT coalesce(sum(c.bytes), 0) FROM checkpoint AS c JOIN job AS j ON j.id = c.job_id
                 WHERE j.owner = disk_use.owner);
CREATE TRIGGER disk_use_dataset_add AFTER INSERT ON dataset BEGIN
  INSERT INTO disk_use (owner, datasets) VALUES (NEW.owner, NEW.bytes)
    ON CONFLICT (owner) DO UPDATE SET datasets = datasets + NEW.bytes;
END;
CREATE TRIGGER disk_use_dataset_change AFTER UPDATE OF bytes ON dataset BEGIN
  UPDATE disk_use SET datasets = datasets + NEW.bytes - OLD.bytes WHERE owner = NEW.owner;
END;
CREATE TRIGGER disk_use_dataset_remove AFTER DELETE ON dataset BEGIN
  UPDATE disk_use SET datasets = datasets - OLD.bytes WHERE owner = OLD.owner;
END;
-- What belongs to a row goes before it: the triggers below look up the owner.
CREATE TRIGGER disk_use_dataset_files BEFORE DELETE ON dataset BEGIN
  DELETE FROM dataset_file WHERE dataset_id = OLD.id;
END;
CREATE TRIGGER disk_use_job_checkpoints BEFORE DELETE ON job BEGIN
  DELETE FROM checkpoint WHERE job_id = OLD.id;
END;
CREATE TRIGGER disk_use_file_add AFTER INSERT ON dataset_file BEGIN
  UPDATE disk_use SET uploads = uploads + NEW.bytes WHERE owner = (SELECT owner FROM dataset WHERE id = NEW.dataset_id);
END;
CREATE TRIGGER disk_use_file_change AFTER UPDATE OF bytes ON dataset_file BEGIN
  UPDATE disk_use SET uploads = uploads + NEW.bytes - OLD.bytes
    WHERE owner = (SELECT owner FROM dataset WHERE id = NEW.dataset_id);
END;
CREATE TRIGGER disk_use_file_remove AFTER DELETE ON dataset_file BEGIN
  UPDATE disk_use SET uploads = uploads - OLD.bytes WHERE owner = (SELECT owner FROM dataset WHERE id = OLD.dataset_id);
END;
CREATE TRIGGER disk_use_checkpoint_add AFTER INSERT ON checkpoint BEGIN
  INSERT INTO disk_use (owner, checkpoints) SELECT owner, NEW.bytes FROM job WHERE id = NEW.job_id
    ON CONFLICT (owner) DO UPDATE SET checkpoints = checkpoints + NEW.bytes;
END;
CREATE TRIGGER disk_use_checkpoint_remove AFTER DELETE ON checkpoint BEGIN
  UPDATE disk_use SET checkpoints = checkpoints - OLD.bytes WHERE owner = (SELECT owner FROM job WHERE id = OLD.job_id);
END;
