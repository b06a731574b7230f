CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL DEFAULT '',
    is_renamed INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    deleted_ms INTEGER,
    settings TEXT NOT NULL DEFAULT '{}',
    draft TEXT NOT NULL DEFAULT '',
    active_root INTEGER
) STRICT;
CREATE INDEX conversations_by_time ON conversations (updated_ms) WHERE deleted_ms IS NULL;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    parent INTEGER REFERENCES messages (id),
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    record TEXT,
    active_child INTEGER
) STRICT;
CREATE INDEX messages_of ON messages (conversation, parent);
CREATE INDEX messages_under ON messages (parent);
CREATE INDEX messages_streaming ON messages (conversation) WHERE state = 'streaming';

CREATE VIRTUAL TABLE message_text USING fts5 (
    content, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4 5'
);
CREATE TRIGGER message_added AFTER INSERT ON messages WHEN new.state <> 'streaming' BEGIN
    INSERT INTO message_text (rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER message_ended AFTER UPDATE OF state ON messages
WHEN old.state = 'streaming' AND new.state <> 'streaming' BEGIN
    INSERT INTO message_text (rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER message_gone AFTER DELETE ON messages WHEN old.state <> 'streaming' BEGIN
    INSERT INTO message_text (message_text, rowid, content) VALUES ('delete', old.id, old.content);
END;

CREATE VIRTUAL TABLE title_text USING fts5 (
    title, content = 'conversations', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER title_added AFTER INSERT ON conversations BEGIN
    INSERT INTO title_text (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER title_changed AFTER UPDATE OF title ON conversations BEGIN
    INSERT INTO title_text (title_text, rowid, title) VALUES ('delete', old.id, old.title);
    INSERT INTO title_text (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER title_gone AFTER DELETE ON conversations BEGIN
    INSERT INTO title_text (title_text, rowid, title) VALUES ('delete', old.id, old.title);
END;

CREATE TABLE switches (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    from_profile TEXT NOT NULL,
    to_profile TEXT NOT NULL,
    reason TEXT NOT NULL,
    code TEXT NOT NULL,
    strategy TEXT,
    gap_ms REAL
) STRICT;

CREATE TABLE memory (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

PRAGMA user_version = 1;
INSERT INTO conversations (id, title, created_ms, updated_ms, active_root) VALUES (1, 'Old', 1, 5, 1), (2, 'Other', 1, 4, 3);
INSERT INTO messages (id, conversation, parent, role, content, state, created_ms, record, active_child) VALUES
    (1, 1, NULL, 'user', 'Is it kept?', 'done', 1, NULL, 2),
    (2, 1, 1, 'assistant', 'It is so far', 'streaming', 2, '{"model":"Old","profile":"cpu_fallback","stats":null,"switches":[{"switch":{"from":"performance","to":"cpu_fallback","reason":"cpu_fallback: VRAM 94 % (game 4.0 GB)","strategy":"standby","at_token":2,"gap_ms":20.0,"vram_released_ms":null,"state_bytes":null,"saved_in_ms":null,"restored_in_ms":null},"at_text":9}],"dropped_turns":0,"problem":null}', NULL),
    (3, 2, NULL, 'user', 'Another question', 'done', 3, NULL, 4),
    (4, 2, 3, 'assistant', '', 'streaming', 4, NULL, NULL);
-- Version 1 wrote once more after the end, and the index kept the shorter text.
UPDATE messages SET content = 'An answer', state = 'interrupted' WHERE id = 4;
UPDATE messages SET content = 'An answer with an outgrown tail', state = 'stopped' WHERE id = 4;
INSERT INTO switches (at_ms, from_profile, to_profile, reason, code, strategy, gap_ms) VALUES
    (10, 'cpu_fallback', 'performance', 'performance: VRAM 20 %', 'recovered', 'standby', 12.5),
    (20, 'performance', 'balanced', '{"code":"asked","after_token":7}', '', NULL, NULL),
    (30, 'balanced', 'performance', 'null', '', NULL, NULL);
