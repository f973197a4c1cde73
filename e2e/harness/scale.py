"""Databases of a system's size: 50,000 builds and 200,000 tasks, or that many times over, made by the database itself."""

import sqlite3
import time

# Numbers up to this one belong to what the server has made by itself.
FIRST = 1000
# What the measured answers consist of does not grow: a chain of five tags with a thousand builds each.
CHAIN, IN_EACH = 5, 1000

# Table, number of rows, whether it grows with the system, columns, and their values for the row `i`, which begins with 1.
# B is FIRST; P, T and R are the numbers of packages, tags and builds.
ROWS = [
    ("events", 100_000, True, "id, time", "B + i, {moment}"),
    ("users", 300, False, "id, name, status, usertype", "B + i, 'user' || i, 0, 0"),
    ("host", 50, False, "id, user_id, name", "B + i, B + i, 'host' || i"),
    ("host_config", 50, False, "host_id, arches, create_event, creator_id, active", "B + i, 'x86_64', B + i, B + 1, {true}"),
    ("package", 3_000, True, "id, name", "B + i, 'package' || i"),
    ("tag", 2_000, True, "id, name", "B + i, 'tag' || i"),
    ("tag_config", 2_000, True, "tag_id, arches, create_event, creator_id, active", "B + i, 'x86_64', B + i, B + 1, {true}"),
    ("tag_inheritance", CHAIN - 1, False, "tag_id, parent_id, priority, pkg_filter, create_event, creator_id, active",
     "B + i, B + i + 1, 0, '', B + i, B + 1, {true}"),
    ("task", 200_000, True, "id, state, create_time, completion_time, channel_id, host_id, parent, owner, method, request, arch, weight",
     "B + i, 2, {moment}, {moment}, i % 8 + 1, B + i % 50 + 1, CASE WHEN i % 4 = 0 AND i > 40 THEN B + i - i % 40 - 1 ELSE NULL END, B + i % 300 + 1,"
     " 'method' || (i % 40), {request}, 'noarch', 1.0"),
    ("build", 50_000, True, "id, volume_id, pkg_id, version, release, draft, create_event, start_time, completion_time, state, task_id, owner",
     "B + i, 0, B + CASE WHEN i <= 5000 THEN i % 3000 ELSE i % P END + 1, i || '', '1', {false}, B + i, {moment}, {moment}, 1, B + i, B + i % 300 + 1"),
    ("build_types", 50_000, True, "build_id, btype_id", "B + i, 1"),
    ("tag_listing", CHAIN * IN_EACH, False, "build_id, tag_id, create_event, creator_id, active",
     "B + i, B + (i - 1) / 1000 + 1, B + i, B + 1, {true}"),
    ("tag_listing", 15_000, True, "build_id, tag_id, create_event, creator_id, active",
     "B + 10000 + i, B + 10 + i % (T - 10), B + 20000 + i, B + 1, {true}"),
    ("tag_packages", 3_000, False, "package_id, tag_id, blocked, create_event, creator_id, active", "B + i, B + 5, {false}, B + i, B + 1, {true}"),
    ("tag_package_owners", 3_000, False, "package_id, tag_id, owner, create_event, creator_id, active", "B + i, B + 5, B + i % 300 + 1, B + i, B + 1, {true}"),
    ("tag_packages", 20_000, True, "package_id, tag_id, blocked, create_event, creator_id, active",
     "B + i % P + 1, B + 10 + (i * 7) % (T - 10), {false}, B + 10000 + i, B + 1, {true}"),
    ("repo", 2_000, True, "id, create_event, tag_id, state", "B + i, B + i, B + i % 2000 + 1, 3"),
    ("buildroot", 10_000, True, "id, br_type", "B + i, 0"),
    ("rpminfo", 100_000, True, "id, build_id, buildroot_id, name, version, release, arch, draft, external_repo_id, payloadhash, size, buildtime, metadata_only",
     "B + i, B + i % R + 1, B + i % 10000 + 1, 'rpm' || i, '1', '1', 'x86_64', {false}, 0, 'hash' || i, 1, 1, {false}"),
    ("buildroot_listing", 50_000, True, "buildroot_id, rpm_id, is_update", "B + i % 10000 + 1, B + i, {false}"),
    ("sessions", 50_000, True, "id, user_id, expired, closed, start_time, update_time", "B + i, B + i % 300 + 1, {true}, {true}, {moment}, {moment}"),
    ("scheduler_task_runs", 50_000, True, "id, task_id, host_id, active, create_time", "B + i, B + i, B + i % 50 + 1, {false}, {moment}"),
]

REQUEST = ("<?xml version=''1.0''?><methodCall><methodName>x</methodName><params><param><value><int>7</int></value></param>"
           "</params></methodCall>")


def statements(times, series, **words):
    """The statements that fill a database, with the engine's words put in."""
    numbers = {"P": 3000 * times, "T": 2000 * times, "R": 50_000 * times}
    for table, count, grows, columns, values in ROWS:
        count *= times if grows else 1
        for word, text in {**words, "request": f"'{REQUEST}'"}.items():
            values = values.replace("{" + word + "}", text)
        for name, number in {"B": FIRST, **numbers}.items():
            values = " ".join(values.replace(f"{name} ", f"{number} ").split()).replace(f" {name})", f" {number})")
        # Pairs that come twice are left out.
        yield table, f"INSERT INTO {table} ({columns}) SELECT {values} FROM {series.format(count)} WHERE true ON CONFLICT DO NOTHING"


def fill_postgres(postgres, name, times=1):
    """Fills a migrated PostgreSQL database; returns the seconds that it took."""
    begin = time.monotonic()
    words = {"moment": "now() - interval '1 second' * (30000000 - i)", "true": "TRUE", "false": "FALSE"}
    # References are right by construction: checking each would take most of the time.
    script = ["SET session_replication_role = replica"]
    script += [text for _, text in statements(times, "generate_series(1, {}) AS n(i)", **words)]
    for table in sorted({table for table, *_, columns, _ in ROWS if columns.startswith("id,")}):
        script.append(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")
    postgres.psql(name, ";\n".join(script))
    # Otherwise the server does this while calls are measured.
    postgres.psql(name, "VACUUM ANALYZE")
    postgres.psql(name, "CHECKPOINT")
    return time.monotonic() - begin


def fill_sqlite(path, times=1):
    """Fills a migrated file that no server has open; returns the seconds that it took."""
    begin = time.monotonic()
    words = {"moment": "datetime('now', (i - 30000000) || ' seconds') || '.000000+00:00'", "true": "TRUE", "false": "FALSE"}
    link = sqlite3.connect(path, isolation_level=None)
    try:
        for name in ("NOW", "clock_timestamp"):
            link.create_function(name, 0, lambda: None)
        link.execute("PRAGMA synchronous = OFF")
        link.execute("PRAGMA cache_size = -400000")
        link.execute("BEGIN")
        series = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n)"
        for _, text in statements(times, series, **words):
            link.execute(text)
        link.execute("COMMIT")
        link.execute("ANALYZE")
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        link.close()
    return time.monotonic() - begin
