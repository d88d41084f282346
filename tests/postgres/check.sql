-- What must hold after any load. Answers nothing, or the differences, one a row.

SELECT format('the balances of all accounts in %s sum up to %s, not to zero', currency, sum(balance))
FROM accounts GROUP BY currency HAVING sum(balance) <> 0;

SELECT format('account %s: balance %s after entry %s, but its %s entries sum up to %s', account_id, a.balance, a.sequence,
    coalesce(e.many, 0), coalesce(e.sum, 0))
FROM accounts a LEFT JOIN (
    SELECT account_id, count(*) AS many, sum(CASE side WHEN 'C' THEN amount ELSE -amount END) AS sum
    FROM entries GROUP BY account_id
) e USING (account_id)
WHERE a.balance <> coalesce(e.sum, 0) OR a.sequence <> coalesce(e.many, 0);

SELECT format('entries of %s, which is no account', account_id)
FROM entries e WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.account_id = e.account_id);

-- Each entry follows the one before: its number, the hash it names, its balance, its time; and it hashes to its own hash.
WITH followed AS (
    SELECT e.*, row_number() OVER chain AS number,
        lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER chain AS hash_before,
        lag(balance, 1, 0::numeric(38,4)) OVER chain AS balance_before,
        lag(booked_at, 1, '-infinity') OVER chain AS booked_before
    FROM entries e WINDOW chain AS (PARTITION BY account_id ORDER BY sequence)
)
SELECT format('entry %s of %s: %s', sequence, account_id, fault) FROM (
    SELECT account_id, sequence, CASE
        WHEN sequence <> number THEN format('expected entry %s', number)
        WHEN previous_hash <> hash_before THEN 'it names another hash than that of the entry before'
        WHEN hash <> entry_hash(previous_hash, account_id, sequence, transaction_id, posting, line, side, amount, currency,
            balance, available, booked_at, value_date) THEN 'its content has another hash'
        WHEN balance <> balance_before + CASE side WHEN 'C' THEN amount ELSE -amount END
            THEN 'its balance is not the one before with its amount'
        WHEN booked_at < booked_before THEN 'it was booked before the entry before'
    END AS fault FROM followed
) judged WHERE fault IS NOT NULL ORDER BY account_id, sequence;

SELECT format('account %s: its last hash is not that of entry %s', account_id, sequence)
FROM accounts a JOIN entries e USING (account_id, sequence) WHERE a.last_hash <> e.hash;

-- The journal has every entry once, and says of it what it is.
SELECT format('transaction %s: debits %s, credits %s', transaction_id, debit_amount, credit_amount)
FROM journal WHERE debit_amount <> credit_amount;

SELECT format('entry %s of %s is not in the journal as it is', e.sequence, e.account_id)
FROM entries e LEFT JOIN journal j USING (transaction_id)
WHERE ((e.account_id, e.sequence, e.hash, e.amount, e.currency, e.posting, e.booked_at, e.value_date)
    = CASE e.side
        WHEN 'D' THEN (j.debit_account, j.debit_sequence, j.debit_hash, j.debit_amount,
            j.currency, j.posting, j.booked_at, j.value_date)
        ELSE (j.credit_account, j.credit_sequence, j.credit_hash, j.credit_amount,
            j.currency, j.posting, j.booked_at, j.value_date)
    END) IS NOT TRUE;

SELECT format('the journal has %s records, but there are %s entries', journals, entries)
FROM (SELECT (SELECT count(*) FROM journal) AS journals, (SELECT count(*) FROM entries) AS entries) both_counts
WHERE entries <> 2 * journals;

-- One outcome: what was completed is in the journal as it was asked for, and nothing else is.
SELECT format('command %s: %s, and the journal says otherwise',
    coalesce(command_id, transaction_id), coalesce(outcome, 'never decided'))
FROM commands c FULL JOIN journal j ON command_id = transaction_id
WHERE (coalesce(outcome, '') = 'completed') <> (transaction_id IS NOT NULL)
    OR (outcome = 'completed' AND (payer, payee, c.amount, c.currency)
        <> (debit_account, credit_account, debit_amount, j.currency));

SELECT format('account %s: %s available, below its floor of %s', account_id, balance - held, -floor)
FROM accounts WHERE NOT system AND balance - held < -floor;

-- What limits and risk were told is what was spent.
SELECT format('account %s: %s counted in the month of %s, but %s spent',
    account_id, used_in_month, used_day, coalesce(spent, 0))
FROM accounts a LEFT JOIN LATERAL (
    SELECT sum(amount) AS spent FROM entries e
    WHERE e.account_id = a.account_id AND side = 'D'
        AND date_trunc('month', value_date) = date_trunc('month', a.used_day)
) e ON true
WHERE NOT system AND used_in_month <> coalesce(spent, 0);

SELECT format('account %s: risk counted %s payments in its day''s window, but there were %s', account_id,
    day_closed_count + day_count, many)
FROM accounts a CROSS JOIN LATERAL (
    SELECT count(*) AS many FROM entries e
    WHERE e.account_id = a.account_id AND side = 'D' AND booked_at >= to_timestamp(a.day_at - 86400)
) e
WHERE NOT system AND (day_closed_count + day_count <> many);
