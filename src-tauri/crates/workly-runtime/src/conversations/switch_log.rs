//! The switch log: every change of profile, for the user to look up.

use rusqlite::params;
use workly_core::profile::Profile;
use workly_wire::chat::SwitchEntry;

use super::Stored;
use super::store::Store;

/// Most entries that are kept; a year of a restless machine.
const KEPT: u32 = 20_000;

impl Store {
    /// Adds a change of profile to the log; the oldest entries give way.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    pub fn record_switch(&mut self, entry: &SwitchEntry) -> Stored<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO switches (at_ms, from_profile, to_profile, reason, code, strategy, gap_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                entry.at_ms,
                entry.from.name(),
                entry.to.name(),
                entry.reason,
                entry.code,
                entry.strategy,
                entry.gap_ms
            ],
        )?;
        let last = transaction.last_insert_rowid();
        transaction.execute("DELETE FROM switches WHERE id <= ?1", [last - i64::from(KEPT)])?;
        Ok(transaction.commit()?)
    }

    /// The newest `limit` entries, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn switches(&self, limit: u32) -> Stored<Vec<SwitchEntry>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at_ms, from_profile, to_profile, reason, code, strategy, gap_ms FROM switches
             ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([limit], |row| {
            let profile = |name: String| name.parse().unwrap_or(Profile::CpuFallback);
            Ok(SwitchEntry {
                at_ms: row.get(0)?,
                from: profile(row.get(1)?),
                to: profile(row.get(2)?),
                reason: row.get(3)?,
                code: row.get(4)?,
                strategy: row.get(5)?,
                gap_ms: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
