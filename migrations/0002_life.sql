-- 0002_life: what the life of a job needs beyond one undisturbed run: requests that survive a crash, retries, changes on
-- the way, its running time, and what was found wrong with it.

ALTER TABLE job ADD COLUMN stop_requested INTEGER NOT NULL DEFAULT 0 -- 1: ends at its next batch and keeps its best;
                CHECK (stop_requested IN (0, 1));                    -- stays over restarts
ALTER TABLE job ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;       -- failures and crashes since its last checkpoint
ALTER TABLE job ADD COLUMN not_before REAL;                          -- queued: not claimed before; NULL: at any time
ALTER TABLE job ADD COLUMN claimed_at REAL;                          -- since when a worker has it; NULL: none has
ALTER TABLE job ADD COLUMN runtime_seconds REAL NOT NULL DEFAULT 0;  -- of the attempts that are over
ALTER TABLE job ADD COLUMN lr REAL;                                  -- present training.optimizer.lr; NULL: as in spec
ALTER TABLE job ADD COLUMN asked_lr REAL;                            -- asked for and not yet taken up by the worker, which
ALTER TABLE job ADD COLUMN asked_epochs INTEGER;                     -- writes a "change" event when it does; NULL: nothing
ALTER TABLE job ADD COLUMN diagnosis TEXT;                           -- JSON array: findings of the newest "diagnosis" events
