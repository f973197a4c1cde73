-- Runs over the store that read every file: how far they are, and what they found.

-- When the content of a file was last compared, and in which run.
ALTER TABLE toji_file ADD COLUMN checked TIMESTAMPTZ;
ALTER TABLE toji_file ADD COLUMN run INTEGER;

-- Further digests of files, by the name of their type.
CREATE TABLE toji_file_sum (
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    sum TEXT NOT NULL,
    PRIMARY KEY (path, kind)
);

-- A run; last_build is the number of the last build of which everything is written.
CREATE TABLE toji_scan (
    id SERIAL PRIMARY KEY,
    kind TEXT NOT NULL,
    started TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    touched TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    ended TIMESTAMPTZ,
    last_build BIGINT NOT NULL DEFAULT 0,
    files BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    damaged BIGINT NOT NULL DEFAULT 0
);

-- Files that are not what they were, until they are again.
CREATE TABLE toji_damage (
    path TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    build_id INTEGER,
    found TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    seen TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
