//! How the files of a split model are named: `name-00001-of-00003.gguf` and so on.

use std::path::{Path, PathBuf};

/// The name of one part of a split model: `big-00002-of-00003` is part 2 of 3 of `big`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitName<'a> {
    /// What all parts are called.
    pub base: &'a str,
    /// Which part it is, from 1 on.
    pub number: u32,
    /// How many parts there are.
    pub count: u32,
}

impl<'a> SplitName<'a> {
    /// Reads a name without its ending; `None` where it is that of a whole model.
    pub fn parse(stem: &'a str) -> Option<Self> {
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (base, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| {
            let are_five = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| are_five)
        };
        let (number, count) = (digits(number)?, digits(count)?);
        (number >= 1 && number <= count && !base.is_empty()).then_some(Self { base, number, count })
    }

    /// Reads the name of a file that ends in `.gguf`.
    pub fn of_path(path: &'a Path) -> Option<Self> {
        Self::parse(path.file_name()?.to_str()?.strip_suffix(".gguf")?)
    }

    /// The name of another part, without its ending.
    pub fn part(&self, number: u32) -> String {
        format!("{}-{number:05}-of-{:05}", self.base, self.count)
    }
}

/// Number and count of a part by its file's name: `big-00002-of-00003.gguf` is (2, 3). `None` for a whole model.
pub fn part_of_name(path: &Path) -> Option<(u32, u32)> {
    SplitName::of_path(path).map(|name| (name.number, name.count))
}

/// Where another part of the same model lies; `None` where the name is not that of a part.
pub fn part_path(path: &Path, number: u32) -> Option<PathBuf> {
    SplitName::of_path(path).map(|name| path.with_file_name(format!("{}.gguf", name.part(number))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_their_names() {
        assert_eq!(part_of_name(Path::new("m/big-00002-of-00003.gguf")), Some((2, 3)));
        assert_eq!(
            part_path(Path::new("m/big-00002-of-00003.gguf"), 1),
            Some(PathBuf::from("m/big-00001-of-00003.gguf"))
        );
        for whole in ["small.gguf", "one-of-a-kind.gguf", "big-00004-of-00003.gguf", "big-0001-of-0003.gguf", "x.bin"] {
            assert_eq!(part_of_name(Path::new(whole)), None, "{whole}");
        }
    }

    #[test]
    fn a_name_of_a_whole_model_is_none_of_a_part() {
        let name = SplitName::parse("big-00002-of-00003").unwrap();
        assert_eq!(
            (name, name.part(3).as_str()),
            (SplitName { base: "big", number: 2, count: 3 }, "big-00003-of-00003")
        );
        for whole in ["one-of-a-kind", "x-00004-of-00003", "x-00000-of-00003", "-00001-of-00002", "x-1-of-2", ""] {
            assert_eq!(SplitName::parse(whole), None, "{whole}");
        }
    }
}
