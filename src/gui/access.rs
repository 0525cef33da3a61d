//! How evidence is opened beyond its path: keys, flash geometry, and the examiner's word about the confinement.
use crate::base::Nand;
use crate::session::{Plan, looking_at};
use std::path::PathBuf;

/// As typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `VOLUME=FILE`, one a line.
    pub keys: String,
    /// `PAGE+SPARE`; empty where the images are no raw dumps of flash.
    pub nand: String,
    /// The examiner's word that the worker may go on unconfined, for this evidence.
    pub no_sandbox: bool,
}

impl Access {
    /// The keys as the session takes them; an error says which line is wrong.
    pub fn keys(&self) -> Result<Vec<(String, PathBuf)>, String> {
        let lines = self.keys.lines().map(str::trim).filter(|l| !l.is_empty());
        let key = |line: &str| {
            let pair = line.split_once('=').map(|(volume, file)| (volume.trim(), file.trim()));
            let pair = pair.filter(|(volume, file)| !volume.is_empty() && !file.is_empty());
            let wrong = || format!("key “{line}”: write VOLUME=FILE, a volume's id or UUID and the file with its key");
            pair.map(|(volume, file)| (volume.to_owned(), PathBuf::from(file))).ok_or_else(wrong)
        };
        lines.map(key).collect()
    }
    pub fn nand(&self) -> Result<Option<Nand>, String> {
        match self.nand.trim() {
            "" => Ok(None),
            text => Nand::parse(text).map(Some).map_err(|e| format!("flash geometry: {e}")),
        }
    }
    /// What is wrong with what was typed.
    pub fn wrong(&self) -> Option<String> {
        self.keys().err().or_else(|| self.nand().err())
    }
    /// A plan that looks at these images. What is mistyped is left out: the forms refuse it before.
    pub fn plan(&self, images: Vec<PathBuf>) -> Plan {
        Plan {
            keys: self.keys().unwrap_or_default(),
            nand: self.nand().unwrap_or_default(),
            no_sandbox: self.no_sandbox,
            ..looking_at(images)
        }
    }
    /// The same as options of the command line, for the report's `run`.
    pub fn options(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (volume, file) in self.keys().unwrap_or_default() {
            words.extend(["--key".to_owned(), format!("{volume}={}", file.to_string_lossy())]);
        }
        words.extend(self.nand().unwrap_or_default().into_iter().flat_map(|n| ["--nand".to_owned(), n.to_string()]));
        words.extend(self.no_sandbox.then(|| "--no-sandbox".to_owned()));
        words
    }
    /// What the command of a saved case tells of the shape of its images. Keys and the word about the confinement are
    /// the examiner's own to give: a case may come from elsewhere.
    pub fn of_command(command: &[String]) -> Self {
        let mut words = command.iter();
        let mut access = Self::default();
        while let Some(word) = words.next() {
            let value = match word.strip_prefix("--nand") {
                Some("") => words.next().map_or("", String::as_str),
                Some(rest) => rest.trim_start_matches('='),
                None => continue,
            };
            if Nand::parse(value).is_ok() {
                value.clone_into(&mut access.nand);
            }
        }
        access
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_plan_or_an_error() {
        let access = Access { keys: " 1234-AB = /k/a b \n\nv2=/k/2".into(), nand: "2048+64".into(), no_sandbox: true };
        let plan = access.plan(vec!["/i".into()]);
        assert_eq!(plan.keys, [("1234-AB".to_owned(), PathBuf::from("/k/a b")), ("v2".to_owned(), "/k/2".into())]);
        assert_eq!(plan.nand.map(|n| (n.page, n.spare)), Some((2048, 64)));
        assert!(plan.no_sandbox && access.wrong().is_none());
        assert_eq!(
            access.options(),
            ["--key", "1234-AB=/k/a b", "--key", "v2=/k/2", "--nand", "2048+64", "--no-sandbox"]
        );
        assert!(
            Access { keys: "nonsense".into(), ..Access::default() }.wrong().is_some_and(|w| w.contains("nonsense"))
        );
        assert!(Access { nand: "2048".into(), ..Access::default() }.wrong().is_some());
    }
    #[test]
    fn a_case_tells_the_shape_and_nothing_else() {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let access =
            Access::of_command(&words(&["cranescope", "x", "--no-sandbox", "--key", "v=/k", "--nand", "512+16"]));
        assert_eq!(access, Access { nand: "512+16".into(), ..Access::default() });
        assert_eq!(Access::of_command(&words(&["--nand=4096+224"])).nand, "4096+224");
        assert_eq!(Access::of_command(&words(&["--nand"])), Access::default());
    }
}
