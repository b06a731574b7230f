//! `config.json`: read, checked at the start, repaired, and watched for edits from outside.
//!
//! The file is the user's: what is broken is kept beside under another name before anything is written, keys Workly does
//! not know stay, and a bad value falls back alone. Beside it lies `config.json.last-good`, written atomically, from which
//! a file cut short is restored. A change is first taken by [`SettingsFile::prepare`] and then put on the disk by
//! [`SettingsFile::write`] from the entries of the desktop's store: the file is whole at every moment.

mod text;
mod watch;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use workly_core::settings::{SettingFault, Settings};
use workly_wire::settings::SettingsNotice;

use text::to_text;
pub use watch::SettingsWatch;
use workly_files::whole_file;

/// Name of the file in the data folder.
pub const FILE: &str = "config.json";
/// Name of the copy known to be good.
const LAST_GOOD: &str = "config.json.last-good";

/// Reads the settings without touching anything: for programs that only use them.
///
/// Each text says what the user should know, in English. A missing file is the defaults and nothing to be told.
pub fn read(data_dir: &Path) -> (Settings, Vec<String>) {
    let (document, notice) = match text::read(&data_dir.join(FILE)) {
        Ok(document) => (document, None),
        Err(fault) => {
            let restored = text::read(&data_dir.join(LAST_GOOD)).ok().flatten();
            let instead = if restored.is_some() { "Your last good settings are used" } else { "The defaults are used" };
            (restored, Some(format!("config.json could not be used ({fault}). {instead}.")))
        }
    };
    let (settings, faults) = Settings::salvage(&document.unwrap_or(Value::Null));
    (settings, notice.into_iter().chain(faults.into_iter().map(|fault| notice_of(fault).to_string())).collect())
}

/// What a look at the file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// What is known already.
    Nothing,
    /// Other settings, now in force.
    Change,
    /// A text that cannot be used; the settings stay.
    Broken,
}

/// The file as a program that also writes it knows it.
#[derive(Debug)]
pub struct SettingsFile {
    folder: PathBuf,
    document: Value,
    settings: Settings,
    /// About the file; what is wrong with single values is in `faults`.
    notices: Vec<SettingsNotice>,
    faults: Vec<SettingFault>,
}

impl SettingsFile {
    /// Reads the file of a data folder, before anybody else may write to it.
    ///
    /// A file that cannot be used is renamed and the last good one put in its place. Nothing here fails: in the worst
    /// case the defaults are in force and a notice says why.
    pub fn open(folder: &Path) -> Self {
        let mut file = Self {
            folder: folder.to_path_buf(),
            document: Value::Object(Map::new()),
            settings: Settings::default(),
            notices: Vec::new(),
            faults: Vec::new(),
        };
        match text::read(&file.path()) {
            Ok(Some(document)) => {
                file.accept(document);
                file.remember(&file.document);
            }
            Ok(None) => {}
            Err(text::Fault::Io(error)) => {
                file.fall_back();
                file.notices.push(SettingsNotice::Unreadable { detail: error.to_string() });
            }
            Err(fault @ (text::Fault::Json(_) | text::Fault::NotAnObject)) => file.repair(fault.to_string()),
        }
        for notice in file.notices() {
            tracing::warn!("{notice}");
        }
        file
    }

    /// Where the file lies.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings in force.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The whole document, with what Workly does not know.
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// What the user should know about the file and its values.
    pub fn notices(&self) -> Vec<SettingsNotice> {
        self.notices.iter().cloned().chain(self.faults.iter().cloned().map(notice_of)).collect()
    }

    /// Adds something that the user should know.
    pub fn notice(&mut self, notice: SettingsNotice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// The user has read the notices about the file; those about values stay until the values are right.
    pub fn dismiss_notices(&mut self) {
        self.notices.retain(|notice| matches!(notice, SettingsNotice::EditBroken { .. }));
    }

    /// Looks at the file again, after somebody may have edited it.
    ///
    /// A file that is gone means the defaults, as it would at the next start.
    pub fn look_again(&mut self) -> Found {
        let document = match text::read(&self.path()) {
            Ok(document) => document.unwrap_or_else(|| Value::Object(Map::new())),
            Err(fault) => {
                let notice = SettingsNotice::EditBroken { detail: fault.to_string() };
                if self.notices.contains(&notice) {
                    return Found::Nothing;
                }
                tracing::warn!("{notice}");
                self.forget_broken_edit();
                self.notices.push(notice);
                return Found::Broken;
            }
        };
        let repaired = self.forget_broken_edit();
        if document == self.document {
            return if repaired { Found::Change } else { Found::Nothing };
        }
        self.accept(document);
        self.remember(&self.document);
        Found::Change
    }

    /// Takes a changed document in force, before it is written to the file: first a broken text in the file is kept
    /// beside, then the copy known to be good is renewed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written to; nothing has changed then.
    pub fn prepare(&mut self, document: Value) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        if let Err(text::Fault::Json(_) | text::Fault::NotAnObject) = text::read(&self.path()) {
            text::set_aside(&self.path(), false)?;
        }
        text::write_atomically(&self.folder.join(LAST_GOOD), &document)?;
        self.forget_broken_edit();
        self.accept(document);
        Ok(())
    }

    /// Writes entries to the file, which is the old one or the new one at every moment. A link is followed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written to; the old file is still there then.
    pub fn write<'a>(&self, entries: impl IntoIterator<Item = (&'a String, &'a Value)>) -> io::Result<()> {
        whole_file::write(&self.path(), &to_text(entries)?)
    }

    fn accept(&mut self, document: Value) {
        (self.settings, self.faults) = Settings::salvage(&document);
        self.document = document;
    }

    fn forget_broken_edit(&mut self) -> bool {
        let before = self.notices.len();
        self.notices.retain(|notice| !matches!(notice, SettingsNotice::EditBroken { .. }));
        self.notices.len() < before
    }

    /// Renews the copy known to be good. Failing at it loses nothing yet.
    fn remember(&self, document: &Value) {
        let place = self.folder.join(LAST_GOOD);
        if !matches!(text::read(&place), Ok(Some(known)) if known == *document)
            && let Err(error) = text::write_atomically(&place, document)
        {
            tracing::warn!(path = %place.display(), %error, "the copy of the settings cannot be written");
        }
    }

    /// Uses the copy known to be good, if there is one.
    fn fall_back(&mut self) -> bool {
        let known = text::read(&self.folder.join(LAST_GOOD)).ok().flatten();
        let found = known.is_some();
        if let Some(document) = known {
            self.accept(document);
        }
        found
    }

    fn repair(&mut self, detail: String) {
        let restored = self.fall_back();
        let notice = match text::set_aside(&self.path(), true) {
            Ok(kept_as) if restored => match text::write_atomically(&self.path(), &self.document) {
                Ok(()) => SettingsNotice::Restored { kept_as, detail },
                Err(error) => SettingsNotice::Unreadable { detail: error.to_string() },
            },
            Ok(kept_as) => SettingsNotice::Defaults { kept_as, detail },
            Err(error) => SettingsNotice::Unreadable { detail: format!("{detail}; {error}") },
        };
        self.notices.push(notice);
    }
}

fn notice_of(fault: SettingFault) -> SettingsNotice {
    let SettingFault { key, message, fallback } = fault;
    SettingsNotice::BadValue { key, message, fallback }
}

#[cfg(test)]
mod tests;
