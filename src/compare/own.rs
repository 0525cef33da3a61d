//! What a machine calls itself: its host name, machine id and file systems' UUIDs. Rows that are alike but for these
//! are rows of one kind on machines with their own names.
use crate::inventory::Scene;
use std::borrow::Cow;

/// The names of one machine, the longest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    words: Vec<(String, &'static str)>,
}

impl Own {
    pub(super) fn of(scene: &Scene) -> Self {
        // A short or common word stands in too many other names.
        let telling =
            |word: &str| word.len() >= 4 && !["localhost", "linux", "debian", "ubuntu", "root"].contains(&word);
        let mut words = Vec::new();
        for system in &scene.systems {
            words.push((system.hostname.clone(), "{hostname}"));
            words.push((system.machine_id.clone(), "{machine-id}"));
        }
        words.extend(scene.filesystems.iter().map(|f| (f.uuid.clone(), "{uuid}")));
        words.retain(|(word, _)| telling(word));
        words.sort_by(|a, b| (b.0.len(), &a.0).cmp(&(a.0.len(), &b.0)));
        words.dedup();
        Self { words }
    }
    /// The text with the machine's names replaced by what they are, where they stand as words of their own.
    pub(super) fn neutral<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        for (word, sign) in &self.words {
            if let Some(replaced) = replace(&out, word, sign) {
                out = Cow::Owned(replaced);
            }
        }
        out
    }
}

fn replace(text: &str, word: &str, sign: &str) -> Option<String> {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut out, mut rest, mut found) = (String::new(), text, false);
    let mut before = None;
    while let Some((head, tail)) = rest.split_once(word) {
        let last = head.chars().next_back().or(before);
        let whole = !is_part(last) && !is_part(tail.chars().next());
        out.push_str(head);
        out.push_str(if whole { sign } else { word });
        found |= whole;
        before = word.chars().next_back();
        rest = tail;
    }
    out.push_str(rest);
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_replaced_as_words() {
        let own = Own { words: vec![("crane-7".into(), "{hostname}")] };
        assert_eq!(own.neutral("127.0.1.1 crane-7.port crane-7"), "127.0.1.1 {hostname}.port {hostname}");
        assert_eq!(own.neutral("crane-77 xcrane-7"), "crane-77 xcrane-7");
        assert_eq!(own.neutral("crane-7crane-7"), "crane-7crane-7");
        assert_eq!(own.neutral(""), "");
    }
}
