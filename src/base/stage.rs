//! The stages of an examination, as worker and parent both name them.
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    Opening,
    /// Phase A: every inode and name.
    Metadata,
    /// Phase B: small declared inputs.
    Configuration,
    /// Phase C: every content, once.
    Contents,
    /// Space that no file has.
    Remains,
    /// Phase D: what joins tables.
    Joining,
    HashingImages,
    SecondReader,
    /// The examiner's rules over contents.
    ContentRules,
    Judging,
    Writing,
    Done,
}
impl Stage {
    pub fn label(self) -> &'static str {
        match self {
            Self::Opening => "opening the evidence",
            Self::Metadata => "reading metadata",
            Self::Configuration => "reading configuration",
            Self::Contents => "reading contents",
            Self::Remains => "searching space that no file has",
            Self::Joining => "joining",
            Self::HashingImages => "hashing images",
            Self::SecondReader => "second reader",
            Self::ContentRules => "running rules over contents",
            Self::Judging => "judging",
            Self::Writing => "writing the case",
            Self::Done => "done",
        }
    }
    /// What its progress counts.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Metadata | Self::SecondReader | Self::ContentRules => "files",
            Self::Contents | Self::Remains | Self::HashingImages => "bytes",
            _ => "steps",
        }
    }
}
