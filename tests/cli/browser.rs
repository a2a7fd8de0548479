//! The page of a plan as headless Chromium draws it: on a desk, on a phone, in the dark, on paper.
//!
//! Where the package `chromium` is not installed there is nothing to look with, and these tests say so;
//! `make setup` installs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::html::page;
use crate::lab::Lab;

/// Loads the page in two windows and tells what is to be seen there: see `measure.html`.
const MEASURE: &str = include_str!("measure.html");

/// Chromium, where the package is installed.
fn chromium() -> Option<&'static Path> {
    let found =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser"].into_iter().map(Path::new).find(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: the package chromium is not installed");
    }
    found
}

/// Runs Chromium on a file.
fn browse(chromium: &Path, file: &str, options: &[&str]) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--hide-scrollbars", "--enable-logging=stderr", "--allow-file-access-from-files"])
        // Whatever it might want to fetch, it can't.
        .args(["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(format!("file://{file}"))
        .output()
        .unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{says}");
    // The console shows what the browser complains of, the policy of the page included.
    assert!(!says.contains("CONSOLE"), "{says}");
    output
}

/// What is to be seen of the page, in windows of two sizes.
fn seen(chromium: &Path, lab: &Lab, page: &str, options: &[&str]) -> Value {
    lab.write("page.html", page);
    let file = lab.write("measure.html", MEASURE);
    let options =
        [&["--dump-dom", "--virtual-time-budget=5000", "--window-size=1500,1200"], options].concat();
    let output = browse(chromium, &file, &options);
    let dom = String::from_utf8_lossy(&output.stdout);
    let report = dom.split("<pre id=\"report\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let report = report.unwrap_or_else(|| panic!("{dom}")).replace("&lt;", "<").replace("&gt;", ">");
    serde_json::from_str(&report.replace("&amp;", "&")).unwrap_or_else(|error| panic!("{error}: {report}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// How bright a colour is, as `rgb(r, g, b)`: 0 to 765.
fn brightness(colour: &Value) -> u32 {
    let inside = colour.as_str().unwrap().trim_start_matches("rgb(").trim_end_matches(')');
    inside.split(',').map(|part| part.trim().parse::<u32>().unwrap()).sum()
}

#[test]
fn it_can_be_read_on_a_desk_and_on_a_phone() {
    let Some(chromium) = chromium() else { return };
    let (lab, page) = page();
    let report = seen(chromium, &lab, &page, &[]);
    for window in ["desk", "phone"] {
        let seen = &report[window];
        assert_eq!(seen["overflow"], 0, "{window} can be scrolled sideways");
        assert_eq!(texts(&seen["outside"]), [""; 0], "{window}: these stick out of the page");
        assert_eq!(texts(&seen["spilt"]), [""; 0], "{window}: these stick out of their boxes");
        assert_eq!(seen["fetched"], 0, "{window} fetched something");
        assert_eq!(seen["foreign"], 0, "{window} holds an element that no plan has");
        let headings = texts(&seen["headings"]);
        assert_eq!(headings[0], "What is at risk");
        assert_eq!(headings.len(), 3, "{headings:?}");
        let steps = texts(&seen["steps"]);
        assert_eq!(steps.len(), page.matches("data-step=").count());
        assert!(steps.iter().any(|name| name.contains("<script>alert(1)<'script>&\"")), "{steps:?}");
        assert!(brightness(&seen["paper"]) > brightness(&seen["ink"]) + 300, "{window} is not light");
        for bar in seen["bars"].as_array().unwrap() {
            let width = |value: &Value| value.as_f64().unwrap();
            let parts: f64 = bar["parts"].as_array().unwrap().iter().map(width).sum();
            assert!(width(&bar["whole"]) > 200.0, "{bar}");
            assert!(
                (parts - width(&bar["whole"])).abs() < 2.0,
                "{window}: the parts of a bar are not all of it: {bar}"
            );
        }
        assert!(!seen["bars"].as_array().unwrap().is_empty());
        assert!(
            seen["smallest"].as_f64().unwrap() >= 11.0,
            "{window}: text too small to read: {}",
            seen["smallest"]
        );
    }
    assert!(report["phone"]["width"].as_f64().unwrap() <= 360.0);
}

#[test]
fn it_is_dark_where_one_wants_it_dark() {
    let Some(chromium) = chromium() else { return };
    let (lab, page) = page();
    let report = seen(chromium, &lab, &page, &["--blink-settings=preferredColorScheme=0"]);
    let seen = &report["desk"];
    assert!(brightness(&seen["ink"]) > brightness(&seen["paper"]) + 300, "{seen}");
}

#[test]
fn it_prints() {
    let Some(chromium) = chromium() else { return };
    let (lab, page) = page();
    let file = lab.write("page.html", &page);
    let sheet = lab.path("page.pdf");
    let dark = "--blink-settings=preferredColorScheme=0";
    browse(chromium, &file, &["--no-pdf-header-footer", &format!("--print-to-pdf={sheet}"), dark]);
    let bytes = fs::read(&sheet).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("%PDF-"));
    let pages = text.matches("/Type /Page\n").count();
    assert!((1..=4).contains(&pages), "{pages} sheets of paper");
}
