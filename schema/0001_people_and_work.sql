-- Events, users, sessions, channels, hosts and tasks.
-- Table, column and constraint names are the interface to existing databases and tools: they stay.

-- The clock of all versioned tables: ids grow even when the system's clock goes back.
CREATE TABLE events (
    id SERIAL PRIMARY KEY,
    time TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

--:postgres
CREATE FUNCTION get_event() RETURNS INTEGER LANGUAGE SQL AS
    'INSERT INTO events (time) VALUES (clock_timestamp()) RETURNING id';
CREATE FUNCTION get_event_time(INTEGER) RETURNS TIMESTAMPTZ LANGUAGE SQL AS
    'SELECT time FROM events WHERE id = $1';
--:end

CREATE TABLE event_labels (
    event_id INTEGER NOT NULL REFERENCES events(id),
    label VARCHAR(255) UNIQUE NOT NULL
);

-- People, hosts and groups; usertype tells which.
CREATE TABLE users (
    id SERIAL PRIMARY KEY,
    name VARCHAR(255) UNIQUE NOT NULL,
    password VARCHAR(255),
    status INTEGER NOT NULL,
    usertype INTEGER NOT NULL
);

CREATE TABLE user_krb_principals (
    user_id INTEGER NOT NULL REFERENCES users(id),
    krb_principal VARCHAR(255) NOT NULL UNIQUE,
    PRIMARY KEY (user_id, krb_principal)
);

CREATE TABLE permissions (
    id SERIAL PRIMARY KEY,
    name VARCHAR(50) UNIQUE NOT NULL,
    description TEXT
);

CREATE TABLE user_perms (
    user_id INTEGER NOT NULL REFERENCES users(id),
    perm_id INTEGER NOT NULL REFERENCES permissions(id),
--:versioned user_id, perm_id,
    UNIQUE (user_id, perm_id, active)
);

CREATE TABLE user_groups (
    user_id INTEGER NOT NULL REFERENCES users(id),
    group_id INTEGER NOT NULL REFERENCES users(id),
--:versioned user_id, group_id,
    UNIQUE (user_id, group_id, active)
);

-- master names the login that a subsession belongs to; exclusive is TRUE or NULL, so that the unique
-- condition allows one exclusive session for each user.
CREATE TABLE sessions (
    id SERIAL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users(id),
    expired BOOLEAN NOT NULL DEFAULT FALSE,
    master INTEGER REFERENCES sessions(id),
    key VARCHAR(255),
    authtype INTEGER,
    hostip VARCHAR(255),
    callnum INTEGER,
    start_time TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    update_time TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    exclusive BOOLEAN CHECK (exclusive),
    closed BOOLEAN NOT NULL DEFAULT FALSE,
    renew_time TIMESTAMPTZ,
    CONSTRAINT no_exclusive_subsessions CHECK (master IS NULL OR exclusive IS NULL),
    CONSTRAINT no_closed_exclusive CHECK (closed IS FALSE OR exclusive IS NULL),
    UNIQUE (user_id, exclusive)
);
CREATE INDEX sessions_master ON sessions (master);
CREATE INDEX sessions_active_and_recent ON sessions (expired, master, update_time)
    WHERE expired = FALSE AND master IS NULL;
CREATE INDEX sessions_expired ON sessions (expired);

-- A host takes tasks of the channels that it listens to.
CREATE TABLE channels (
    id SERIAL PRIMARY KEY,
    name VARCHAR(128) UNIQUE NOT NULL,
    description TEXT,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    comment TEXT
);

CREATE TABLE host (
    id SERIAL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users(id),
    name VARCHAR(128) UNIQUE NOT NULL,
    update_time TIMESTAMPTZ,
    task_load FLOAT NOT NULL DEFAULT 0.0 CHECK (NOT task_load < 0),
    ready BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE host_config (
    host_id INTEGER NOT NULL REFERENCES host(id),
    arches TEXT,
    capacity FLOAT NOT NULL DEFAULT 2.0 CHECK (capacity > 1),
    description TEXT,
    comment TEXT,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
--:versioned host_id,
    UNIQUE (host_id, active)
);
CREATE INDEX host_config_by_active_and_enabled ON host_config (active, enabled);

CREATE TABLE host_channels (
    host_id INTEGER NOT NULL REFERENCES host(id),
    channel_id INTEGER NOT NULL REFERENCES channels(id),
--:versioned host_id, channel_id,
    UNIQUE (host_id, channel_id, active)
);

-- request and result are XML-RPC documents; host_id says who runs the task; weight counts against the
-- host's capacity; label tells apart the subtasks of one parent.
CREATE TABLE task (
    id SERIAL PRIMARY KEY,
    state INTEGER,
    create_time TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    start_time TIMESTAMPTZ,
    completion_time TIMESTAMPTZ,
    channel_id INTEGER NOT NULL REFERENCES channels(id),
    host_id INTEGER REFERENCES host(id),
    parent INTEGER REFERENCES task(id),
    label VARCHAR(255),
    waiting BOOLEAN,
    awaited BOOLEAN,
    owner INTEGER NOT NULL REFERENCES users(id),
    method TEXT,
    request TEXT,
    result TEXT,
    eta INTEGER,
    arch VARCHAR(16) NOT NULL,
    priority INTEGER,
    weight FLOAT NOT NULL DEFAULT 1.0 CHECK (NOT weight < 0),
    CONSTRAINT parent_label_sane CHECK (parent IS NOT NULL OR label IS NULL),
    UNIQUE (parent, label)
);
CREATE INDEX task_by_state ON task (state);
CREATE INDEX task_by_host ON task (host_id);
CREATE INDEX task_by_no_parent_state_method ON task (parent, state, method) WHERE parent IS NULL;

-- Rows to lock.
CREATE TABLE locks (
    name TEXT NOT NULL PRIMARY KEY
);
