//! `plot` and `report`: pictures of a study that open anywhere and show what is there.

use crate::support::Trialmill;

const PICTURES: [&str; 8] =
    ["history", "parallel", "slice", "importance", "timeline", "curves", "ecdf", "budget"];

/// A study with names and messages that a page or a picture could take for its own.
fn hostile() -> Trialmill {
    let space = r#"'<script>alert(1)</script>': [0.0, 1.0], '"&<b>': {choices: ["</svg>", 'x"y']}"#;
    let study = Trialmill::with_space(space, 12);
    let script = r#"case "$TRIALMILL_TRIAL_ID" in 4) echo '<img src=x onerror=alert(1)>' >&2; exit 3;;
        *) echo '{"objective_to_minimize": 0.'$TRIALMILL_TRIAL_ID', "learning_curve": [3, 2, 1], "cost": 1}';; esac"#;
    study.run_study(&[], script).exits(0);
    study
}

#[test]
fn every_picture_is_drawn_and_nothing_in_it_is_markup_of_the_study() {
    let study = hostile();
    for picture in PICTURES {
        let svg = study.run(&["plot", "s", picture]).exits(0).stdout;
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{picture}");
        assert_eq!(svg.matches("</svg>").count(), 1, "{picture}");
        assert!(
            !svg.contains("<script") && !svg.contains("<b>") && !svg.contains("NaN"),
            "{picture}"
        );
        let file = format!("{picture}.svg");
        study.run(&["plot", "s", picture, "-o", &file]).exits(0);
        assert_eq!(study.read(&file), svg, "{picture}");
    }
    assert!(study.run(&["plot", "s", "parallel"]).stdout.contains("&lt;script&gt;"));
}

#[test]
fn a_picture_in_pixels_has_the_size_that_was_asked_for() {
    let study = hostile();
    study
        .run(&[
            "plot", "s", "timeline", "-o", "x.png", "--width", "500", "--height", "300", "--scale",
            "1",
        ])
        .exits(0);
    let bytes = std::fs::read(study.path("x.png")).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (500, 300));
}

#[test]
fn what_cannot_be_drawn_is_said_and_no_file_is_left() {
    let study = hostile();
    let refused = |arguments: &[&str], says: &str| {
        study.run(arguments).exits(2).says(&[says]);
    };
    refused(&["plot", "s", "pareto", "-o", "a.svg"], "one objective");
    refused(&["plot", "s", "history", "-o", "a.jpg"], ".svg or .png");
    refused(&["plot", "s", "history", "-o", "a"], ".svg or .png");
    refused(&["plot", "s", "sculpture"], "there are history");
    refused(&["plot", "s", "history", "--objective", "2"], "there is no objective 2");
    refused(&["plot", "s", "history", "-o", "a.png", "--scale", "1e9"], "from 0.1 to 20");
    let large = ["plot", "s", "history", "-o", "a.png", "--width", "20000", "--scale", "20"];
    refused(&large, "too large");
    refused(&["plot", "s", "history", "--width", "nan"], "from 240 to 20000");
    study.run(&["plot", "s", "history", "-o", "no/such/a.svg"]).exits(4).says(&["no/such/a.svg"]);
    assert!(!study.path("a.svg").exists() && !study.path("a.png").exists());

    let empty = Trialmill::new(5);
    empty.create();
    empty.run(&["plot", "s", "history"]).exits(2).says(&["no trial has ended yet"]);
    assert!(empty.run(&["report", "s"]).exits(0).stdout.contains("none yet"));
}

#[test]
fn the_report_is_one_file_that_loads_and_runs_nothing() {
    let study = hostile();
    study.run(&["report", "s", "-o", "study.html"]).exits(0);
    let page = study.read("study.html");
    assert!(page.contains("default-src 'none'") && !page.contains("<script"));
    for (at, _) in page.match_indices("http") {
        let address = &page[at..(at + 40).min(page.len())];
        assert!(
            address.starts_with("http-equiv") || address.starts_with("http://www.w3.org/2000/svg")
        );
    }
    for part in [
        "id=\"history\"",
        "id=\"timeline\"",
        "id=\"importance\"",
        "The best trials",
        "Errors by kind",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("<img"));
}

#[test]
fn two_objectives_have_a_front() {
    let study = Trialmill::new(8);
    let script =
        "i=$TRIALMILL_TRIAL_ID; echo \"{\\\"objective_to_minimize\\\": [$i, $((9 - i))]}\"";
    study.run_study(&[], script).exits(0);
    let front = study.run(&["plot", "s", "pareto"]).exits(0).stdout;
    assert!(front.contains("8 of 8 trials are beaten by none"));
    let second = study.run(&["plot", "s", "history", "--objective", "2"]).exits(0).stdout;
    assert!(second.contains("best 1 by trial 8"));
}
