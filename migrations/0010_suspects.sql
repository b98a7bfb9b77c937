-- 0010_suspects: jobs that ran each time when the server died stand first in the queue, so its index tells them.
DROP INDEX job_waiting;
CREATE INDEX job_waiting ON job (id, status, owner, priority, created_at, queued_at, not_before, threads, planned_bytes,
                                 epoch_seconds, max_seconds, epochs, epoch, runtime_seconds, stop_requested, deaths)
             WHERE status = 'queued';
