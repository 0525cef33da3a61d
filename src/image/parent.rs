//! The image that another builds on: a backing file, the parent of a differencing disk. It is asked for by
//! name and opened like any other; a chain that comes back to itself, or has no end, is cut.
use super::{Extent, Opening, Segment, Siblings, Source, raw, recognise};
use crate::base::Wanted;

/// Images that build on each other; hypervisors refuse longer chains much sooner.
const MAX_CHAIN: u32 = 32;

/// Refuses a file that is part of the chain already.
struct Chain<'a> {
    above: &'a dyn Siblings,
    /// As it was found.
    name: String,
}
impl Siblings for Chain<'_> {
    fn ask(&self, wanted: &Wanted) -> Result<Segment, String> {
        let found = self.above.ask(wanted)?;
        if found.name == self.name {
            return Err(format!("the chain of images comes back to {}", self.name));
        }
        Ok(found)
    }
}

/// What lies below an image: where it has no bytes of its own, these count.
pub(super) enum Below {
    /// Zeros: it builds on nothing.
    Nothing,
    Disk(Source),
    /// It should be there; why it is not.
    Missing(String),
}

impl Below {
    /// The bytes from `offset` on, `len` of them at most; behind the end of a smaller parent are zeros.
    pub(super) fn at(&self, offset: u64, len: u64) -> Extent {
        match self {
            Self::Nothing => Extent::Hole { len },
            Self::Disk(source) => match source.len().saturating_sub(offset) {
                0 => Extent::Hole { len },
                left => Extent::Stored { source: source.clone(), offset, len: len.min(left) },
            },
            Self::Missing(why) => Extent::Absent { len, what: why.clone() },
        }
    }

    /// Opens the file that the image names in one of several ways; the first that is there counts. `is_raw`:
    /// the image says that its bytes are the disk's own, and what they look like does not count.
    pub(super) fn open(opening: &Opening<'_>, wanted: &[Wanted], is_raw: bool) -> Self {
        Self::known(opening, wanted, is_raw, None)
    }

    /// The same; `known` is the detail by which the parent names itself, and the value that it had when the image was
    /// made. One that differs is read, and told: it may be another disk, or was written to since.
    pub(super) fn known(opening: &Opening<'_>, wanted: &[Wanted], is_raw: bool, known: Option<(&str, &str)>) -> Self {
        let mut why = "it names no file".to_owned();
        for wanted in wanted {
            match Self::try_open(opening, wanted, is_raw, known) {
                Ok(disk) => return Self::Disk(disk),
                Err(e) => why = format!("{wanted}: {e}"),
            }
        }
        let what = format!("what it builds on is missing: {why}");
        opening.gaps.add("image", &what, 0);
        Self::Missing(what)
    }

    fn try_open(
        opening: &Opening<'_>,
        wanted: &Wanted,
        is_raw: bool,
        known: Option<(&str, &str)>,
    ) -> Result<Source, String> {
        let mut budget = opening.budget;
        budget.depth = budget.depth.min(MAX_CHAIN);
        let budget = budget.deeper().map_err(|_| format!("more than {MAX_CHAIN} images build on each other"))?;
        let segment = opening.files.ask(wanted)?;
        if is_raw {
            return Ok(segment.source);
        }
        let files = Chain { above: opening.files, name: segment.name };
        let format = recognise(&segment.source).unwrap_or(&raw::FORMAT);
        let below =
            Opening { source: segment.source, files: &files, gaps: opening.gaps, budget, store: opening.store.clone() };
        let parent = (format.open)(&below).map_err(|e| e.to_string())?;
        if let Some((field, expected)) = known {
            let is = parent.details.iter().find(|(f, _)| f == field).map_or("none", |(_, value)| value.as_str());
            if !is.eq_ignore_ascii_case(expected) {
                let what = format!(
                    "{}: its {field} is {is}, but the image was built on {expected}: another disk, or written to since; what \
                     is read through it may not belong together",
                    files.name
                );
                opening.gaps.add("image", what, 0);
            }
        }
        Ok(parent.disk)
    }
}
