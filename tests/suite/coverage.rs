//! docs/coverage.md: which artifact reads which place, and why some are not read. The page is made of
//! assets/coverage/linux.toml; what that claims is held against what the artifacts say that they read, and against
//! the merged list of places where it is at hand (../shared/knowledge/autostart/locations.md).
//! `CRANESCOPE_WRITE_DOCS=1 cargo test --test suite coverage` writes the page anew.
use cranescope::artifact;
use cranescope::evidence::matches;
use std::fmt::Write as _;
use std::path::Path;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Asset {
    place: Vec<Place>,
}
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    group: String,
    what: String,
    paths: Vec<String>,
    by: Vec<String>,
    #[serde(default)]
    why: String,
}

fn asset() -> Asset {
    toml::from_str(include_str!("../../assets/coverage/linux.toml")).unwrap()
}

/// Name, what it is, and the patterns it reads.
fn readers() -> Vec<(&'static str, &'static str, &'static [&'static str])> {
    let mut all: Vec<_> = artifact::ALL.iter().map(|a| (a.name, a.about, a.reads)).collect();
    all.extend(artifact::CONTENTS.iter().map(|c| (c.name, c.about, ["/**"].as_slice())));
    all
}

/// The patterns that a pattern with `{a,b}` stands for; the innermost choice first.
pub(crate) fn choices(pattern: &str) -> Vec<String> {
    let close = pattern.find('}');
    let open = close.and_then(|close| pattern[..close].rfind('{'));
    match open.zip(close) {
        Some((open, close)) => {
            let (head, inner, tail) = (&pattern[..open], &pattern[open + 1..close], &pattern[close + 1..]);
            inner.split(',').flat_map(|c| choices(&format!("{head}{c}{tail}"))).collect()
        }
        None => vec![pattern.to_owned()],
    }
}
/// A path that fits a pattern without choices.
pub(crate) fn example(pattern: &str) -> String {
    pattern.replace("**", "x").replace('*', "x")
}

#[test]
fn every_claim_is_what_the_artifact_says_it_reads() {
    let readers = readers();
    let mut wrong = Vec::new();
    for place in asset().place {
        assert!(!place.by.is_empty() || place.why.len() > 20, "{}: neither an artifact nor a reason", place.what);
        let of =
            |name: &String| readers.iter().find(|(n, ..)| n == name).unwrap_or_else(|| panic!("no artifact {name}"));
        let reads: Vec<&str> = place.by.iter().flat_map(|name| of(name).2.iter().copied()).collect();
        for path in place.paths.iter().flat_map(|p| choices(p)).filter(|_| !place.by.is_empty()) {
            let example = example(&path);
            if !reads.iter().any(|r| matches(r.as_bytes(), example.as_bytes())) {
                wrong.push(format!("{}: {path} ({example}) is read by none of {:?}", place.what, place.by));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_page_is_what_the_asset_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coverage.md");
    let page = page();
    if std::env::var_os("CRANESCOPE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/coverage.md is not what assets/coverage gives; CRANESCOPE_WRITE_DOCS=1 writes it");
}

fn page() -> String {
    let mut page = String::from(
        "# What is looked at on a Linux system\n\nMade by `tests/suite/coverage.rs` of assets/coverage/linux.toml; do not edit. For each place that can start a\nprogram, or that opens a way out or in: the artifact that reads it, or why none does.\n",
    );
    let places = asset().place;
    let mut group = "";
    for place in &places {
        if place.group != group {
            group = &place.group;
            write!(page, "\n## {group}\n\n| what | places | read by | not read, and why |\n|---|---|---|---|\n")
                .unwrap();
        }
        let code = |all: &[String]| all.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(" ");
        writeln!(page, "| {} | {} | {} | {} |", place.what, code(&place.paths), code(&place.by), place.why).unwrap();
    }
    page.push_str("\n## The artifacts\n\n| artifact | what it reads |\n|---|---|\n");
    for (name, about, reads) in readers() {
        if name.starts_with("linux.") {
            let reads: Vec<String> = reads.iter().map(|r| format!("`{r}`")).collect();
            writeln!(page, "| `{name}` | {about}: {} |", reads.join(" ")).unwrap();
        }
    }
    page
}

/// Every place that the merged list names stands in the asset.
#[test]
fn no_place_of_the_merged_list_is_left_out() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/knowledge/autostart/locations.md");
    let Ok(list) = std::fs::read_to_string(list) else {
        eprintln!("skipped: ../shared/knowledge/autostart is not here");
        return;
    };
    let list = list.split("## LINUX").nth(1).unwrap().split("## WINDOWS").next().unwrap();
    let patterns: Vec<String> = asset().place.iter().flat_map(|p| &p.paths).flat_map(|p| choices(p)).collect();
    let (mut seen, mut missing) = (0, Vec::new());
    for token in tokens(list).iter().flat_map(|t| choices(t)) {
        let home = if let Some(below) = token.strip_prefix('~') { format!("/home/x{below}") } else { token.clone() };
        let pattern = home.replace("<triplet>", "x").replace("<imsi>", "x").replace("0-6", "2");
        let pattern = pattern.trim_end_matches(['/', '.']);
        seen += 1;
        // One is within the other; a folder stands for what lies in it.
        let fits = |p: &String| {
            let mine = example(p);
            let holds = |tail: &str| matches(format!("{pattern}{tail}").as_bytes(), mine.as_bytes());
            let theirs = [example(pattern), pattern.replace('*', ""), pattern.trim_end_matches("/**").to_owned()];
            let within = theirs
                .iter()
                .any(|t| ["", "/x"].iter().any(|tail| matches(p.as_bytes(), format!("{t}{tail}").as_bytes())));
            holds("") || holds("/**") || within
        };
        if !patterns.iter().any(fits) {
            missing.push(token);
        }
    }
    assert!(seen > 300, "{seen}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The paths in a text: from `/` or `~/` to the next blank or bracket, choices kept.
fn tokens(text: &str) -> Vec<String> {
    // Remarks within choices, and marks that something goes on.
    let chars: Vec<char> = text.replace(" (WWANEnabled=)", "").replace('…', "").chars().collect();
    let mut all = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let before = at.checked_sub(1).map_or(' ', |b| chars[b]);
        let starts = chars[at] == '/' || chars[at] == '~' && chars.get(at + 1) == Some(&'/');
        if !starts || !" (,;|\n`=*".contains(before) {
            at += 1;
            continue;
        }
        let (mut end, mut depth) = (at, 0);
        while end < chars.len() && (depth > 0 || !" ;,)(`|:\n".contains(chars[end])) {
            depth += i32::from(chars[end] == '{') - i32::from(chars[end] == '}');
            end += 1;
        }
        let token: String = chars[at..end].iter().collect();
        let token = token.trim_end_matches('.').to_owned();
        if token.len() > 3 {
            all.push(token);
        }
        at = end.max(at + 1);
    }
    all
}
