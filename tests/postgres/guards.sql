-- Each guard of pay(), once, so that what is measured is known to guard. Leaves nothing behind.
BEGIN;

CREATE FUNCTION pg_temp.expect(what text, got payment_outcome, outcome text, codes text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    said text := (SELECT string_agg(each->>'code', ', ') FROM jsonb_array_elements(got.reasons) each);
BEGIN
    IF got.outcome IS DISTINCT FROM outcome OR said IS DISTINCT FROM codes THEN
        RAISE EXCEPTION '%: expected % (%), got % (%)', what, outcome, codes, got.outcome, said;
    END IF;
END
$$;

INSERT INTO accounts (account_id, kind, system, currency) VALUES ('world:USD:99', 'EQUITY', true, 'USD');
INSERT INTO accounts (account_id, currency, status, floor, daily_limit, monthly_limit, blocked_since) VALUES
    ('a', 'USD', 'open', 0, NULL, NULL, NULL), ('b', 'USD', 'open', 0, NULL, NULL, NULL),
    ('eur', 'EUR', 'open', 0, NULL, NULL, NULL), ('frozen', 'USD', 'frozen', 1000, NULL, NULL, NULL),
    ('closed', 'USD', 'closed', 1000, NULL, NULL, NULL), ('blocked', 'USD', 'open', 1000, NULL, NULL, now()),
    ('floor', 'USD', 'open', 50, NULL, NULL, NULL), ('daily', 'USD', 'open', 1000, 10, NULL, NULL),
    ('monthly', 'USD', 'open', 1000, 100, 10, NULL), ('rich', 'USD', 'open', 1000000000000, NULL, NULL, NULL);

SELECT pg_temp.expect('fund', pay('g1', 'world:USD:99', 'a', 100, 'USD'), 'completed');
SELECT pg_temp.expect('pay', pay('g2', 'a', 'b', 60, 'USD'), 'completed');
SELECT pg_temp.expect('the same again', pay('g2', 'a', 'b', 60, 'USD'), 'completed');
SELECT pg_temp.expect('a conflict', pay('g2', 'a', 'b', 61, 'USD'), 'refused', 'conflict');
SELECT pg_temp.expect('back', pay('g3', 'b', 'a', 10.5, 'USD'), 'completed');
SELECT pg_temp.expect('too much', pay('g4', 'a', 'b', 50.51, 'USD'), 'failed', 'insufficient_funds');
SELECT pg_temp.expect('too much, again', pay('g4', 'a', 'b', 50.51, 'USD'), 'failed', 'insufficient_funds');
SELECT pg_temp.expect('all of it', pay('g5', 'a', 'b', 50.5, 'USD'), 'completed');
SELECT pg_temp.expect('to oneself', pay('g6', 'a', 'a', 1, 'USD'), 'refused', 'same_account_both_sides');
SELECT pg_temp.expect('nothing', pay('g7', 'b', 'a', 0, 'USD'), 'refused', 'zero_or_negative_amount');
SELECT pg_temp.expect('half a cent', pay('g8', 'b', 'a', 0.005, 'USD'), 'refused', 'too_many_digits');
SELECT pg_temp.expect('no such payee', pay('g9', 'b', 'nobody', 1, 'USD'), 'failed', 'unknown_account');
SELECT pg_temp.expect('no such payer', pay('g10', 'nobody', 'b', 1, 'USD'), 'failed', 'unknown_account');
SELECT pg_temp.expect('another currency', pay('g11', 'b', 'eur', 1, 'USD'), 'failed', 'wrong_currency');
SELECT pg_temp.expect('frozen payer', pay('g12', 'frozen', 'b', 1, 'USD'), 'failed', 'account_frozen');
SELECT pg_temp.expect('closed payee', pay('g13', 'b', 'closed', 1, 'USD'), 'failed', 'account_closed');
SELECT pg_temp.expect('blocked payer', pay('g14', 'blocked', 'b', 1, 'USD'), 'failed', 'party_blocked');
SELECT pg_temp.expect('blocked payee', pay('g15', 'b', 'blocked', 1, 'USD'), 'failed', 'party_blocked');
SELECT pg_temp.expect('down to the floor', pay('g16', 'floor', 'b', 50, 'USD'), 'completed');
SELECT pg_temp.expect('below the floor', pay('g17', 'floor', 'b', 0.01, 'USD'), 'failed', 'insufficient_funds');
SELECT pg_temp.expect('within the day', pay('g18', 'daily', 'b', 9, 'USD'), 'completed');
SELECT pg_temp.expect('above the day', pay('g19', 'daily', 'b', 1.01, 'USD'), 'failed', 'daily_limit');
SELECT pg_temp.expect('above the month', pay('g20', 'monthly', 'b', 10.01, 'USD'), 'failed', 'monthly_limit');
SELECT pg_temp.expect('declined', pay('g21', 'rich', 'b', 10000000.01, 'USD'), 'failed', 'amount, new_payee');

-- The window counts what lies in its closed buckets, forgets what has left it, and is written over.
DO $$
DECLARE
    now_at bigint := floor(extract(epoch FROM clock_timestamp()))::bigint;
    bucket bigint := now_at - now_at % 5;
BEGIN
    INSERT INTO velocity_buckets VALUES
        ('rich', 60, (bucket - 50) / 5 % 12, bucket - 50, 7, 70), ('rich', 60, (bucket - 95) / 5 % 12, bucket - 95, 1000, 1000);
    UPDATE accounts SET minute_at = bucket - 35, minute_count = 3, minute_sum = 30 WHERE account_id = 'rich';
    PERFORM pg_temp.expect('over a new bucket', pay('g22', 'rich', 'b', 1, 'USD'), 'completed');
    ASSERT (SELECT minute_closed_count + minute_count = 11 AND minute_closed_sum + minute_sum = 101
        FROM accounts WHERE account_id = 'rich'), 'the window must have 11 payments';
    ASSERT (SELECT count(*) = 2 FROM velocity_buckets WHERE account_id = 'rich'), 'a bucket that has left is written over';

    -- A count above the rule's asks for a review, which must not pass for a payment.
    UPDATE accounts SET minute_closed_count = 300000 WHERE account_id = 'rich';
    BEGIN
        PERFORM pay('g23', 'rich', 'b', 1, 'USD');
        RAISE 'velocity must hit' USING ERRCODE = 'assert_failure';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    ASSERT (SELECT count(*) = 0 FROM commands WHERE command_id = 'g23'), 'a review leaves nothing';
END
$$;

-- What was sent again, refused or failed left no trace.
DO $$
BEGIN
    ASSERT (SELECT count(*) FROM journal WHERE transaction_id LIKE 'g%') = 7, 'seven payments in the journal';
    ASSERT (SELECT count(*) FROM commands WHERE command_id LIKE 'g%') = 22, 'twenty-two commands decided';
    ASSERT (SELECT balance FROM accounts WHERE account_id = 'a') = 0, 'nothing left';
    ASSERT (SELECT sum(balance) FROM accounts WHERE currency = 'USD') = 0, 'the balances sum up to zero';
    ASSERT (SELECT string_agg(payer || '-' || payee, ' ' ORDER BY payer, payee) FROM payees WHERE payer NOT LIKE 'load-%')
        = 'a-b b-a daily-b floor-b rich-b', 'who was paid is known, and nobody else';
END
$$;

ROLLBACK;
