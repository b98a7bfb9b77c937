-- 0003_token: who may ask, and whose things are whose.
--
-- A user is a name: that of a token, or of a Linux user who came over the Unix socket. What was made before there were
-- users belongs to "local", the user of a daemon without tokens.

CREATE TABLE token (
  id           TEXT PRIMARY KEY NOT NULL,   -- "tok_..."
  user         TEXT NOT NULL,               -- whose requests it makes
  name         TEXT NOT NULL,               -- for people: where it is used
  scope        TEXT NOT NULL                -- each includes those before it
               CHECK (scope IN ('read', 'write', 'admin')),
  sha256       TEXT NOT NULL UNIQUE,        -- of the whole token, which is kept nowhere
  created_at   REAL NOT NULL,
  expires_at   REAL,                        -- NULL: never
  revoked_at   REAL,                        -- NULL: not revoked
  last_used_at REAL                         -- NULL: never; to within an hour
) STRICT;
CREATE INDEX token_user ON token (user, id);
