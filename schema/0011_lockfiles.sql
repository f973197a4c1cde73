-- Lockfiles: which packages exactly a buildroot has. A text is kept once, compressed by zstd.
CREATE TABLE toji_lockfile (
    sha256 TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    arch TEXT NOT NULL,
    packages INTEGER NOT NULL,
    data BYTEA NOT NULL
);
CREATE INDEX toji_lockfile_digest ON toji_lockfile (digest);

-- Of a buildroot: the last one that it was filled by, and whether the hub itself has made that plan, of its tag at
-- which event.
CREATE TABLE toji_buildroot_lockfile (
    buildroot_id INTEGER NOT NULL PRIMARY KEY REFERENCES buildroot(id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL REFERENCES toji_lockfile(sha256),
    planned BOOLEAN NOT NULL,
    event INTEGER
);
CREATE INDEX toji_buildroot_lockfile_sha256 ON toji_buildroot_lockfile (sha256);
