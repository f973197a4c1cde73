-- Buildroots, RPMs and their signatures, archives of every kind, the scheduler's tables.

CREATE TABLE buildroot (
    id SERIAL PRIMARY KEY,
    br_type INTEGER NOT NULL,
    cg_id INTEGER REFERENCES content_generator(id),
    cg_version TEXT,
    container_type TEXT,
    container_arch TEXT,
    host_os TEXT,
    host_arch TEXT,
    extra TEXT,
    CONSTRAINT cg_sane CHECK ((cg_id IS NULL) = (cg_version IS NULL)),
    CONSTRAINT container_sane CHECK ((container_type IS NULL) = (container_arch IS NULL))
);

CREATE TABLE standard_buildroot (
    buildroot_id INTEGER NOT NULL PRIMARY KEY REFERENCES buildroot(id),
    host_id INTEGER NOT NULL REFERENCES host(id),
    repo_id INTEGER NOT NULL REFERENCES repo(id),
    task_id INTEGER NOT NULL REFERENCES task(id),
--:postgres
    create_event INTEGER NOT NULL REFERENCES events(id) DEFAULT get_event(),
--:end
--:sqlite
    create_event INTEGER NOT NULL REFERENCES events(id),
--:end
    retire_event INTEGER,
    state INTEGER
);
CREATE INDEX standard_buildroot_host_id ON standard_buildroot (host_id);
CREATE INDEX standard_buildroot_repo_id ON standard_buildroot (repo_id);
CREATE INDEX standard_buildroot_task_id ON standard_buildroot (task_id);
CREATE INDEX standard_buildroot_create_event ON standard_buildroot (create_event);
CREATE INDEX standard_buildroot_retire_event ON standard_buildroot (retire_event);

CREATE TABLE buildroot_tools_info (
    buildroot_id INTEGER NOT NULL REFERENCES buildroot(id),
    tool TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (buildroot_id, tool)
);

-- draft repeats the build's; external_repo_id is 0 for RPMs of this system.
CREATE TABLE rpminfo (
    id SERIAL PRIMARY KEY,
    build_id INTEGER,
    buildroot_id INTEGER REFERENCES buildroot(id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    release TEXT NOT NULL,
    epoch INTEGER,
    arch VARCHAR(16) NOT NULL,
    draft BOOLEAN,
    external_repo_id INTEGER NOT NULL REFERENCES external_repo(id),
    payloadhash TEXT NOT NULL,
    size BIGINT NOT NULL,
    buildtime BIGINT NOT NULL,
    metadata_only BOOLEAN NOT NULL DEFAULT FALSE,
    extra TEXT,
    sigmd5 TEXT,
    sha1header TEXT,
    sha256header TEXT,
    sha3_256header TEXT,
    FOREIGN KEY (build_id, draft) REFERENCES build (id, draft) ON UPDATE CASCADE,
    CONSTRAINT build_id_draft_external_repo_id_sane CHECK (
        (draft IS NULL AND build_id IS NULL AND external_repo_id <> 0)
        OR (draft IS NOT NULL AND build_id IS NOT NULL AND external_repo_id = 0))
);
CREATE INDEX rpminfo_build ON rpminfo (build_id);
CREATE UNIQUE INDEX rpminfo_unique_nvra_not_draft
    ON rpminfo (name, version, release, arch, external_repo_id) WHERE draft IS NOT TRUE;
CREATE INDEX rpminfo_nvra ON rpminfo (name, version, release, arch, external_repo_id);
--:postgres
CREATE INDEX rpminfo_filename
    ON rpminfo ((name || '-' || version || '-' || release || '.' || arch || '.rpm')) INCLUDE (id);
--:end
--:sqlite
CREATE INDEX rpminfo_filename
    ON rpminfo (name || '-' || version || '-' || release || '.' || arch || '.rpm');
--:end
CREATE INDEX rpminfo_sigmd5 ON rpminfo (sigmd5);
CREATE INDEX rpminfo_sha1header ON rpminfo (sha1header);
CREATE INDEX rpminfo_sha256header ON rpminfo (sha256header);
CREATE INDEX rpminfo_sha3_256header ON rpminfo (sha3_256header);

-- sigkey is a free label of the signing key; sighash the digest of the signature header.
CREATE TABLE rpmsigs (
    rpm_id INTEGER NOT NULL REFERENCES rpminfo(id),
    sigkey TEXT NOT NULL,
    sighash TEXT NOT NULL,
    CONSTRAINT rpmsigs_no_resign UNIQUE (rpm_id, sigkey)
);

CREATE TABLE rpm_checksum (
    rpm_id INTEGER NOT NULL REFERENCES rpminfo(id),
    sigkey TEXT NOT NULL,
    checksum TEXT NOT NULL UNIQUE,
    checksum_type SMALLINT NOT NULL,
    PRIMARY KEY (rpm_id, sigkey, checksum_type)
);
CREATE INDEX rpm_checksum_rpm_id ON rpm_checksum (rpm_id);

CREATE TABLE buildroot_listing (
    buildroot_id INTEGER NOT NULL REFERENCES buildroot(id),
    rpm_id INTEGER NOT NULL REFERENCES rpminfo(id),
    is_update BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (buildroot_id, rpm_id)
);
CREATE INDEX buildroot_listing_rpms ON buildroot_listing (rpm_id);

-- What a build of a certain type adds.
CREATE TABLE maven_builds (
    build_id INTEGER NOT NULL PRIMARY KEY REFERENCES build(id),
    group_id TEXT NOT NULL,
    artifact_id TEXT NOT NULL,
    version TEXT NOT NULL
);

CREATE TABLE win_builds (
    build_id INTEGER NOT NULL PRIMARY KEY REFERENCES build(id),
    platform TEXT NOT NULL
);

CREATE TABLE image_builds (
    build_id INTEGER NOT NULL PRIMARY KEY REFERENCES build(id)
);

-- Any built file that is not an RPM.
CREATE TABLE archivetypes (
    id SERIAL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    extensions TEXT NOT NULL,
    compression_type TEXT
);

CREATE TABLE archiveinfo (
    id SERIAL PRIMARY KEY,
    type_id INTEGER NOT NULL REFERENCES archivetypes(id),
    btype_id INTEGER REFERENCES btype(id),
    build_id INTEGER NOT NULL REFERENCES build(id),
    buildroot_id INTEGER REFERENCES buildroot(id),
    filename TEXT NOT NULL,
    size BIGINT NOT NULL,
    checksum TEXT NOT NULL,
    checksum_type INTEGER NOT NULL,
    metadata_only BOOLEAN NOT NULL DEFAULT FALSE,
    extra TEXT
);
CREATE INDEX archiveinfo_build_idx ON archiveinfo (build_id);
CREATE INDEX archiveinfo_buildroot_idx ON archiveinfo (buildroot_id);
CREATE INDEX archiveinfo_type_idx ON archiveinfo (type_id);
CREATE INDEX archiveinfo_filename_idx ON archiveinfo (filename);

CREATE TABLE maven_archives (
    archive_id INTEGER NOT NULL PRIMARY KEY REFERENCES archiveinfo(id),
    group_id TEXT NOT NULL,
    artifact_id TEXT NOT NULL,
    version TEXT NOT NULL
);

CREATE TABLE image_archives (
    archive_id INTEGER NOT NULL PRIMARY KEY REFERENCES archiveinfo(id),
    arch VARCHAR(16) NOT NULL
);

CREATE TABLE win_archives (
    archive_id INTEGER NOT NULL PRIMARY KEY REFERENCES archiveinfo(id),
    relpath TEXT NOT NULL,
    platforms TEXT NOT NULL,
    flags TEXT
);

-- What an archive contains.
CREATE TABLE archive_rpm_components (
    archive_id INTEGER NOT NULL REFERENCES archiveinfo(id),
    rpm_id INTEGER NOT NULL REFERENCES rpminfo(id),
    UNIQUE (archive_id, rpm_id)
);
CREATE INDEX rpm_components_idx ON archive_rpm_components (rpm_id);

CREATE TABLE archive_components (
    archive_id INTEGER NOT NULL REFERENCES archiveinfo(id),
    component_id INTEGER NOT NULL REFERENCES archiveinfo(id),
    UNIQUE (archive_id, component_id)
);
CREATE INDEX archive_components_idx ON archive_components (component_id);

CREATE TABLE buildroot_archives (
    buildroot_id INTEGER NOT NULL REFERENCES buildroot(id),
    archive_id INTEGER NOT NULL REFERENCES archiveinfo(id),
    project_dep BOOLEAN NOT NULL,
    PRIMARY KEY (buildroot_id, archive_id)
);
CREATE INDEX buildroot_archives_archive_idx ON buildroot_archives (archive_id);

-- Messages of the message bus plugin of other hubs on this database.
CREATE TABLE proton_queue (
    id SERIAL PRIMARY KEY,
    created_ts TIMESTAMPTZ DEFAULT NOW(),
    address TEXT NOT NULL,
    props JSON NOT NULL,
    body JSON NOT NULL
);

CREATE TABLE scheduler_task_runs (
    id SERIAL PRIMARY KEY,
    task_id INTEGER NOT NULL REFERENCES task(id),
    host_id INTEGER NOT NULL REFERENCES host(id),
    active BOOLEAN NOT NULL DEFAULT TRUE,
    create_time TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE INDEX scheduler_task_runs_task ON scheduler_task_runs (task_id);
CREATE INDEX scheduler_task_runs_host ON scheduler_task_runs (host_id);
CREATE INDEX scheduler_task_runs_create_time ON scheduler_task_runs (create_time);

CREATE TABLE scheduler_host_data (
    host_id INTEGER PRIMARY KEY REFERENCES host(id),
    data JSONB
);

CREATE TABLE scheduler_sys_data (
    name TEXT NOT NULL PRIMARY KEY,
    data JSONB
);

CREATE TABLE scheduler_task_refusals (
    id SERIAL PRIMARY KEY,
    task_id INTEGER NOT NULL REFERENCES task(id),
    host_id INTEGER NOT NULL REFERENCES host(id),
    by_host BOOLEAN NOT NULL,
    soft BOOLEAN NOT NULL DEFAULT FALSE,
    msg TEXT,
    time TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    UNIQUE (task_id, host_id)
);

CREATE TABLE scheduler_log_messages (
    id SERIAL PRIMARY KEY,
    task_id INTEGER REFERENCES task(id),
    host_id INTEGER REFERENCES host(id),
    msg_time TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    msg TEXT NOT NULL
);
