CREATE TABLE ledger (
    format INTEGER NOT NULL
);
CREATE TABLE runs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    amanda_config TEXT NOT NULL,
    timestamp VARCHAR(14),
    kind VARCHAR(20) NOT NULL,
    hosts TEXT NOT NULL,
    pid INTEGER,
    pid_started BIGINT,
    boot_id TEXT,
    begun_at VARCHAR(27) NOT NULL,
    ended_at VARCHAR(27),
    exit_status INTEGER,
    is_clean BOOLEAN NOT NULL,
    labels TEXT NOT NULL,
    report TEXT,
    remark TEXT NOT NULL,
    UNIQUE (amanda_config, timestamp)
);
CREATE INDEX ix_runs_begun_at ON runs (begun_at);
CREATE TABLE protections (
    amanda_config TEXT NOT NULL,
    host TEXT NOT NULL,
    disk TEXT NOT NULL,
    timestamp VARCHAR(14) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    level INTEGER NOT NULL,
    made_at VARCHAR(27),
    dumped_at VARCHAR(27),
    PRIMARY KEY (amanda_config, host, disk)
);
CREATE TABLE sessions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    client TEXT NOT NULL,
    amanda_config TEXT NOT NULL,
    begun_at VARCHAR(27) NOT NULL,
    seen_at VARCHAR(27) NOT NULL,
    ended_at VARCHAR(27),
    how TEXT NOT NULL
);
CREATE INDEX ix_sessions_client ON sessions (client);
CREATE TABLE machines (
    client TEXT NOT NULL,
    lineage INTEGER NOT NULL,
    ticket TEXT NOT NULL,
    previous TEXT NOT NULL,
    is_written BOOLEAN NOT NULL,
    host_name TEXT NOT NULL,
    seen_at VARCHAR(27) NOT NULL,
    disputed_at VARCHAR(27),
    other_host_name TEXT NOT NULL,
    noted TEXT NOT NULL,
    PRIMARY KEY (client)
);
CREATE TABLE logs (
    amanda_config TEXT NOT NULL,
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    taken_at VARCHAR(27) NOT NULL,
    PRIMARY KEY (amanda_config, name)
);
CREATE TABLE restores (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    amanda_config TEXT NOT NULL,
    client TEXT NOT NULL,
    who TEXT NOT NULL,
    disk TEXT NOT NULL,
    paths TEXT NOT NULL,
    more_paths INTEGER NOT NULL,
    run VARCHAR(14) NOT NULL,
    begun_at VARCHAR(27) NOT NULL,
    pid INTEGER NOT NULL,
    pid_started BIGINT NOT NULL,
    boot_id TEXT NOT NULL,
    ended_at VARCHAR(27),
    files BIGINT NOT NULL,
    size BIGINT NOT NULL,
    outcome TEXT NOT NULL
);
CREATE INDEX ix_restores_client ON restores (client);
CREATE INDEX ix_restores_begun_at ON restores (begun_at);
CREATE TABLE proofs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    amanda_config TEXT NOT NULL,
    host TEXT NOT NULL,
    disk TEXT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    proved_at VARCHAR(27) NOT NULL,
    timestamp VARCHAR(14) NOT NULL,
    level INTEGER,
    is_good BOOLEAN NOT NULL,
    what TEXT NOT NULL,
    size BIGINT NOT NULL
);
CREATE INDEX ix_proofs_proved_at ON proofs (proved_at);
CREATE INDEX proofs_of_a_disk ON proofs (amanda_config, host, disk);
CREATE TABLE requests (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    client TEXT NOT NULL,
    amanda_config TEXT NOT NULL,
    submitted_at VARCHAR(27) NOT NULL,
    state VARCHAR(20) NOT NULL,
    run_id INTEGER,
    ended_at VARCHAR(27),
    outcome TEXT NOT NULL,
    machine INTEGER,
    FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE INDEX ix_requests_run_id ON requests (run_id);
CREATE UNIQUE INDEX one_open_request_a_client ON requests (client) WHERE state IN ('queued', 'running');
CREATE INDEX ix_requests_client ON requests (client);
CREATE TABLE verdicts (
    amanda_config TEXT NOT NULL,
    host TEXT NOT NULL,
    disk TEXT NOT NULL,
    timestamp VARCHAR(14) NOT NULL,
    run_id INTEGER NOT NULL,
    flushed_in INTEGER,
    state VARCHAR(20) NOT NULL,
    level INTEGER,
    reason TEXT NOT NULL,
    kilobytes BIGINT NOT NULL,
    is_strange BOOLEAN NOT NULL,
    has_begun BOOLEAN NOT NULL,
    has_failed_since BOOLEAN NOT NULL,
    dumped_at VARCHAR(27) NOT NULL,
    filters TEXT,
    machine INTEGER,
    PRIMARY KEY (amanda_config, host, disk, timestamp),
    FOREIGN KEY(run_id) REFERENCES runs (id),
    FOREIGN KEY(flushed_in) REFERENCES runs (id)
);
CREATE INDEX ix_verdicts_flushed_in ON verdicts (flushed_in);
CREATE INDEX ix_verdicts_run_id ON verdicts (run_id);
INSERT INTO ledger (format) VALUES (2);
