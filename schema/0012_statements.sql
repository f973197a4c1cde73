-- Signed statements about builds: which are to be written, and the keys that have signed.

-- Of a build: whether its statement is due, since when, and what the written one is.
CREATE TABLE toji_statement (
    build_id INTEGER NOT NULL PRIMARY KEY REFERENCES build(id) ON DELETE CASCADE,
    turn INTEGER NOT NULL,
    due BOOLEAN NOT NULL,
    not_before TIMESTAMPTZ NOT NULL,
    failures INTEGER NOT NULL,
    reason TEXT,
    written TIMESTAMPTZ,
    keyid TEXT,
    size BIGINT,
    sha256 TEXT,
    bill_size BIGINT,
    bill_sha256 TEXT
);
CREATE INDEX toji_statement_due ON toji_statement (not_before, build_id) WHERE due IS TRUE;

-- The public halves of all keys that were ever in use on this database.
CREATE TABLE toji_signing_key (
    keyid TEXT NOT NULL PRIMARY KEY,
    pem TEXT NOT NULL,
    created TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    used TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

INSERT INTO locks (name) VALUES ('toji-statements') ON CONFLICT DO NOTHING;
