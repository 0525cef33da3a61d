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
    // Other content lies in the blocks first, so that they are not zero.
    image
        .change(&format!("write {0} old\nrm old\nwrite {0} f\nfallocate f 300 500\nsif f size 450000", host.display()));
    let (reading, gaps) = read_twice(&image);
    // Where the blocks behind happen to be zero the two agree.
    assert_eq!(reading.differ, reading.known_limits, "{gaps:?}");
    assert!(gaps.iter().all(|g| g.contains("known limit") || g.contains("limit of the second reader")), "{gaps:?}");
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
