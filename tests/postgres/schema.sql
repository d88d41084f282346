-- What PostgreSQL keeps to make a payment as Tributary does: see payment.sql, which is the only writer.
--
-- Written for speed, and in PostgreSQL's favour where there was a choice:
--   * An account and what risk counts of it are one row: both are needed by every payment, under one lock.
--   * Rows that are updated leave room in their pages and change no indexed column, so every update is a HOT one.
--   * Every index is a guard's: there is none that only a report would use. There are no foreign keys: pay() has locked
--     the rows that they would look up.
--   * A payment has two lines, so a journal record is one row with both, and balances by a CHECK.
-- Amounts are numeric(38,4), as in the schemas. The database is in the C locale, so that text compares by its bytes.
--
-- BLAKE3 is not in PostgreSQL: entries are hashed with SHA-256, which is.

CREATE DOMAIN account_id AS text CHECK (VALUE ~ '^[A-Za-z0-9._-]{1,64}$' OR VALUE ~ '^[A-Za-z0-9._-]+:[A-Z]{3}:[0-9]{2}$');
CREATE TYPE account_status AS ENUM ('open', 'frozen', 'closed');
-- Only kinds whose balance a credit raises: the load has no others.
CREATE TYPE account_kind AS ENUM ('LIABILITY', 'EQUITY');

-- What stays comes first and what a payment changes comes last, so that the log gets little more than the change.
CREATE TABLE accounts (
    account_id          account_id     PRIMARY KEY,
    kind                account_kind   NOT NULL DEFAULT 'LIABILITY',
    status              account_status NOT NULL DEFAULT 'open',
    -- A system account is never asked, only told: no floor, no limits, no risk.
    system              boolean        NOT NULL DEFAULT false,
    currency            text           NOT NULL,
    -- Digits after the point in that currency, here so that no payment has to look them up.
    digits              smallint       NOT NULL DEFAULT 2,
    blocked_since       timestamptz,
    floor               numeric(38,4)  NOT NULL DEFAULT 0,
    daily_limit         numeric(38,4),
    monthly_limit       numeric(38,4),
    held                numeric(38,4)  NOT NULL DEFAULT 0,

    balance             numeric(38,4)  NOT NULL DEFAULT 0,
    -- Of the last entry.
    sequence            bigint         NOT NULL DEFAULT 0,
    last_hash           bytea          NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    -- What the limits are compared with: spent on this UTC day, and in its month.
    used_day            date           NOT NULL DEFAULT '1970-01-01',
    used_in_day         numeric(38,4)  NOT NULL DEFAULT 0,
    used_in_month       numeric(38,4)  NOT NULL DEFAULT 0,
    -- Risk's three windows: when the open bucket began (seconds since 1970), what is in it, and what is in the closed
    -- buckets that the window still sees.
    minute_at           bigint         NOT NULL DEFAULT 0,
    minute_count        bigint         NOT NULL DEFAULT 0,
    minute_sum          numeric(38,4)  NOT NULL DEFAULT 0,
    minute_closed_count bigint         NOT NULL DEFAULT 0,
    minute_closed_sum   numeric(38,4)  NOT NULL DEFAULT 0,
    hour_at             bigint         NOT NULL DEFAULT 0,
    hour_count          bigint         NOT NULL DEFAULT 0,
    hour_sum            numeric(38,4)  NOT NULL DEFAULT 0,
    hour_closed_count   bigint         NOT NULL DEFAULT 0,
    hour_closed_sum     numeric(38,4)  NOT NULL DEFAULT 0,
    day_at              bigint         NOT NULL DEFAULT 0,
    day_count           bigint         NOT NULL DEFAULT 0,
    day_sum             numeric(38,4)  NOT NULL DEFAULT 0,
    day_closed_count    bigint         NOT NULL DEFAULT 0,
    day_closed_sum      numeric(38,4)  NOT NULL DEFAULT 0,

    CONSTRAINT at_or_above_floor CHECK (system OR balance - held >= -floor),
    CONSTRAINT none_negative CHECK (held >= 0 AND floor >= 0 AND daily_limit >= 0 AND monthly_limit >= 0)
) WITH (fillfactor = 25);

-- The closed buckets of risk's windows. A window is a ring of as many slots as it has buckets: what has left it is
-- written over, so nothing is ever deleted and no index grows.
CREATE TABLE velocity_buckets (
    account_id text          NOT NULL,
    seconds    integer       NOT NULL,
    slot       integer       NOT NULL,
    began      bigint        NOT NULL,
    count      bigint        NOT NULL,
    sum        numeric(38,4) NOT NULL,
    PRIMARY KEY (account_id, seconds, slot)
) WITH (fillfactor = 50);

-- Whom an account has paid.
CREATE TABLE payees (
    payer text        NOT NULL,
    payee text        NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (payer, payee)
);

-- Every command that was ever decided: what it asked for and how it was answered. Its primary key is the idempotence.
CREATE TABLE commands (
    command_id text        PRIMARY KEY CHECK (command_id ~ '^[A-Za-z0-9._-]{1,64}$'),
    payer      text        NOT NULL,
    payee      text        NOT NULL,
    -- As it was asked for, with more digits than there are too.
    amount     numeric     NOT NULL,
    currency   text        NOT NULL,
    outcome    text        NOT NULL,
    reasons    jsonb,
    decided_at timestamptz NOT NULL
);

-- The chain of entries of each account.
CREATE TABLE entries (
    account_id     text          NOT NULL,
    sequence       bigint        NOT NULL,
    transaction_id text          NOT NULL,
    posting        integer       NOT NULL,
    line           integer       NOT NULL,
    side           "char"        NOT NULL CHECK (side IN ('D', 'C')),
    amount         numeric(38,4) NOT NULL CHECK (amount > 0),
    currency       text          NOT NULL,
    -- The account's, with this entry.
    balance        numeric(38,4) NOT NULL,
    available      numeric(38,4) NOT NULL,
    booked_at      timestamptz   NOT NULL,
    value_date     date          NOT NULL,
    previous_hash  bytea         NOT NULL,
    hash           bytea         NOT NULL,
    PRIMARY KEY (account_id, sequence)
);

-- The general ledger: a record per payment, which names its entries.
CREATE TABLE journal (
    transaction_id  text          PRIMARY KEY,
    posting         integer       NOT NULL,
    currency        text          NOT NULL,
    debit_account   text          NOT NULL,
    debit_amount    numeric(38,4) NOT NULL CHECK (debit_amount > 0),
    debit_sequence  bigint        NOT NULL,
    debit_hash      bytea         NOT NULL,
    credit_account  text          NOT NULL,
    credit_amount   numeric(38,4) NOT NULL,
    credit_sequence bigint        NOT NULL,
    credit_hash     bytea         NOT NULL,
    booked_at       timestamptz   NOT NULL,
    value_date      date          NOT NULL,
    CONSTRAINT balanced CHECK (debit_amount = credit_amount)
);

-- The hash of an entry: SHA-256 over the previous hash and every other field but the hash itself, in the order of the
-- schema. No field can contain the bar that separates them. One expression, so that the planner puts it in place of the
-- call; not immutable only because of convert_to().
CREATE FUNCTION entry_hash(
    previous_hash bytea, account_id text, sequence bigint, transaction_id text, posting integer, line integer,
    side "char", amount numeric, currency text, balance numeric, available numeric, booked_at timestamptz, value_date date
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(previous_hash || convert_to(
        'entry.v1|' || account_id || '|' || sequence::text || '|' || transaction_id || '|' || posting::text || '|'
        || line::text || '|' || side::text || '|' || amount::text || '|' || currency || '|' || balance::text || '|'
        || available::text || '|' || extract(epoch FROM booked_at)::text || '|' || (value_date - date '1970-01-01')::text,
        'UTF8'))
$$;
