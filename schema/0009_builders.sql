-- Builders: how they enrol and log in, what signs the tokens of uploads, and tasks that were given back.

-- Tokens with which a new builder enrols once; of the token itself only a digest is kept.
CREATE TABLE toji_builder_token (
    id SERIAL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    created TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    created_by INTEGER NOT NULL REFERENCES users(id),
    expires TIMESTAMPTZ NOT NULL,
    name TEXT,
    arches TEXT NOT NULL,
    channels TEXT NOT NULL,
    capacity DOUBLE PRECISION NOT NULL,
    used TIMESTAMPTZ,
    host_id INTEGER REFERENCES host(id)
);

-- What builders log in with, as digests; a new one replaces the older ones when it is first used.
CREATE TABLE toji_builder_credential (
    id SERIAL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users(id),
    hash TEXT NOT NULL UNIQUE,
    created TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    expires TIMESTAMPTZ NOT NULL
);
CREATE INDEX toji_builder_credential_user ON toji_builder_credential (user_id);

-- Keys that all hubs of a database share: 'upload' signs the tokens with which builders upload.
CREATE TABLE toji_secret (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Tasks that builders gave back because something of their own failed, and when they may be given away again. Without
-- a reference to the task, which other programs remove.
CREATE TABLE toji_task_return (
    task_id INTEGER NOT NULL PRIMARY KEY,
    times INTEGER NOT NULL,
    reason TEXT NOT NULL,
    not_before TIMESTAMPTZ NOT NULL
);
