-- Toji's own tables and indexes; an older hub on the same database does not see them.

-- Gapless counters: 'outbox' is the number of its newest entry.
CREATE TABLE toji_sequence (
    name TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO toji_sequence (name, last) VALUES ('outbox', 0);

-- What is to be told to others, in the order of the commits.
CREATE TABLE toji_outbox (
    seq BIGINT NOT NULL PRIMARY KEY,
    created TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body JSONB NOT NULL
);

-- How far a named reader of the outbox has come.
CREATE TABLE toji_outbox_reader (
    name TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    updated TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

-- Repository metadata of an RPM, made when it was imported; data is zstd-compressed.
CREATE TABLE toji_rpm_fragment (
    rpm_id INTEGER NOT NULL REFERENCES rpminfo(id),
    sigkey TEXT NOT NULL,
    kind TEXT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (rpm_id, sigkey, kind)
);

-- Digests that are known of stored files.
CREATE TABLE toji_file (
    path TEXT NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    created TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE INDEX toji_file_sha256 ON toji_file (sha256);

-- Imports under way: what is placed where, so that a broken one is finished or undone.
CREATE TABLE toji_import (
    id SERIAL PRIMARY KEY,
    created TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    build_id INTEGER REFERENCES build(id),
    state TEXT NOT NULL,
    steps JSONB NOT NULL
);

INSERT INTO locks (name) VALUES ('toji-migrate') ON CONFLICT DO NOTHING;

CREATE INDEX toji_task_owner ON task (owner, id);
CREATE INDEX toji_task_channel ON task (channel_id, id);
CREATE INDEX toji_task_method ON task (method, id);
CREATE INDEX toji_task_completion ON task (completion_time);
CREATE INDEX toji_build_task ON build (task_id);
CREATE INDEX toji_build_owner ON build (owner);
CREATE INDEX toji_build_state ON build (state);
CREATE INDEX toji_build_cg ON build (cg_id);
CREATE INDEX toji_build_volume ON build (volume_id);
CREATE INDEX toji_build_create_event ON build (create_event);
CREATE INDEX toji_build_types_btype ON build_types (btype_id);
CREATE INDEX toji_rpminfo_buildroot ON rpminfo (buildroot_id);
CREATE INDEX toji_rpminfo_payloadhash ON rpminfo (payloadhash);
CREATE INDEX toji_rpmsigs_sigkey ON rpmsigs (sigkey);
CREATE INDEX toji_repo_tag_state ON repo (tag_id, state);
CREATE INDEX toji_repo_state ON repo (state);
CREATE INDEX toji_repo_task ON repo (task_id);
CREATE INDEX toji_repo_queue_active ON repo_queue (active, tag_id);
CREATE INDEX toji_repo_queue_task ON repo_queue (task_id);
CREATE INDEX toji_tag_listing_create ON tag_listing (create_event);
CREATE INDEX toji_tag_listing_revoke ON tag_listing (revoke_event);
CREATE INDEX toji_tag_listing_tag_active ON tag_listing (tag_id, active);
CREATE INDEX toji_tag_package_owners_tag ON tag_package_owners (tag_id, active);
CREATE INDEX toji_tag_package_owners_owner ON tag_package_owners (owner);
CREATE INDEX toji_tag_external_repos_repo ON tag_external_repos (external_repo_id);
CREATE INDEX toji_build_target_config_build_tag ON build_target_config (build_tag);
CREATE INDEX toji_build_target_config_dest_tag ON build_target_config (dest_tag);
CREATE INDEX toji_group_config_tag ON group_config (tag_id, active);
CREATE INDEX toji_group_req_listing_tag ON group_req_listing (tag_id, active);
CREATE INDEX toji_group_package_listing_tag ON group_package_listing (tag_id, active);
CREATE INDEX toji_host_user ON host (user_id);
CREATE INDEX toji_host_channels_channel ON host_channels (channel_id, active);
CREATE INDEX toji_scheduler_log_task ON scheduler_log_messages (task_id);
CREATE INDEX toji_scheduler_log_host ON scheduler_log_messages (host_id);
CREATE INDEX toji_scheduler_runs_active ON scheduler_task_runs (active);
CREATE INDEX toji_notifications_user ON build_notifications (user_id);
CREATE INDEX toji_notifications_block_user ON build_notifications_block (user_id);

--:postgres
CREATE FUNCTION toji_ago(double precision) RETURNS TIMESTAMPTZ LANGUAGE SQL STABLE AS
    'SELECT now() - $1 * interval ''1 second''';
--:end
