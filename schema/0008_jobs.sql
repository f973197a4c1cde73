-- Recurring work that one of several hubs does at a time, and when it was last done.
CREATE TABLE toji_job (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    done TIMESTAMPTZ
);
