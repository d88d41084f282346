-- Opens the accounts and funds each with 10,000.00 from the outside world, by pay() as any other payment. Answers how many
-- were funded. Variable: accounts. The world has its hundred shards: one account in one long transaction would be slow.
INSERT INTO accounts (account_id, kind, system, currency)
SELECT 'world:EUR:' || lpad(shard::text, 2, '0'), 'EQUITY', true, 'EUR' FROM generate_series(0, 99) shard;
INSERT INTO accounts (account_id, currency)
SELECT 'load-' || lpad(number::text, 6, '0'), 'EUR' FROM generate_series(0, :accounts - 1) number;
SELECT count(*) FILTER (WHERE (pay(
    'load-f' || right(account_id, 6), 'world:EUR:' || right(account_id, 2), account_id, 10000.00
)).outcome = 'completed')
FROM (SELECT account_id FROM accounts WHERE NOT system ORDER BY account_id) AS ordinary;
VACUUM (FREEZE, ANALYZE);
