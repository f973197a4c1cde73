-- Who made the signatures in a signature header, as its packets name them; a row for each. A row counts only while
-- rpmsigs has its header (the same sighash).
CREATE TABLE toji_rpmsig (
    rpm_id INTEGER NOT NULL REFERENCES rpminfo(id) ON DELETE CASCADE,
    sigkey TEXT NOT NULL,
    number INTEGER NOT NULL,
    sighash TEXT NOT NULL,
    slot TEXT NOT NULL,
    version INTEGER,
    algorithm INTEGER,
    hash INTEGER,
    created BIGINT,
    key_id TEXT,
    fingerprint TEXT,
    PRIMARY KEY (rpm_id, sigkey, number)
);
CREATE INDEX toji_rpmsig_key_id ON toji_rpmsig (key_id);
CREATE INDEX toji_rpmsig_fingerprint ON toji_rpmsig (fingerprint);

-- Public keys that signatures are verified with; data is the certificate.
CREATE TABLE toji_key (
    id SERIAL PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    data BYTEA NOT NULL,
    added TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    user_id INTEGER NOT NULL REFERENCES users(id)
);

-- The key itself and its subkeys that may sign.
CREATE TABLE toji_key_part (
    key INTEGER NOT NULL REFERENCES toji_key(id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    key_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    PRIMARY KEY (key, fingerprint)
);
CREATE INDEX toji_key_part_key_id ON toji_key_part (key_id);
CREATE INDEX toji_key_part_fingerprint ON toji_key_part (fingerprint);

-- Packages that a signer is to sign. lease is when another signer may take it; sigkey what the signature was filed under.
CREATE TABLE toji_signing (
    id SERIAL PRIMARY KEY,
    rpm_id INTEGER NOT NULL REFERENCES rpminfo(id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users(id),
    created TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    signer INTEGER REFERENCES users(id),
    lease TIMESTAMPTZ,
    turn INTEGER NOT NULL DEFAULT 0,
    ended TIMESTAMPTZ,
    label TEXT,
    sigkey TEXT,
    reason TEXT
);
CREATE INDEX toji_signing_rpm ON toji_signing (rpm_id);
CREATE INDEX toji_signing_state ON toji_signing (state, id);
