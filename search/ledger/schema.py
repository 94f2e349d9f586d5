"""The tables of a ledger. A row is written when the step that it records has ended."""

SCHEMA_VERSION = 7

SCHEMA = """
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL              -- JSON
) STRICT;

CREATE TABLE milestones (
    name TEXT PRIMARY KEY,           -- started, greedy_selected, ensembles_fixed, winner_named, test_opened, ...
    at TEXT NOT NULL,                -- UTC, ISO 8601
    detail TEXT NOT NULL             -- JSON
) STRICT;

CREATE TABLE changes (
    at TEXT NOT NULL,                -- when the search was resumed under it
    field TEXT NOT NULL,             -- of the configuration, such as proposer.options.temperature
    before TEXT NOT NULL,            -- JSON
    after TEXT NOT NULL              -- JSON
) STRICT;

CREATE TABLE calls (
    round INTEGER NOT NULL,
    position INTEGER NOT NULL,       -- 1000 times the number of the exchange, plus the attempt
    at TEXT NOT NULL,
    call TEXT NOT NULL,              -- JSON of LanguageModelCall; until it is over, its worst case
    PRIMARY KEY (round, position)
) STRICT;

CREATE TABLE rounds (
    number INTEGER PRIMARY KEY,
    requested INTEGER NOT NULL,
    proposed_at TEXT NOT NULL,
    seconds REAL NOT NULL            -- wall-clock of proposing
) STRICT;

CREATE TABLE unusable (
    round INTEGER NOT NULL REFERENCES rounds (number),
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    excerpt TEXT NOT NULL,
    PRIMARY KEY (round, position)
) STRICT;

CREATE TABLE candidates (
    name TEXT PRIMARY KEY,
    round INTEGER NOT NULL REFERENCES rounds (number),
    position INTEGER NOT NULL,
    identity TEXT UNIQUE,            -- NULL: the code is not Python
    code TEXT NOT NULL,              -- of a set its TOML
    origin TEXT NOT NULL,
    description TEXT NOT NULL,
    family TEXT NOT NULL,
    parents TEXT NOT NULL,           -- JSON list of identities
    kind TEXT NOT NULL,              -- reward, reward_set
    UNIQUE (round, position)
) STRICT;

CREATE TABLE verdicts (
    candidate TEXT NOT NULL REFERENCES candidates (name),
    member TEXT NOT NULL,            -- a reward of it, by its name in ensembles
    accepted INTEGER NOT NULL,
    verdict TEXT NOT NULL,           -- JSON of Verdict
    at TEXT NOT NULL,
    PRIMARY KEY (candidate, member)
) STRICT;

CREATE TABLE prescreenings (
    candidate TEXT PRIMARY KEY REFERENCES candidates (name),
    duplicate INTEGER NOT NULL,
    prescreening TEXT NOT NULL,      -- JSON of PreScreening
    scores TEXT NOT NULL,            -- JSON list, one per base rollout; null where unscored
    at TEXT NOT NULL
) STRICT;

CREATE TABLE audits (
    candidate TEXT PRIMARY KEY REFERENCES candidates (name),
    flags TEXT NOT NULL,             -- JSON list of Flag: signs of reward hacking in its screening
    at TEXT NOT NULL
) STRICT;

CREATE TABLE ensembles (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,              -- selected, control
    candidates TEXT NOT NULL,        -- JSON list of candidate names
    ensemble TEXT NOT NULL,          -- JSON of Ensemble
    steps INTEGER NOT NULL,
    same_as TEXT,                    -- the ensemble with the same members that is trained for both
    listed_apart TEXT,               -- why it may not be ranked with the others
    control TEXT                     -- which control it is
) STRICT;

CREATE TABLE jobs (
    stage TEXT NOT NULL,             -- base-rollouts, screening, greedy, retraining, test, transfer, suite
    subject TEXT NOT NULL,           -- candidate, ensemble, or a control's name
    seed INTEGER NOT NULL,
    digest TEXT NOT NULL,
    description TEXT NOT NULL,       -- JSON of the job
    failure TEXT,
    result TEXT NOT NULL,            -- JSON of the result without its predictions
    at TEXT NOT NULL,
    PRIMARY KEY (stage, subject, seed)
) STRICT;

CREATE TABLE rungs (
    stage TEXT NOT NULL,             -- screening
    subject TEXT NOT NULL,
    seed INTEGER NOT NULL,
    rung INTEGER NOT NULL,           -- steps trained
    digest TEXT NOT NULL,            -- of the job
    result TEXT NOT NULL,            -- JSON of the job's result so far, without its predictions
    at TEXT NOT NULL,
    PRIMARY KEY (stage, subject, seed, rung)
) STRICT;

CREATE TABLE packs (
    digest TEXT PRIMARY KEY,
    stage TEXT NOT NULL,             -- screening, greedy, retraining, transfer
    size INTEGER NOT NULL,           -- how many train together
    description TEXT NOT NULL,       -- JSON of the pack, written before it starts
    at TEXT NOT NULL,
    outcome TEXT                     -- done, failed, too large; NULL: not over, it has to run (again)
) STRICT;

CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,
    stage TEXT NOT NULL,
    subject TEXT NOT NULL,
    seed INTEGER NOT NULL,
    split TEXT NOT NULL,
    rung INTEGER,                    -- steps trained when this was measured; NULL: all of them
    completions TEXT NOT NULL,       -- name in the files folder
    at TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_evaluation ON evaluations (stage, subject, seed, split, ifnull(rung, -1));

CREATE TABLE predictions (
    evaluation INTEGER NOT NULL REFERENCES evaluations (id),
    position INTEGER NOT NULL,
    question TEXT NOT NULL,
    strict TEXT,
    flexible TEXT,
    correct INTEGER NOT NULL,
    correct_flexible INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    PRIMARY KEY (evaluation, position)
) STRICT, WITHOUT ROWID;
"""
