//! Cells as they come from a worker: texts that stand in many rows are kept once.
use super::value::Cell;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Texts that are remembered, and the longest of them in bytes.
const WORDS: usize = 1 << 9;
const LONGEST: usize = 64;

thread_local! {
    static KNOWN: RefCell<Vec<Option<Arc<str>>>> = RefCell::new(vec![None; WORDS]);
}

/// The next cell of a row.
pub(super) fn next<'de, T: Cell, A: SeqAccess<'de>>(row: &mut A) -> Result<T, A::Error> {
    row.next_element_seed(Seed(PhantomData))?.ok_or_else(|| A::Error::custom("a row with too few cells"))
}

struct Seed<T>(PhantomData<T>);
impl<'de, T: Cell> DeserializeSeed<'de> for Seed<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        T::receive(from)
    }
}

/// [`Cell::receive`] of a cell that may be absent.
pub(super) fn option<'de, T: Cell, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    struct Maybe<T>(PhantomData<T>);
    impl<'de, T: Cell> Visitor<'de> for Maybe<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a cell or none")
        }
        fn visit_none<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Option<T>, D::Error> {
            T::receive(from).map(Some)
        }
    }
    from.deserialize_option(Maybe(PhantomData))
}

/// [`Cell::receive`] of shared text.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
    struct Word;
    impl Visitor<'_> for Word {
        type Value = Arc<str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text")
        }
        fn visit_str<E>(self, text: &str) -> Result<Arc<str>, E> {
            Ok(shared(text))
        }
    }
    from.deserialize_str(Word)
}

/// The text, out of those met before if it is among them.
fn shared(text: &str) -> Arc<str> {
    if text.is_empty() {
        return Arc::default();
    }
    if text.len() > LONGEST {
        return text.into();
    }
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    KNOWN.with_borrow_mut(|known| {
        let at = usize::try_from(hash >> 40).unwrap_or(0) % WORDS;
        match known.get_mut(at) {
            Some(Some(word)) if **word == *text => word.clone(),
            Some(place) => place.insert(text.into()).clone(),
            None => text.into(),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::base::{Evidence, Name};
    use crate::inventory::File;

    #[test]
    fn what_rows_have_in_common_is_kept_once() {
        let path = Name::from("/usr/bin/x");
        let row = |package: &str| File {
            path: path.clone(),
            kind: "file".into(),
            package: Some(package.into()),
            content: "a".repeat(LONGEST + 1).as_str().into(),
            evidence: Evidence { path: path.clone(), ..Evidence::default() },
            ..File::default()
        };
        let sent = postcard::to_allocvec(&(row("coreutils"), row("coreutils"))).unwrap();
        let (one, other): (File, File) = postcard::from_bytes(&sent).unwrap();
        assert_eq!((&one, &other), (&row("coreutils"), &row("coreutils")));
        assert!(Arc::ptr_eq(&one.kind, &other.kind));
        assert!(Arc::ptr_eq(one.package.as_ref().unwrap(), other.package.as_ref().unwrap()));
        assert!(!Arc::ptr_eq(&one.content, &other.content));
        assert!(std::ptr::eq(one.path.bytes(), one.evidence.path.bytes()));
    }

    #[test]
    fn rows_cut_short_are_errors() {
        let sent = postcard::to_allocvec(&File { path: Name::from("/a"), ..File::default() }).unwrap();
        for len in 0..sent.len() {
            assert!(postcard::from_bytes::<File>(&sent[..len]).is_err(), "{len}");
        }
    }
}
