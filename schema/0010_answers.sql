-- The last answer of each builder's session, for one whose connection broke before it came.
CREATE TABLE toji_answer (
    session_id INTEGER NOT NULL PRIMARY KEY REFERENCES sessions(id) ON DELETE CASCADE,
    callnum BIGINT NOT NULL,
    answer TEXT NOT NULL
);
