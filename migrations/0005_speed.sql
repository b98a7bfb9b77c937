-- 0005_speed: how fast this machine trained which nets, for prices and for when jobs will end and start.

CREATE TABLE speed (
  model_sha256       TEXT NOT NULL,         -- of the resolved definition; or "calibration ..." for nets of the server's own
  batch_size         INTEGER NOT NULL,
  training_flops     REAL NOT NULL,         -- of one sample, forward and backward
  samples_per_second REAL NOT NULL          -- as measured last
                     CHECK (samples_per_second > 0),
  measured_at        REAL NOT NULL,
  PRIMARY KEY (model_sha256, batch_size)
) STRICT, WITHOUT ROWID;
