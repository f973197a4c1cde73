-- Builders that have or had a live connection; a builder that only polls has no row.
CREATE TABLE toji_host_stream (
    host_id INTEGER NOT NULL PRIMARY KEY REFERENCES host(id),
    -- The hub that has the connection, and since when it is broken.
    holder TEXT NOT NULL,
    lost TIMESTAMPTZ,
    -- Which of the machine's resources are too short for another task.
    pressure TEXT
);

-- What only one hub does at a time, and until when it does so without saying it again.
CREATE TABLE toji_lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until TIMESTAMPTZ NOT NULL
);
INSERT INTO toji_lease (name, holder, until) VALUES ('scheduler', '', NOW());
