-- Packages, builds, tags, targets, repositories, external repositories and groups.

CREATE TABLE package (
    id SERIAL PRIMARY KEY,
    name TEXT UNIQUE NOT NULL
);

CREATE TABLE volume (
    id SERIAL PRIMARY KEY,
    name TEXT UNIQUE NOT NULL
);

CREATE TABLE content_generator (
    id SERIAL PRIMARY KEY,
    name TEXT UNIQUE NOT NULL
);

-- Name, version and release are unique, whatever the epoch.
CREATE TABLE build (
    id SERIAL PRIMARY KEY,
    volume_id INTEGER NOT NULL REFERENCES volume(id),
    pkg_id INTEGER NOT NULL REFERENCES package(id) DEFERRABLE,
    version TEXT NOT NULL,
    release TEXT NOT NULL,
    epoch INTEGER,
    draft BOOLEAN NOT NULL DEFAULT FALSE,
    source TEXT,
--:postgres
    create_event INTEGER NOT NULL REFERENCES events(id) DEFAULT get_event(),
--:end
--:sqlite
    create_event INTEGER NOT NULL REFERENCES events(id),
--:end
    start_time TIMESTAMPTZ,
    completion_time TIMESTAMPTZ,
    promotion_time TIMESTAMPTZ,
    state INTEGER NOT NULL,
    task_id INTEGER REFERENCES task(id),
    owner INTEGER NOT NULL REFERENCES users(id),
    promoter INTEGER REFERENCES users(id),
    cg_id INTEGER REFERENCES content_generator(id),
    extra TEXT,
    CONSTRAINT build_pkg_ver_rel UNIQUE (pkg_id, version, release),
    CONSTRAINT draft_for_rpminfo UNIQUE (id, draft),
    CONSTRAINT completion_sane CHECK ((state = 0) = (completion_time IS NULL)),
    CONSTRAINT promotion_sane CHECK (NOT draft OR (promotion_time IS NULL AND promoter IS NULL)),
--:postgres
    CONSTRAINT draft_release_sane CHECK (NOT draft OR release ~ ('^.*,draft_' || id::TEXT || '$'))
--:end
--:sqlite
    CONSTRAINT draft_release_sane CHECK (
        NOT draft OR substr(release, -length(',draft_' || id)) = ',draft_' || id)
--:end
);
CREATE INDEX build_by_pkg_id ON build (pkg_id);
CREATE INDEX build_completion ON build (completion_time);

CREATE TABLE btype (
    id SERIAL PRIMARY KEY,
    name TEXT UNIQUE NOT NULL
);

CREATE TABLE build_types (
    build_id INTEGER NOT NULL REFERENCES build(id),
    btype_id INTEGER NOT NULL REFERENCES btype(id),
    PRIMARY KEY (build_id, btype_id)
);

CREATE TABLE build_reservations (
    build_id INTEGER NOT NULL REFERENCES build(id),
    token VARCHAR(64),
    created TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (build_id)
);
CREATE INDEX build_reservations_created ON build_reservations (created);

CREATE TABLE cg_users (
    cg_id INTEGER NOT NULL REFERENCES content_generator(id),
    user_id INTEGER NOT NULL REFERENCES users(id),
--:versioned cg_id, user_id,
    UNIQUE (cg_id, user_id, active)
);

CREATE TABLE tag (
    id SERIAL PRIMARY KEY,
    name TEXT UNIQUE NOT NULL
);

-- Versioned tables: a row counts from create_event until before revoke_event. active is TRUE while it
-- counts and NULL afterwards, so that unique conditions with it see the present rows only.
CREATE TABLE tag_inheritance (
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    parent_id INTEGER NOT NULL REFERENCES tag(id),
    priority INTEGER NOT NULL,
    maxdepth INTEGER,
    intransitive BOOLEAN NOT NULL DEFAULT FALSE,
    noconfig BOOLEAN NOT NULL DEFAULT FALSE,
    pkg_filter TEXT,
--:versioned tag_id, priority,
    UNIQUE (tag_id, priority, active),
    UNIQUE (tag_id, parent_id, active)
);
CREATE INDEX tag_inheritance_by_parent ON tag_inheritance (parent_id);

CREATE TABLE tag_config (
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    arches TEXT,
    perm_id INTEGER REFERENCES permissions(id),
    locked BOOLEAN NOT NULL DEFAULT FALSE,
    maven_support BOOLEAN NOT NULL DEFAULT FALSE,
    maven_include_all BOOLEAN NOT NULL DEFAULT FALSE,
--:versioned tag_id,
    UNIQUE (tag_id, active)
);

CREATE TABLE tag_extra (
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    key TEXT NOT NULL,
    value TEXT,
--:versioned tag_id, key,
    UNIQUE (tag_id, key, active)
);

-- Changes of a tag's content that no versioned table shows (volumes, external content, added RPMs).
CREATE TABLE tag_updates (
    id SERIAL PRIMARY KEY,
    tag_id INTEGER NOT NULL REFERENCES tag(id),
--:postgres
    update_event INTEGER NOT NULL REFERENCES events(id) DEFAULT get_event(),
--:end
--:sqlite
    update_event INTEGER NOT NULL REFERENCES events(id),
--:end
    updater_id INTEGER NOT NULL REFERENCES users(id),
    update_type INTEGER NOT NULL
);
CREATE INDEX tag_updates_by_tag ON tag_updates (tag_id);
CREATE INDEX tag_updates_by_event ON tag_updates (update_event);

CREATE TABLE build_target (
    id SERIAL PRIMARY KEY,
    name TEXT UNIQUE NOT NULL
);

CREATE TABLE build_target_config (
    build_target_id INTEGER NOT NULL REFERENCES build_target(id),
    build_tag INTEGER NOT NULL REFERENCES tag(id),
    dest_tag INTEGER NOT NULL REFERENCES tag(id),
--:versioned build_target_id,
    UNIQUE (build_target_id, active)
);

-- create_event is the event that the repository shows; begin_event and end_event bound the time in
-- which the tag looks the same.
CREATE TABLE repo (
    id SERIAL PRIMARY KEY,
    creation_time TIMESTAMPTZ DEFAULT NOW(),
--:postgres
    create_event INTEGER NOT NULL REFERENCES events(id) DEFAULT get_event(),
--:end
--:sqlite
    create_event INTEGER NOT NULL REFERENCES events(id),
--:end
    state_time TIMESTAMPTZ DEFAULT NOW(),
    begin_event INTEGER REFERENCES events(id),
    end_event INTEGER REFERENCES events(id),
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    state INTEGER,
    dist BOOLEAN DEFAULT FALSE,
    opts JSONB,
    custom_opts JSONB,
    task_id INTEGER REFERENCES task(id)
);

CREATE TABLE repo_queue (
    id SERIAL PRIMARY KEY,
    create_time TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    owner INTEGER NOT NULL REFERENCES users(id),
    priority INTEGER NOT NULL,
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    at_event INTEGER REFERENCES events(id),
    min_event INTEGER REFERENCES events(id),
    opts JSONB NOT NULL,
    update_time TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    active BOOLEAN NOT NULL DEFAULT TRUE,
    task_id INTEGER REFERENCES task(id),
    tries INTEGER NOT NULL DEFAULT 0,
    repo_id INTEGER REFERENCES repo(id),
    CONSTRAINT only_one_event CHECK (at_event IS NULL OR min_event IS NULL),
    CONSTRAINT active_sane CHECK (NOT active OR repo_id IS NULL)
);

CREATE TABLE external_repo (
    id SERIAL PRIMARY KEY,
    name TEXT UNIQUE NOT NULL
);

CREATE TABLE external_repo_config (
    external_repo_id INTEGER NOT NULL REFERENCES external_repo(id),
    url TEXT NOT NULL,
--:versioned external_repo_id,
    UNIQUE (external_repo_id, active)
);

CREATE TABLE external_repo_data (
    external_repo_id INTEGER NOT NULL REFERENCES external_repo(id),
    data JSONB,
--:versioned external_repo_id,
    UNIQUE (external_repo_id, active)
);

CREATE TABLE tag_external_repos (
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    external_repo_id INTEGER NOT NULL REFERENCES external_repo(id),
    priority INTEGER NOT NULL,
    merge_mode TEXT NOT NULL DEFAULT 'koji',
    arches TEXT,
--:versioned tag_id, priority,
    UNIQUE (tag_id, priority, active),
    UNIQUE (tag_id, external_repo_id, active)
);

-- Which builds a tag holds.
CREATE TABLE tag_listing (
    build_id INTEGER NOT NULL REFERENCES build(id),
    tag_id INTEGER NOT NULL REFERENCES tag(id),
--:versioned build_id, tag_id,
    UNIQUE (build_id, tag_id, active)
);
CREATE INDEX tag_listing_tag_id_key ON tag_listing (tag_id);

-- Which packages a tag may hold; a blocked one is not inherited either.
CREATE TABLE tag_packages (
    package_id INTEGER NOT NULL REFERENCES package(id),
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    blocked BOOLEAN NOT NULL DEFAULT FALSE,
    extra_arches TEXT,
--:versioned package_id, tag_id,
    UNIQUE (package_id, tag_id, active)
);
CREATE INDEX tag_packages_active_tag_id ON tag_packages (active, tag_id);
CREATE INDEX tag_packages_create_event ON tag_packages (create_event);
CREATE INDEX tag_packages_revoke_event ON tag_packages (revoke_event);

CREATE TABLE tag_package_owners (
    package_id INTEGER NOT NULL REFERENCES package(id),
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    owner INTEGER NOT NULL REFERENCES users(id),
--:versioned package_id, tag_id,
    UNIQUE (package_id, tag_id, active)
);

CREATE TABLE groups (
    id SERIAL PRIMARY KEY,
    name VARCHAR(50) UNIQUE NOT NULL
);

CREATE TABLE group_config (
    group_id INTEGER NOT NULL REFERENCES groups(id),
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    blocked BOOLEAN NOT NULL DEFAULT FALSE,
    exported BOOLEAN DEFAULT TRUE,
    display_name TEXT NOT NULL,
    is_default BOOLEAN,
    uservisible BOOLEAN,
    description TEXT,
    langonly TEXT,
    biarchonly BOOLEAN,
--:versioned group_id, tag_id,
    UNIQUE (group_id, tag_id, active)
);

CREATE TABLE group_req_listing (
    group_id INTEGER NOT NULL REFERENCES groups(id),
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    req_id INTEGER NOT NULL REFERENCES groups(id),
    blocked BOOLEAN NOT NULL DEFAULT FALSE,
    type VARCHAR(25),
    is_metapkg BOOLEAN NOT NULL DEFAULT FALSE,
--:versioned group_id, tag_id, req_id,
    UNIQUE (group_id, tag_id, req_id, active)
);

-- package is the name of an RPM, not of a source package.
CREATE TABLE group_package_listing (
    group_id INTEGER NOT NULL REFERENCES groups(id),
    tag_id INTEGER NOT NULL REFERENCES tag(id),
    package TEXT,
    blocked BOOLEAN NOT NULL DEFAULT FALSE,
    type VARCHAR(25) NOT NULL,
    basearchonly BOOLEAN,
    requires TEXT,
--:versioned group_id, tag_id, package,
    UNIQUE (group_id, tag_id, package, active)
);

CREATE TABLE build_notifications (
    id SERIAL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users(id),
    package_id INTEGER REFERENCES package(id),
    tag_id INTEGER REFERENCES tag(id),
    success_only BOOLEAN NOT NULL DEFAULT FALSE,
    email TEXT NOT NULL
);

CREATE TABLE build_notifications_block (
    id SERIAL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users(id),
    package_id INTEGER REFERENCES package(id),
    tag_id INTEGER REFERENCES tag(id)
);
