//! The second reader: it agrees where it can, and a difference says what it is.
use super::image::{Image, odd_tree, pattern, tools};
use cranescope::base::{Gaps, Progress};
use cranescope::extract::second_reader::{SecondReading, compare};

fn read_twice(image: &Image) -> (SecondReading, Vec<String>) {
    let look = image.look();
    let gaps = Gaps::default();
    let reading = compare(&look.tree, &|_| true, &gaps, &Progress::default()).unwrap().unwrap();
    (reading, gaps.take().into_iter().map(|g| format!("{}: {}", g.at, g.what)).collect())
}

#[test]
fn two_readers_agree_on_a_sound_image() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext4", "-b", "4096"], 60_000, Some(odd_tree(100).path()));
    let (reading, gaps) = read_twice(&image);
    assert_eq!(gaps, Vec::<String>::new());
    assert_eq!((reading.reader.as_str(), reading.differ), ("ext4-view", 0));
    assert!(reading.agree == reading.compared && reading.contents > 100);
}

#[test]
fn blocks_never_written_are_a_known_limit_of_the_second() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext4", "-b", "1024"], 20_000, None);
    let host = image.scratch("x", &pattern(3, 300_000));
    image.change(&format!("write {} f\nfallocate f 300 500\nsif f size 450000", host.display()));
    // What lay in the block before it was allocated.
    let text = image.ask("bmap f 350");
    let block: u64 = text.split(|c: char| !c.is_ascii_digit()).find_map(|w| w.parse().ok()).unwrap();
    image.write(block * 1024, &pattern(4, 1024));
    let ours = image.look().read("/f");
    assert!(ours[..300_000] == pattern(3, 300_000) && ours[300_000..].iter().all(|b| *b == 0));
    let (reading, gaps) = read_twice(&image);
    assert_eq!((reading.differ, reading.known_limits), (1, 1), "{gaps:?}");
    assert!(gaps[0].contains("a known limit of the second reader"), "{gaps:?}");
}

#[test]
fn a_refusal_is_told_once() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext4", "-b", "1024", "-O", "inline_data"], 20_000, Some(odd_tree(5).path()));
    let (reading, gaps) = read_twice(&image);
    assert_eq!(reading.compared, 0);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].contains("refuses the file system"), "{gaps:?}");
}
