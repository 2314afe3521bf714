-- Format 1. Times are UTC milliseconds since 1970, money is whole pico-dollars, paths are raw bytes.
-- Facts: what files, hooks and people said. Derived columns are marked; each can be computed again from facts.

CREATE TABLE project (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE               -- real path of the main worktree
) STRICT;

CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,                     -- the task id that people use
    title TEXT,
    enhancement TEXT,
    agent TEXT,
    task_type TEXT,                         -- what kind of work its queue says it is
    created INTEGER,                        -- set for tasks made by `cmat task new`
    ruled INTEGER NOT NULL DEFAULT 0,       -- 1: nobody named it, a rule found it in a branch
    UNIQUE (project, name)
) STRICT;

CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,              -- the session id of the transcript
    project INTEGER REFERENCES project (id),
    worktree BLOB,                          -- the project folder that the session ran in
    first_own_line INTEGER,                 -- earliest line without uuid
    first_line INTEGER,                     -- derived: the earliest of those, and of lines whose uuid no other session has
    ended INTEGER,                          -- last SessionEnd seen
    end_reason TEXT,
    begun_with TEXT,                        -- the model that its client began with last, as the client names it
    begun_at INTEGER,                       -- when that was
    partly_forgotten INTEGER NOT NULL DEFAULT 0, -- 1: a person had something of it forgotten
    unaccounted INTEGER NOT NULL DEFAULT 0  -- derived: 1: the client's own count does not fit, see `remainder.rs`
) STRICT;

CREATE TABLE session_end (                  -- that a run of a session ended
    session INTEGER NOT NULL REFERENCES session (id),
    at INTEGER NOT NULL,
    PRIMARY KEY (session, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    session INTEGER NOT NULL REFERENCES session (id),
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,              -- nanoseconds
    offset INTEGER NOT NULL,                -- bytes read, always a line's end
    line INTEGER NOT NULL,                  -- lines read
    head BLOB NOT NULL,                     -- hash of the first bytes, see `cursor.rs`
    tail BLOB NOT NULL,                     -- hash of the bytes before the offset
    last_time INTEGER,                      -- of the last line read that states one
    unanswered INTEGER NOT NULL,            -- 1: the last prompt has no answer in the file
    skipped INTEGER NOT NULL                -- lines that could not be read
) STRICT;
CREATE INDEX lacking_file ON file (session) WHERE unanswered OR skipped > 0;

CREATE TABLE skipped_line (
    file INTEGER NOT NULL REFERENCES file (id),
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (file, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    key_kind INTEGER NOT NULL,              -- 0 message id, 1 line uuid, 2 line hash, 3 record (see `record.rs`);
                                            -- derived: 4 remainder (see `remainder.rs`)
    request_id TEXT,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    flags TEXT NOT NULL,                    -- JSON of the greatest copy
    complete INTEGER NOT NULL,
    conflicting INTEGER NOT NULL,
    at INTEGER NOT NULL,
    sidechain INTEGER NOT NULL,
    origin_session INTEGER NOT NULL,        -- of a session; unchecked, since forgetting one would read every request
    branch TEXT,
    cwd TEXT,
    agent_id TEXT,
    agent TEXT,
    skill TEXT,
    mcp_server TEXT,
    client_version TEXT,
    source TEXT,                            -- who told of it, such as `token-csv`; NULL: a transcript
    operation TEXT,                         -- what it was for, as that source says
    requests INTEGER NOT NULL DEFAULT 1,    -- how many requests it stands for
    cost_reported INTEGER,                  -- what that source says it costs
    shared INTEGER NOT NULL DEFAULT 0,      -- 1: several sessions show it, or a copy names another session
    file INTEGER,                           -- of its owner: the only one that shows it, and the next three are of it;
                                            -- NULL: what shows it is in `other_appearance`. Unchecked, as above
    uuid TEXT,
    request_session TEXT,
    lines INTEGER,
    owner INTEGER NOT NULL REFERENCES session (id), -- derived
    project INTEGER REFERENCES project (id),-- derived: the owner's
    task INTEGER REFERENCES task (id),      -- derived
    enhancement TEXT,                       -- derived: of the binding, else the rule; the task's own goes before it
    bound_agent TEXT,                       -- derived: of the binding; the lines' own goes before it
    tags TEXT,                              -- derived: of the binding; JSON object of texts
    user TEXT,                              -- derived: of the binding, else who recorded it
    command TEXT,                           -- derived: the slash command that the last prompt was
    ticket TEXT,                            -- derived: from the branch, by the rule
    pr TEXT,                                -- derived: pull request, `owner/repository#42` or `#42`
    commit_hash TEXT,                       -- derived: the first commit on the branch after it
    UNIQUE (key, key_kind)
) STRICT;
CREATE INDEX request_by_task ON request (task, owner) WHERE task IS NOT NULL;
CREATE INDEX request_by_owner ON request (owner, at, file);
CREATE INDEX request_by_time ON request (at);
CREATE INDEX request_of_no_transcript ON request (owner, key_kind) WHERE key_kind > 2;
CREATE INDEX request_outside_tasks ON request (enhancement) WHERE enhancement IS NOT NULL AND task IS NULL;

-- That a request stands in a file of a session. Most requests stand in one file only: those have no row of their own
-- for it, which would cost more than all else that is stored of them.
CREATE TABLE other_appearance (
    request INTEGER NOT NULL REFERENCES request (id),
    session INTEGER NOT NULL REFERENCES session (id),
    file INTEGER NOT NULL,                  -- unchecked, for the same reason
    uuid TEXT,
    request_session TEXT,
    at INTEGER NOT NULL,                    -- of the smallest copy in this file
    lines INTEGER NOT NULL,
    PRIMARY KEY (request, session, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX other_appearance_by_session ON other_appearance (session, at);
CREATE INDEX other_appearance_by_uuid ON other_appearance (uuid, session);
CREATE INDEX other_appearance_naming ON other_appearance (request, request_session) WHERE request_session IS NOT NULL;

CREATE VIEW appearance AS
    SELECT id AS request, owner AS session, file, uuid, request_session, at, lines FROM request WHERE file IS NOT NULL
    UNION ALL SELECT request, session, file, uuid, request_session, at, lines FROM other_appearance;

CREATE TABLE prompt (                       -- that a person asked for something, and by which command
    session INTEGER NOT NULL REFERENCES session (id),
    at INTEGER NOT NULL,
    command TEXT,                           -- name of the slash command
    PRIMARY KEY (session, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE pr_link (                      -- that a session opened a pull request, or worked on one
    session INTEGER NOT NULL REFERENCES session (id),
    at INTEGER NOT NULL,
    pr TEXT NOT NULL,
    branch TEXT,                            -- derived: the one the session was on then
    PRIMARY KEY (session, at, pr)
) STRICT, WITHOUT ROWID;

CREATE INDEX pr_link_by_branch ON pr_link (branch, at, pr) WHERE branch IS NOT NULL;

CREATE TABLE session_branch (               -- derived: on which branches the requests of a session were made; of one
    branch TEXT NOT NULL,                   -- that went to another owner, the first one keeps its row
    session INTEGER NOT NULL REFERENCES session (id),
    PRIMARY KEY (branch, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_link (                    -- that a person said which pull request a task went into
    task INTEGER NOT NULL REFERENCES task (id),
    said INTEGER NOT NULL,
    pr TEXT NOT NULL,
    PRIMARY KEY (task, said, pr)
) STRICT, WITHOUT ROWID;

CREATE TABLE branch_commit (                -- what git listed of a branch when it was asked last
    project INTEGER NOT NULL REFERENCES project (id),
    branch TEXT NOT NULL,
    at INTEGER NOT NULL,                    -- when its author wrote it
    hash TEXT NOT NULL,
    PRIMARY KEY (project, branch, at, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE client_count (                 -- what the client itself had counted for a session
    session INTEGER NOT NULL REFERENCES session (id),
    at INTEGER NOT NULL,
    models TEXT NOT NULL,                   -- JSON: tokens and searches by model
    cost INTEGER,                           -- what the client takes it to cost
    PRIMARY KEY (session, at, models)
) STRICT, WITHOUT ROWID;

CREATE TABLE stale_remainder (              -- sessions to be compared with their client's count again
    session INTEGER PRIMARY KEY REFERENCES session (id)
) STRICT;

CREATE TABLE binding (
    id INTEGER PRIMARY KEY,
    session INTEGER REFERENCES session (id),-- NULL: binds the project, or one branch of it
    project INTEGER REFERENCES project (id),
    branch TEXT,
    worktree BLOB,                          -- of a project's: path of the worktree that it was said in
    task INTEGER REFERENCES task (id),
    enhancement TEXT,
    agent TEXT,
    tags TEXT,                              -- JSON object
    user TEXT,
    begins INTEGER,                         -- holds for nothing before; a session's also see `attribution::follow`
    said INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT;
CREATE INDEX binding_by_session ON binding (session);
CREATE INDEX binding_by_task ON binding (task, enhancement) WHERE task IS NOT NULL;
CREATE INDEX binding_by_project ON binding (project) WHERE session IS NULL;

CREATE TABLE price (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,              -- of the JSON
    json TEXT NOT NULL                      -- the whole row that charges were made with
) STRICT;

CREATE TABLE charge (                       -- derived
    request INTEGER NOT NULL REFERENCES request (id),
    part INTEGER NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,                    -- the price row's id, else the model as the request names it
    price INTEGER REFERENCES price (id),    -- NULL: unpriced, or not billed
    unpriced TEXT,                          -- why there is no cost; NULL: there is one
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    web_searches INTEGER NOT NULL,
    cost INTEGER NOT NULL,                  -- the sum of the six, 0 where unpriced
    dearer INTEGER NOT NULL,                -- the same, or by the user's own prices where those are dearer
    cost_input INTEGER NOT NULL,
    cost_output INTEGER NOT NULL,
    cost_cache_write_5m INTEGER NOT NULL,
    cost_cache_write_1h INTEGER NOT NULL,
    cost_cache_read INTEGER NOT NULL,
    cost_web_search INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    PRIMARY KEY (request, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE share (                        -- derived: what a session adds to a task, by model
    task INTEGER NOT NULL REFERENCES task (id),
    session INTEGER NOT NULL REFERENCES session (id),
    model TEXT NOT NULL,
    n_first INTEGER NOT NULL,               -- requests whose first charge is the model's
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    totals TEXT NOT NULL,                   -- JSON
    PRIMARY KEY (task, session, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE stale_share (                  -- shares to be summed up before they are told
    task INTEGER NOT NULL REFERENCES task (id),
    session INTEGER NOT NULL REFERENCES session (id),
    PRIMARY KEY (task, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup (                       -- derived: what a session's requests of a quarter of an hour come to
    owner INTEGER NOT NULL REFERENCES session (id),
    at INTEGER NOT NULL,                    -- when the quarter begins
    model TEXT NOT NULL,                    -- as in `charge`
    price INTEGER,                          -- as in `charge`
    project INTEGER,                        -- this and the following: as in `request`, see `rollup.rs`
    task INTEGER,
    enhancement TEXT,
    branch TEXT,
    agent TEXT,
    skill TEXT,
    mcp_server TEXT,
    operation TEXT,
    bound_agent TEXT,
    tags TEXT,
    user TEXT,
    command TEXT,
    ticket TEXT,
    pr TEXT,
    commit_hash TEXT,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    requests INTEGER NOT NULL,              -- those whose first charge is the model's, each as many as it stands for
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    web_searches INTEGER NOT NULL,
    micro_input INTEGER NOT NULL,           -- whole micro-dollars, summed charge by charge
    pico_input INTEGER NOT NULL,            -- and the pico-dollars beyond them
    micro_output INTEGER NOT NULL,
    pico_output INTEGER NOT NULL,
    micro_cache_write_5m INTEGER NOT NULL,
    pico_cache_write_5m INTEGER NOT NULL,
    micro_cache_write_1h INTEGER NOT NULL,
    pico_cache_write_1h INTEGER NOT NULL,
    micro_cache_read INTEGER NOT NULL,
    pico_cache_read INTEGER NOT NULL,
    micro_web_search INTEGER NOT NULL,
    pico_web_search INTEGER NOT NULL,
    micro_dearer INTEGER NOT NULL,          -- as in `charge`
    pico_dearer INTEGER NOT NULL,
    unread_5m INTEGER NOT NULL,             -- tokens written to the cache that no later request read
    unread_1h INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    incomplete INTEGER NOT NULL,
    unpriced INTEGER NOT NULL
) STRICT;
CREATE INDEX rollup_by_owner ON rollup (owner, at);
-- With what budgets ask of a period, in a tenth of the pages that the rows have.
CREATE INDEX rollup_by_time ON rollup (at, owner, micro_dearer, pico_dearer, requests, unpriced, estimated);
CREATE INDEX rollup_by_enhancement ON rollup (enhancement, task, project) WHERE enhancement IS NOT NULL;

CREATE TABLE stale_rollup (                 -- sessions to be rolled up before they are told
    session INTEGER PRIMARY KEY REFERENCES session (id),
    since INTEGER NOT NULL                  -- when the first quarter begins that changed; the costs before it are right
) STRICT;

CREATE TABLE rollup_total (                 -- derived: what `rollup` comes to at all times, for budgets without an end
    key TEXT PRIMARY KEY,                   -- JSON of the next eight, as in `rollup`
    model TEXT NOT NULL,
    project INTEGER,
    task INTEGER,
    enhancement TEXT,
    branch TEXT,
    agent TEXT,
    bound_agent TEXT,
    tags TEXT,
    n_rows INTEGER NOT NULL,
    micro_cost INTEGER NOT NULL,            -- all kinds of cost together
    pico_cost INTEGER NOT NULL,
    micro_dearer INTEGER NOT NULL,
    pico_dearer INTEGER NOT NULL,
    n_unpriced INTEGER NOT NULL,            -- requests without a price
    n_estimated INTEGER NOT NULL            -- rows with a price that was guessed
) STRICT, WITHOUT ROWID;

CREATE TRIGGER rollup_added AFTER INSERT ON rollup BEGIN
    INSERT INTO rollup_total
    VALUES (json_array(new.model, new.project, new.task, new.enhancement, new.branch, new.agent, new.bound_agent, new.tags),
            new.model, new.project, new.task, new.enhancement, new.branch, new.agent, new.bound_agent, new.tags, 1,
            new.micro_input + new.micro_output + new.micro_cache_write_5m + new.micro_cache_write_1h + new.micro_cache_read + new.micro_web_search,
            new.pico_input + new.pico_output + new.pico_cache_write_5m + new.pico_cache_write_1h + new.pico_cache_read + new.pico_web_search,
            new.micro_dearer, new.pico_dearer, new.requests * new.unpriced, new.estimated)
    ON CONFLICT DO UPDATE SET
        n_rows = n_rows + 1, micro_cost = micro_cost + excluded.micro_cost, pico_cost = pico_cost + excluded.pico_cost,
        micro_dearer = micro_dearer + excluded.micro_dearer, pico_dearer = pico_dearer + excluded.pico_dearer,
        n_unpriced = n_unpriced + excluded.n_unpriced, n_estimated = n_estimated + excluded.n_estimated;
END;
CREATE TRIGGER rollup_removed AFTER DELETE ON rollup BEGIN
    UPDATE rollup_total SET
        n_rows = n_rows - 1,
        micro_cost = micro_cost - (old.micro_input + old.micro_output + old.micro_cache_write_5m + old.micro_cache_write_1h + old.micro_cache_read + old.micro_web_search),
        pico_cost = pico_cost - (old.pico_input + old.pico_output + old.pico_cache_write_5m + old.pico_cache_write_1h + old.pico_cache_read + old.pico_web_search),
        micro_dearer = micro_dearer - old.micro_dearer, pico_dearer = pico_dearer - old.pico_dearer,
        n_unpriced = n_unpriced - old.requests * old.unpriced, n_estimated = n_estimated - old.estimated
    WHERE key = json_array(old.model, old.project, old.task, old.enhancement, old.branch, old.agent, old.bound_agent, old.tags);
    DELETE FROM rollup_total WHERE key = json_array(old.model, old.project, old.task, old.enhancement, old.branch, old.agent, old.bound_agent, old.tags) AND n_rows = 0;
END;

CREATE TABLE projection (                   -- what the task queues say of a task
    task INTEGER NOT NULL REFERENCES task (id),
    queue BLOB NOT NULL,                    -- path of the task queue
    changes INTEGER NOT NULL,               -- how often the task's totals changed
    shown_changes INTEGER NOT NULL,         -- how many of those the queue shows
    baseline TEXT,                          -- JSON of the figures that the ledger took note of there last
    PRIMARY KEY (task, queue)
) STRICT, WITHOUT ROWID;

CREATE TABLE shown_figures (                -- all that cmat ever put, or meant to put, into a task's keys
    task INTEGER NOT NULL REFERENCES task (id),
    queue BLOB NOT NULL,
    figures TEXT NOT NULL,                  -- JSON of the seven values
    planned INTEGER,                        -- not known whether they stood there: how often the totals had changed by then
    PRIMARY KEY (task, queue, figures)
) STRICT, WITHOUT ROWID;

CREATE TABLE foreign_figures (              -- what another writer put into the seven keys
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES task (id),
    queue BLOB NOT NULL,
    found TEXT NOT NULL,                    -- JSON of the seven values as found
    expected TEXT,                          -- JSON of what the ledger had taken note of there
    seen INTEGER NOT NULL,
    adopted INTEGER NOT NULL,               -- 1: the increase below counts as recorded elsewhere
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    model TEXT,
    session TEXT
) STRICT;
CREATE INDEX foreign_figures_by_task ON foreign_figures (task);

CREATE TABLE booked_intent (
    name TEXT PRIMARY KEY,
    booked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten (                    -- what a person had forgotten; it is not recorded again
    session TEXT,                           -- its requests; NULL: those of the project, or all
    project BLOB,                           -- path of the project
    before INTEGER NOT NULL                 -- only requests made earlier
) STRICT;

CREATE TABLE forgotten_request (            -- those that were there, whichever session shows them
    hash BLOB PRIMARY KEY                   -- of the key
) STRICT, WITHOUT ROWID;

CREATE TABLE override (                     -- what a person added to a budget for a time
    id INTEGER PRIMARY KEY,
    budget TEXT NOT NULL,                   -- the scope, or the id with its period
    amount TEXT NOT NULL,                   -- decimal USD
    begins INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0,       -- 1: its end was seen; a clock that is set back does not revive it
    reason TEXT NOT NULL,
    person TEXT NOT NULL
) STRICT;

CREATE TABLE notice (                       -- what was told of a budget, once in each period
    budget TEXT NOT NULL,
    name TEXT NOT NULL,                     -- which one of the scope's kind
    period INTEGER NOT NULL,                -- when it began
    kind TEXT NOT NULL,
    percent INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (budget, name, period, kind, percent)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert (                        -- the same for each channel that tells of it outside of sessions
    id INTEGER PRIMARY KEY,
    budget TEXT NOT NULL,
    name TEXT NOT NULL,
    period INTEGER NOT NULL,
    kind TEXT NOT NULL,
    percent INTEGER NOT NULL,
    channel TEXT NOT NULL,                  -- `desktop`, `webhook`, …
    raised INTEGER NOT NULL,
    document TEXT NOT NULL,                 -- JSON: what is sent
    attempts INTEGER NOT NULL DEFAULT 0,
    tried INTEGER,                          -- when it was tried last
    fault TEXT,                             -- why that failed
    delivered INTEGER,                      -- without an attempt: a higher threshold was told in its place
    UNIQUE (budget, name, period, kind, percent, channel)
) STRICT;
CREATE INDEX alert_undelivered ON alert (id) WHERE delivered IS NULL;

CREATE TABLE run (                          -- a `cmat run` that goes on; the row goes when it ends
    id TEXT PRIMARY KEY,
    began INTEGER NOT NULL,
    model TEXT,                             -- that it was told to use, by the id of its price row
    stopped_by TEXT                         -- the budget by which a hook stopped it
) STRICT, WITHOUT ROWID;

CREATE TABLE mark (                         -- from when on a person wants statistics to count
    at INTEGER PRIMARY KEY,
    note TEXT
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,                   -- JSON
    hash BLOB NOT NULL                      -- of the line before and of this one
) STRICT;

CREATE TABLE audit_end (                    -- the last line, so that none is missed there
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit is only added to'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit is only added to'); END;
