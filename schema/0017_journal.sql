-- Who works on an entry of the journal: the number of a lock that its hub holds on the database as long as it lives.
ALTER TABLE toji_import ADD COLUMN holder BIGINT;
-- Whether it moves a build: those that do not are seldom asked for.
ALTER TABLE toji_import ADD COLUMN moves BOOLEAN;
