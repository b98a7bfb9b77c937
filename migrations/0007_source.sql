-- 0007_source: models remember how they were written, with blocks that stand for layers.

ALTER TABLE model ADD COLUMN source TEXT; -- JSON: the definition as it was sent; NULL: as resolved (older models)
