//! The report for people: nothing of the evidence is markup in it, nothing of it depends on the moment, and its size
//! has a bound. Parsed as a browser parses it (html5ever).
use crate::fixture;
use crate::names;
use base64::Engine as _;
use cranescope::base::{Gap, Time};
use cranescope::case::CaseData;
use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use sha2::Digest as _;

fn written(data: &CaseData) -> String {
    let mut out = Vec::new();
    cranescope::report::html(data, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(html: &str) -> RcDom {
    html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(html)
}

/// Every element with its attributes, in order, and all text.
#[derive(Default)]
struct Seen {
    elements: Vec<(String, Vec<(String, String)>)>,
    text: String,
    style: String,
    comments: usize,
}
fn look(html: &str) -> Seen {
    let dom = parsed(html);
    let mut seen = Seen::default();
    let mut open: Vec<(Handle, bool)> = vec![(dom.document.clone(), false)];
    while let Some((node, in_style)) = open.pop() {
        let mut is_style = false;
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let attributes: Vec<(String, String)> =
                    attrs.borrow().iter().map(|a| (a.name.local.to_string(), a.value.to_string())).collect();
                is_style = &*name.local == "style";
                let is_mark = attributes.iter().any(|(k, v)| k == "class" && (v == "esc" || v == "cut"));
                if !is_mark {
                    seen.elements.push((name.local.to_string(), attributes));
                }
            }
            NodeData::Text { contents } if in_style => seen.style.push_str(&contents.borrow()),
            NodeData::Text { contents } => {
                // Apart, as words of two elements are no word.
                seen.text.push_str(&contents.borrow());
                seen.text.push('\n');
            }
            NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. } => seen.comments += 1,
            NodeData::Doctype { .. } | NodeData::Document => {}
        }
        open.extend(node.children.borrow().iter().rev().map(|c| (c.clone(), is_style)));
    }
    seen
}

#[test]
fn nothing_of_hostile_evidence_is_an_element_or_an_attribute() {
    let set = names::set();
    let hostile = look(&written(&names::hostile()));
    // The same case with harmless names: its elements and attributes are what the report itself brings.
    let harmless = names::case(&|n| {
        let name = &set[n % set.len()];
        let is_marked = cranescope::base::Name::new(name).is_marked();
        match (is_marked, String::from_utf8_lossy(name).trim().is_empty()) {
            // What is blank leaves out a part of the report either way.
            (_, true) => name.clone(),
            // Names that differ differ here as well: what bears the same one is one box of the picture.
            (true, false) => format!("\x01x{}", n % set.len()).into_bytes(),
            (false, false) => format!("x{}", n % set.len()).into_bytes(),
        }
    });
    let harmless = look(&written(&harmless));
    assert_eq!(hostile.elements.len(), harmless.elements.len());
    for (with, without) in hostile.elements.iter().zip(&harmless.elements) {
        assert_eq!(with, without);
    }
    assert_eq!((hostile.comments, harmless.comments), (0, 0));
    assert!(names::is_inert(&hostile.text));
    // Nothing was left out: the attack stands there as text.
    for text in ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "\\u{202e}gpj.sh", "\\u{1b}[2J"]
    {
        assert!(hostile.text.contains(text), "{text}");
    }
}

#[test]
fn it_stands_on_its_own() {
    for data in [names::hostile(), fixture::rich(), CaseData::default()] {
        let html = written(&data);
        let seen = look(&html);
        let forbidden =
            ["script", "img", "iframe", "object", "embed", "link", "base", "form", "input", "button", "audio", "video"];
        let known = [
            "charset",
            "http-equiv",
            "content",
            "name",
            "lang",
            "class",
            "id",
            "href",
            "viewbox",
            "preserveaspectratio",
            "aria-hidden",
            "x",
            "y",
            "width",
            "height",
            "d",
            "role",
        ];
        for (name, attributes) in &seen.elements {
            assert!(!forbidden.contains(&name.as_str()), "{name}");
            for (key, value) in attributes {
                assert!(known.contains(&key.to_lowercase().as_str()), "{name} {key}={value}");
                assert!(key != "href" || value.starts_with('#'), "{value}");
            }
        }
        let meta = |key: &str| {
            let with = |(name, attributes): &&(String, Vec<(String, String)>)| {
                name == "meta" && attributes.iter().any(|(_, v)| v == key)
            };
            seen.elements
                .iter()
                .find(with)
                .and_then(|(_, a)| a.iter().find(|(k, _)| k == "content"))
                .map(|(_, v)| v.clone())
        };
        let policy = meta("Content-Security-Policy").unwrap();
        let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(&seen.style));
        assert_eq!(
            policy,
            format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
        );
        assert!(!seen.style.contains("url(") && !seen.style.contains("@import") && !html.contains(" style="));
        // Every link leads to a place in it.
        let ids: Vec<&str> =
            seen.elements.iter().flat_map(|(_, a)| a).filter(|(k, _)| k == "id").map(|(_, v)| v.as_str()).collect();
        for (_, value) in seen.elements.iter().flat_map(|(_, a)| a).filter(|(k, _)| k == "href") {
            assert!(ids.contains(&&value[1..]), "{value} leads nowhere");
        }
        assert_eq!(ids.len(), ids.iter().collect::<std::collections::BTreeSet<_>>().len(), "an id twice");
    }
}

#[test]
fn it_tells_in_the_order_in_which_an_authority_reads() {
    let text = look(&written(&fixture::rich())).text;
    let order = [
        "Verdict",
        "Conformity was not assessed",
        "What was examined",
        "QC-07 岸桥",
        "DIFFERS from what was computed",
        "Ways out and in",
        "Observed",
        "Supports",
        "Does not show",
        "Ordinary explanations",
        "How to check it",
        "Evidence (2)",
        "dd if='/evidence/2025-031/cms-03.raw' iflag=skip_bytes,count_bytes skip=",
        "What was searched",
        "Found nothing",
        "What could not be read",
        "encrypted",
        "Linux LUKS",
        "LUKS volume: no key was given",
        "Systems",
        "machine-id is older",
        "Inventory",
        "Reviews",
        "212 bytes differ in .text.",
        "Tool and run",
    ];
    let body = &text[text.rfind("Tool and run").map_or(0, |_| text.find("Tool and run").unwrap() + 12)..];
    let mut at = 0;
    for words in order {
        let found = body[at..].find(words);
        assert!(found.is_some(), "{words} does not come after what is before it");
        at += found.unwrap();
    }
}

#[test]
fn the_same_case_gives_the_same_bytes_but_for_the_run() {
    let data = fixture::rich();
    assert_eq!(written(&data), written(&data.clone()));
    let mut later = data.clone();
    later.run.started = Some(Time::seconds(1));
    later.run.finished = Some(Time::seconds(2));
    (later.run.host, later.run.examiner) = ("other".into(), "other".into());
    later.run.timings = vec![("Reading".into(), 1.5)];
    let without_run = |html: String| {
        let start = html.find("<table class=\"facts run\">").unwrap();
        let (before, after) = html.split_at(start);
        let after = &after[after.find("</table>").unwrap()..];
        let first: Vec<&str> = before.lines().filter(|l| !l.starts_with("<p class=\"run\">")).collect();
        first.join("\n") + after
    };
    assert_eq!(without_run(written(&data)), without_run(written(&later)));
}

#[test]
fn its_size_has_a_bound_and_what_is_beyond_is_counted() {
    let mut data = fixture::rich();
    let long = "\u{10ffff}".repeat(3000);
    let finding = data.findings[0].clone();
    data.findings = (0..3000)
        .map(|n| {
            let mut f = finding.clone();
            f.id = format!("f-{n}");
            (f.subject, f.observed, f.check, f.supports) = (long.clone(), long.clone(), long.clone(), long.clone());
            f.evidence = f.evidence.iter().cycle().take(40).cloned().collect();
            f
        })
        .collect();
    let gap = data.gaps[0].clone();
    data.gaps = (0..50_000).map(|n| Gap { what: format!("{n} {}", &long[..400]), ..gap.clone() }).collect();
    let html = written(&data);
    assert!(html.len() < 32 << 20, "{} bytes", html.len());
    let text = look(&html).text;
    assert!(
        text.contains("more gaps are not shown here; the report JSON")
            && text.contains("more findings are not shown here")
    );
    assert!(text.contains("28 more pieces of evidence of this finding are not shown here"));
    // An ordinary case is small.
    assert!(written(&fixture::rich()).len() < 1 << 20);
}
