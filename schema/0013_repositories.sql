-- The job that makes the repository metadata of RPMs that have none, as those of a hub that was taken over.

-- It goes from the newest RPM down. RPMs up to `floor` were looked at in an earlier round, those above `position` in this
-- one, which began at `top`, and `position` is `floor` when it is done.
CREATE TABLE toji_metadata_job (
    id INTEGER NOT NULL PRIMARY KEY,
    floor BIGINT NOT NULL,
    position BIGINT NOT NULL,
    top BIGINT NOT NULL,
    made BIGINT NOT NULL,
    paused BOOLEAN NOT NULL,
    -- RPMs in a second, or as many as possible.
    rate INTEGER,
    workers INTEGER NOT NULL,
    started TIMESTAMPTZ,
    updated TIMESTAMPTZ,
    finished TIMESTAMPTZ
);
INSERT INTO toji_metadata_job (id, floor, position, top, made, paused, rate, workers)
    VALUES (1, 0, 0, 0, 0, FALSE, 50, 2);

-- RPMs whose file is missing or cannot be read. They are left alone until somebody asks for another try.
CREATE TABLE toji_metadata_failure (
    rpm_id INTEGER NOT NULL PRIMARY KEY REFERENCES rpminfo(id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    tried TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

-- Held while a link to the latest repository of a tag is moved.
INSERT INTO locks (name) VALUES ('toji-latest') ON CONFLICT DO NOTHING;
