//! The models that Workly proposes: a list that comes with the program, `catalogue.json`.
//!
//! A SHA-256 is in the list only where it is known for certain; elsewhere it is null, and a download is checked against
//! what its host tells. The same holds for sizes. Not here: getting a model (`transfers`).

use std::cmp::Reverse;
use std::path::PathBuf;

use serde::Deserialize;
use workly_core::fit::FitVerdict;
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::models::CatalogueModel;

use crate::transfers::{self, is_sha256};

/// The list.
const CONTENT: &str = include_str!("../catalogue.json");
/// The version of the list's form that this program reads.
const VERSION: u32 = 1;
/// Parameters from which on a model on the CPU answers more slowly than people read.
const SLOW_ON_CPU: u64 = 5_000_000_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    version: u32,
    models: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    title: String,
    summary_en: String,
    summary_fr: String,
    parameters: u64,
    quantization: String,
    context_tokens: u32,
    size_bytes: Option<u64>,
    license: String,
    homepage: String,
    url: String,
    sha256: Option<String>,
}

/// Names a list that takes the place of the one that comes with the program. Its files may lie on this machine.
const INSTEAD: &str = "WORKLY_CATALOGUE";

/// The models that come in the list, in its order: the small ones first. Nothing is known yet of how they fit.
///
/// # Errors
///
/// When the list that `WORKLY_CATALOGUE` names cannot be read; the one that comes with this program can, which a test
/// makes sure of.
pub fn models() -> Result<Vec<CatalogueModel>, Problem> {
    let unreadable = |message: String, detail| Problem::new(ProblemCode::ModelMissing, message).with_details(detail);
    let Some(path) = std::env::var_os(INSTEAD).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        let message = || "The list of models cannot be read. Install Workly again.".to_owned();
        return read(CONTENT, false).map_err(|detail| unreadable(message(), detail));
    };
    let list = std::fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| read(&text, true));
    list.map_err(|detail| {
        let message = format!("{INSTEAD} names {}, which cannot be read as a list of models.", path.display());
        unreadable(message, detail)
    })
}

/// The model of this name in the list.
///
/// # Errors
///
/// When there is none, with the names there are.
pub fn find(id: &str) -> Result<CatalogueModel, Problem> {
    let models = models()?;
    let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let unknown = format!("There is no model “{id}” in the catalogue. There are: {}.", names.join(", "));
    let found = models.into_iter().find(|model| model.id.eq_ignore_ascii_case(id));
    found.ok_or_else(|| Problem::new(ProblemCode::ModelMissing, unknown))
}

/// The name that a model's file gets in Workly's own folder, by which it is known whether it is there.
pub fn file_name(model: &CatalogueModel) -> Option<String> {
    transfers::file_name(&model.url)
}

/// Puts those first that fit this machine best: on the card the largest that fits whole, then those that fit in part,
/// the smallest first; on the CPU the largest that still answers as fast as people read. Those that do not fit are last.
pub fn order(models: &mut [CatalogueModel]) {
    models.sort_by_key(|model| {
        let (larger, smaller) = (Reverse(model.parameters), model.parameters);
        match model.fit.as_ref().map(|fit| fit.verdict) {
            Some(FitVerdict::AllOnGpu) => (0, larger, 0),
            Some(FitVerdict::PartOnGpu) => (1, Reverse(0), smaller),
            Some(FitVerdict::CpuOnly) if model.parameters < SLOW_ON_CPU => (2, larger, 0),
            Some(FitVerdict::CpuOnly) => (3, Reverse(0), smaller),
            None => (4, Reverse(0), smaller),
            Some(FitVerdict::TooLarge) => (5, Reverse(0), smaller),
        }
    });
}

/// Reads a list and makes sure that it can be relied upon; else says why not. `near`: its files may lie on this machine.
fn read(text: &str, near: bool) -> Result<Vec<CatalogueModel>, String> {
    let list: List = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if list.version != VERSION {
        return Err(format!("it is of version {}, not {VERSION}", list.version));
    }
    for (at, entry) in list.models.iter().enumerate() {
        entry.check(near).map_err(|fault| format!("{}: {fault}", entry.id))?;
        let others = &list.models[..at];
        if others.iter().any(|other| other.id == entry.id || other.title == entry.title || other.url == entry.url) {
            return Err(format!("{}: it is in the list twice", entry.id));
        }
    }
    Ok(list.models.into_iter().map(Entry::into_model).collect())
}

impl Entry {
    fn check(&self, near: bool) -> Result<(), &'static str> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let sentence = |text: &str| text.len() > 20 && text.ends_with('.');
        let checks = [
            (!self.id.is_empty() && self.id.bytes().all(is_name), "its id is not of small letters, digits and hyphens"),
            (!self.title.is_empty() && !self.license.is_empty() && !self.quantization.is_empty(), "a text is missing"),
            (sentence(&self.summary_en) && sentence(&self.summary_fr), "a summary is no sentence"),
            (self.summary_en != self.summary_fr, "its summaries are the same"),
            (
                (near || self.url.starts_with("https://")) && self.homepage.starts_with("https://"),
                "an address is not safe",
            ),
            (
                transfers::file_name(&self.url).is_some_and(|name| self.url.ends_with(&name)),
                "its address names no file of ours",
            ),
            (self.sha256.as_deref().is_none_or(is_sha256), "its SHA-256 is none"),
            ((512..=1 << 24).contains(&self.context_tokens), "its context is not believable"),
            ((50_000_000..=200_000_000_000).contains(&self.parameters), "its parameters are not believable"),
            (self.bits_per_parameter().is_none_or(|bits| (1.5..=17.0).contains(&bits)), "its size is not believable"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, fault)| Err(fault))
    }

    fn bits_per_parameter(&self) -> Option<f64> {
        self.size_bytes.map(|bytes| bytes as f64 * 8.0 / self.parameters as f64)
    }

    fn into_model(self) -> CatalogueModel {
        CatalogueModel {
            id: self.id,
            title: self.title,
            summary_en: self.summary_en,
            summary_fr: self.summary_fr,
            parameters: self.parameters,
            quantization: self.quantization,
            context_tokens: self.context_tokens,
            size_bytes: self.size_bytes,
            license: self.license,
            homepage: self.homepage,
            url: self.url,
            sha256: self.sha256.map(|hash| hash.to_ascii_lowercase()),
            fit: None,
            installed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use workly_core::fit::ModelFit;

    use super::*;

    #[test]
    fn the_list_that_comes_with_workly_can_be_relied_upon() {
        let models = models().unwrap();
        assert!((10..=20).contains(&models.len()));
        assert!(models.iter().any(|model| model.title.starts_with("Zephyr 7B")));
        let billions: Vec<f64> = models.iter().map(|model| model.parameters as f64 / 1e9).collect();
        assert!(billions[0] < 0.2 && billions[billions.len() - 1] > 12.0 && billions.is_sorted());
        let mut names: Vec<_> = models.iter().map(file_name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), models.len());
    }

    #[test]
    fn what_the_list_says_of_the_model_that_comes_with_workly_is_true() {
        let Some(path) = workly_files::places::embedded_model(None) else { return };
        let model = find("smollm2-135m").unwrap();
        assert_eq!(file_name(&model).as_deref(), Some(workly_files::places::EMBEDDED_MODEL));
        let content = std::fs::read(path).unwrap();
        assert_eq!(model.size_bytes, Some(content.len() as u64));
        let hash = ring::digest::digest(&ring::digest::SHA256, &content);
        assert_eq!(model.sha256, Some(data_encoding::HEXLOWER.encode(hash.as_ref())));
    }

    #[test]
    fn a_name_that_is_not_in_the_list_is_answered_with_those_that_are() {
        let problem = find("gpt-4").unwrap_err();
        assert!(problem.message.contains("zephyr-7b"), "{problem}");
        assert!(find("ZEPHYR-7B").is_ok());
    }

    #[test]
    fn a_list_with_a_mistake_is_not_used() {
        let with = |key: &str, value: serde_json::Value| {
            let mut list: serde_json::Value = serde_json::from_str(CONTENT).unwrap();
            list["models"][1][key] = value;
            read(&list.to_string(), false)
        };
        assert!(with("title", "Another".into()).is_ok());
        let mistakes: [(&str, serde_json::Value); 11] = [
            ("id", "A b".into()),
            ("id", "smollm2-135m".into()),
            ("summary_fr", "".into()),
            ("url", "http://example.org/a.gguf".into()),
            ("url", "https://example.org/".into()),
            ("sha256", "abc".into()),
            ("size_bytes", 1.into()),
            ("size_bytes", (-1).into()),
            ("parameters", 7.into()),
            ("context_tokens", 0.into()),
            ("surprise", 1.into()),
        ];
        for (key, value) in mistakes {
            assert!(with(key, value.clone()).is_err(), "{key}: {value}");
        }
        assert!(read("{\"version\": 2, \"models\": []}", false).is_err());
    }

    #[test]
    fn only_a_list_in_place_of_ours_may_name_files_of_this_machine() {
        let mut list: serde_json::Value = serde_json::from_str(CONTENT).unwrap();
        let mut with = |url: &str, near| {
            list["models"][1]["url"] = url.into();
            read(&list.to_string(), near).is_ok()
        };
        assert!(with("http://127.0.0.1:8080/a.gguf", true));
        assert!(!with("http://127.0.0.1:8080/a.gguf", false));
        assert!(!with("http://example.org/a.gguf", true));
    }

    #[test]
    fn what_fits_best_comes_first() {
        let with = |id: &str, billions: u64, verdict: Option<FitVerdict>| {
            let mut model = models().unwrap().remove(0);
            (model.id, model.parameters) = (id.to_owned(), billions * 1_000_000_000);
            model.fit = verdict.map(|verdict| ModelFit {
                verdict,
                context_tokens: 4096,
                model_layers: 33,
                memory_bytes: 0,
                memory_available_bytes: None,
                profiles: Vec::new(),
                is_exact: false,
            });
            model
        };
        let ordered = |mut models: Vec<CatalogueModel>| -> Vec<String> {
            order(&mut models);
            models.into_iter().map(|model| model.id).collect()
        };
        let on_card = vec![
            with("huge", 70, Some(FitVerdict::TooLarge)),
            with("unknown", 2, None),
            with("tiny", 1, Some(FitVerdict::AllOnGpu)),
            with("larger", 14, Some(FitVerdict::PartOnGpu)),
            with("large", 12, Some(FitVerdict::PartOnGpu)),
            with("right", 7, Some(FitVerdict::AllOnGpu)),
        ];
        assert_eq!(ordered(on_card), ["right", "tiny", "large", "larger", "unknown", "huge"]);
        let cpu = Some(FitVerdict::CpuOnly);
        let without = vec![with("12", 12, cpu), with("1", 1, cpu), with("7", 7, cpu), with("4", 4, cpu)];
        assert_eq!(ordered(without), ["4", "1", "7", "12"]);
    }
}
