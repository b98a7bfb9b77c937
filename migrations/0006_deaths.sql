-- 0006_deaths: who took the server down is told from who merely ran when it died.

ALTER TABLE job ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0; -- of the server while it ran, for no known reason, since its
                                                              -- last checkpoint; retries counts those that it caused
