//! A database of years: how long it takes to open. Checks nothing of time; `--ignored` prints it.

use std::io::Write as _;
use std::time::Instant;

use rusqlite::Connection;
use workly_store::{Conversations, DATABASE, open, unix_ms};

/// A hundred messages of twelve words in each conversation, from a vocabulary of 20,000.
const FILL: &str = "
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000)
INSERT INTO conversations (id, title, is_renamed, created_ms, updated_ms, active_root)
    SELECT n, 'Conversation ' || n, 1, n, n, n * 100 - 99 FROM number;
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1000000)
INSERT INTO messages (id, conversation, parent, role, content, state, created_ms, active_child)
    SELECT n, (n + 99) / 100, CASE WHEN n % 100 = 1 THEN NULL ELSE n - 1 END,
        CASE WHEN n % 2 THEN 'user' ELSE 'assistant' END,
        (SELECT group_concat('w' || (n * k * 7919 % 20000), ' ') FROM
            (SELECT value AS k FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12]'))),
        'done', n, CASE WHEN n % 100 = 0 THEN NULL ELSE n + 1 END
    FROM number;
";

#[tokio::test]
#[ignore = "takes minutes; prints how long a million messages take to open"]
async fn opening_a_million_messages() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(Some(folder.path()), unix_ms()));
    Connection::open(folder.path().join(DATABASE)).unwrap().execute_batch(FILL).unwrap();
    for what in ["after a clean end", "once more"] {
        let began = Instant::now();
        let store = Conversations::open(Some(folder.path().to_path_buf()));
        let list = store.snapshot().await.unwrap().conversations.len();
        let took = began.elapsed();
        assert_eq!(list, 10_000);
        writeln!(std::io::stdout(), "opening 1,000,000 messages {what}: {} ms", took.as_millis()).unwrap();
        store.close().await;
    }
}
