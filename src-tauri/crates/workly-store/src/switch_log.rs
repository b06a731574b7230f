//! The switch log: every change of profile, for the user to look up.

use rusqlite::{Connection, params};
use workly_core::profile::Profile;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::Why;
use workly_wire::monitor::DecisionEntry;

use crate::database::Store;
use crate::error::Stored;

/// Most entries that are kept; a year of a restless machine.
pub(crate) const KEPT: u32 = 20_000;

/// Adds a change of profile to the log. The first place after a start is no change.
pub(crate) fn insert(connection: &Connection, entry: &DecisionEntry) -> Stored<()> {
    let Some(from) = entry.from else { return Ok(()) };
    let name = |strategy| serde_json::to_value(strategy).ok().and_then(|name| name.as_str().map(str::to_owned));
    let mut statement = connection.prepare_cached(
        "INSERT INTO switches (at_ms, from_profile, to_profile, why, strategy) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let last = statement.insert(params![
        i64::try_from(entry.unix_ms).unwrap_or(i64::MAX),
        from.name(),
        entry.to.name(),
        serde_json::to_string(&entry.why)?,
        entry.strategy.and_then(name),
    ])?;
    connection.prepare_cached("DELETE FROM switches WHERE id <= ?1")?.execute([last - i64::from(KEPT)])?;
    Ok(())
}

impl Store {
    /// Adds a change of profile to the log; the oldest entries give way. The first place after a start is no change.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    pub fn record_switch(&mut self, entry: &DecisionEntry) -> Stored<()> {
        let transaction = self.connection.transaction()?;
        insert(&transaction, entry)?;
        Ok(transaction.commit()?)
    }

    /// The newest `limit` entries, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn switches(&self, limit: u32) -> Stored<Vec<DecisionEntry>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at_ms, from_profile, to_profile, why, strategy FROM switches ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([limit], |row| {
            let profile = |name: String| name.parse().unwrap_or(Profile::CpuFallback);
            let why: String = row.get(3)?;
            let strategy: Option<String> = row.get(4)?;
            Ok(DecisionEntry {
                unix_ms: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
                from: Some(profile(row.get(1)?)),
                to: profile(row.get(2)?),
                why: serde_json::from_str::<Option<Why>>(&why).unwrap_or(None),
                strategy: strategy.and_then(|name| serde_json::from_value::<SwitchStrategy>(name.into()).ok()),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
