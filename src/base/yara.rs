//! The examiner's YARA rules, read the same way by whoever checks them (the parent) and whoever runs them (the worker).
//!
//! The language is that of the YARA manual, without `include`: every file stands for itself, in a namespace of its own.
//! An interpreter runs it, so that no memory has to become executable. A build without the feature `yara` has the same
//! functions and refuses every rule.
use super::Run;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether this build can run rules.
pub const BUILT_IN: bool = cfg!(feature = "yara");
/// How long all rules together may take for one file. The interpreter looks at the clock now and then; whoever runs it
/// must be ready to end it from outside.
pub const LIMIT: Duration = Duration::from_secs(5);
/// Longer files are not looked at: on a part of a file a rule could say what is not so.
pub const LONGEST: u64 = 256 << 20;
/// Places that are told of each string of a rule.
pub const PLACES: usize = 16;

/// One file of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// The file's name without its ending.
    pub namespace: String,
    /// As errors name it.
    pub file: String,
    pub text: String,
}

/// A rule that reports what it matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub namespace: String,
    pub name: String,
    pub tags: Vec<String>,
    /// Names and values of its `meta`, numbers and booleans as text.
    pub meta: Vec<(String, String)>,
}

/// Why rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    /// 1-based; 0 where the whole file is meant.
    pub line: usize,
    pub what: String,
}

/// A place where a string of a rule matched; a rule that matched without any string has one without a name and length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Match {
    /// Position of the rule among [`Compiled::rules`].
    pub rule: u32,
    /// `$a`.
    pub string: String,
    /// Bytes of the file.
    pub run: Run,
}

/// What all rules say of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Sorted.
    pub matches: Vec<Match>,
    /// The limit of time ended it: rules that did not match might have.
    pub cut: bool,
}

pub use engine::{Compiled, compile};

#[cfg(feature = "yara")]
mod engine {
    use super::{Described, Fault, LIMIT, Match, PLACES, RuleText, Scanned};
    use crate::base::Run;
    use boreal::compiler::CompilerParams;
    use boreal::scanner::ScanParams;
    use boreal::{Compiler, MetadataValue, Scanner};
    use std::collections::HashMap;

    /// Rules that can be run.
    pub struct Compiled {
        scanner: Scanner,
        rules: Vec<Described>,
        /// Position of each by namespace and name.
        by_name: HashMap<(String, String), u32>,
    }

    /// Reads all files; each that is wrong is told, by its first fault.
    pub fn compile(files: &[RuleText]) -> Result<Compiled, Vec<Fault>> {
        let mut compiler = Compiler::new();
        compiler.set_params(CompilerParams::default().disable_includes(true));
        let mut faults = Vec::new();
        for file in files {
            if let Err(e) = compiler.add_rules_str_in_namespace(&file.text, &file.namespace) {
                faults.push(fault(&file.file, &e.to_string()));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut scanner = compiler.finalize();
        let params = ScanParams::default().compute_full_matches(true).timeout_duration(Some(LIMIT)).match_max_length(0);
        scanner.set_scan_params(params);
        let mut rules: Vec<Described> = scanner
            .rules()
            .filter(|rule| !rule.is_private)
            .map(|rule| Described {
                namespace: rule.namespace.to_owned(),
                name: rule.name.to_owned(),
                tags: rule.tags.iter().map(|tag| scanner.get_string_symbol(*tag).to_owned()).collect(),
                meta: rule
                    .metadatas
                    .iter()
                    .map(|meta| {
                        let value = match meta.value {
                            MetadataValue::Bytes(text) => {
                                String::from_utf8_lossy(scanner.get_bytes_symbol(text)).into_owned()
                            }
                            MetadataValue::Integer(number) => number.to_string(),
                            MetadataValue::Boolean(value) => value.to_string(),
                        };
                        (scanner.get_string_symbol(meta.name).to_owned(), value)
                    })
                    .collect(),
            })
            .collect();
        rules.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let by_name = (0_u32..).zip(&rules).map(|(at, r)| ((r.namespace.clone(), r.name.clone()), at)).collect();
        Ok(Compiled { scanner, rules, by_name })
    }

    impl Compiled {
        /// Rules that report, by namespace and name.
        pub fn rules(&self) -> &[Described] {
            &self.rules
        }
        /// Runs all of them over a whole file.
        pub fn scan(&self, content: &[u8]) -> Scanned {
            let (result, cut) = match self.scanner.scan_mem(content) {
                Ok(result) => (result, false),
                Err((_, result)) => (result, true),
            };
            let mut matches = Vec::new();
            for rule in result.rules {
                let Some(at) = self.by_name.get(&(rule.namespace.to_owned(), rule.name.to_owned())) else { continue };
                let before = matches.len();
                for string in &rule.matches {
                    let name = format!("${}", string.name);
                    let place = |m: &boreal::scanner::StringMatch| Match {
                        rule: *at,
                        string: name.clone(),
                        run: Run::new(m.offset as u64, m.length as u64),
                    };
                    matches.extend(string.matches.iter().take(PLACES).map(place));
                }
                if matches.len() == before {
                    matches.push(Match { rule: *at, string: String::new(), run: Run::default() });
                }
            }
            matches.sort();
            matches.dedup();
            Scanned { matches, cut }
        }
    }

    /// `mem:3:7: error: …`, as the compiler writes it.
    fn fault(file: &str, told: &str) -> Fault {
        let mut parts = told.lines().next().unwrap_or_default().splitn(4, ':');
        let (_, line, _, what) = (parts.next(), parts.next(), parts.next(), parts.next());
        let line = line.and_then(|l| l.trim().parse().ok());
        let what = what.filter(|_| line.is_some()).map_or(told, |w| w.trim().trim_start_matches("error: "));
        let mut what = what.lines().collect::<Vec<_>>().join(" ");
        if what.contains("includes are not allowed") {
            what =
                "include: no other file is read; all .yar and .yara files of the folder are rules by themselves".into();
        }
        Fault { file: file.to_owned(), line: line.unwrap_or(0), what }
    }
}

#[cfg(not(feature = "yara"))]
mod engine {
    use super::{Described, Fault, RuleText, Scanned};

    /// There are none.
    pub enum Compiled {}

    /// Refuses every file by its name.
    pub fn compile(files: &[RuleText]) -> Result<Compiled, Vec<Fault>> {
        let what =
            "YARA rules: this build runs none; use one with the feature `yara`, or take the file out of the folder";
        Err(files.iter().map(|f| Fault { file: f.file.clone(), line: 0, what: what.to_owned() }).collect())
    }

    impl Compiled {
        /// None.
        pub fn rules(&self) -> &[Described] {
            match *self {}
        }
        /// Never called.
        pub fn scan(&self, _content: &[u8]) -> Scanned {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn text(namespace: &str, text: &str) -> RuleText {
        RuleText { namespace: namespace.into(), file: format!("rules/{namespace}.yar"), text: text.into() }
    }

    #[cfg(not(feature = "yara"))]
    #[test]
    fn without_the_feature_every_file_is_refused_by_name() {
        let faults = compile(&[text("a", "rule x { condition: true }")]).err().unwrap();
        assert_eq!((faults.len(), faults[0].file.as_str(), faults[0].line), (1, "rules/a.yar", 0));
        assert!(faults[0].what.contains("feature `yara`"), "{}", faults[0].what);
    }

    #[cfg(feature = "yara")]
    mod built_in {
        use super::*;
        use std::time::Instant;

        #[test]
        fn rules_are_described_and_tell_where_they_match() {
            let one = r#"
                private rule elf { condition: uint32(0) == 0x464c457f }
                rule tunnel : remote c2 {
                    meta: description = "A tunnel" severity = "high" score = 80 proven = true
                    strings: $key = "vkey" $server = { 73 65 72 76 ?? 72 } $none = "not there"
                    condition: elf and any of them
                }
                rule small { condition: filesize < 100 }"#;
            let compiled =
                compile(&[text("b", one), text("a", "rule small { condition: filesize < 10 }")]).ok().unwrap();
            let names: Vec<_> = compiled.rules().iter().map(|r| format!("{}/{}", r.namespace, r.name)).collect();
            assert_eq!(names, ["a/small", "b/small", "b/tunnel"], "a private rule reports nothing");
            let rule = &compiled.rules()[2];
            assert_eq!(rule.tags, ["remote", "c2"]);
            let meta: Vec<_> = rule.meta.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let told = [("description", "A tunnel"), ("severity", "high"), ("score", "80"), ("proven", "true")];
            assert_eq!(meta, told);
            let found = compiled.scan(b"\x7fELF server vkey vkey");
            let place =
                |rule, string: &str, offset, len| Match { rule, string: string.into(), run: Run::new(offset, len) };
            let expected =
                [place(1, "", 0, 0), place(2, "$key", 12, 4), place(2, "$key", 17, 4), place(2, "$server", 5, 6)];
            assert_eq!(found, Scanned { matches: expected.into(), cut: false });
            assert_eq!(compiled.scan(&[b'x'; 200]), Scanned::default());
        }

        #[test]
        fn a_string_is_told_at_so_many_places_and_no_more() {
            let compiled = compile(&[text("a", "rule x { strings: $a = \"ab\" condition: #a == 500 }")]).ok().unwrap();
            let found = compiled.scan(&b"ab".repeat(500));
            assert_eq!(found.matches.len(), PLACES);
            assert!(found.matches.iter().zip(0..).all(|(m, n)| m.run == Run::new(n * 2, 2)));
        }

        #[test]
        fn faults_name_file_and_line() {
            for (wrong, line, words) in [
                ("rule x {\n condition: $a }", 2, "a"),
                ("rule x {\n strings:\n $a = \"b\"\n condition: true }", 3, "a"),
                ("\n\nrule {", 3, ""),
                ("rule x { condition: true }\nrule x { condition: true }", 2, "x"),
                ("import \"nothing\"\nrule x { condition: true }", 1, "nothing"),
                ("\ninclude \"/etc/passwd\"\n", 2, "no other file is read"),
                ("rule x { strings: $a = /a(/ condition: $a }", 1, ""),
            ] {
                let files = [text("good", "rule y { condition: true }"), text("bad", wrong)];
                let faults = compile(&files).err().unwrap_or_else(|| panic!("taken: {wrong}"));
                assert_eq!((faults.len(), faults[0].file.as_str()), (1, "rules/bad.yar"), "{wrong}");
                assert_eq!(faults[0].line, line, "{wrong}: {}", faults[0].what);
                assert!(faults[0].what.contains(words) && !faults[0].what.contains('\n'), "{}", faults[0].what);
            }
        }

        /// What runs long inside of one expression is ended from outside; between expressions the interpreter stops.
        #[test]
        fn rules_without_end_are_cut() {
            let rule = "rule x { condition: for all i in (0..1000000000) : ( uint8(i % 7) != 255 ) }";
            let compiled = compile(&[text("a", rule)]).ok().unwrap();
            let start = Instant::now();
            let found = compiled.scan(b"0123456789");
            assert!(found.cut && found.matches.is_empty(), "{found:?}");
            assert!(start.elapsed() < LIMIT * 3, "{:?}", start.elapsed());
        }

        #[test]
        fn deep_and_odd_rules_are_refused_and_bring_nothing_down() {
            let deep = format!("rule x {{ condition: {}true{} }}", "(".repeat(20_000), ")".repeat(20_000));
            let regex =
                format!("rule x {{ strings: $a = /{}a{}/ condition: $a }}", "(".repeat(20_000), ")".repeat(20_000));
            let wide = "rule x { strings: $a = /(((a{1,1000}){1,1000}){1,1000})b/ condition: $a }";
            for wrong in [deep.as_str(), &regex, wide] {
                assert!(compile(&[text("a", wrong)]).is_err(), "{}", wrong.get(..60).unwrap());
            }
            assert!(compile(&[text("a", "")]).is_ok(), "an empty file has no rules");
        }
    }
}
