//! The page of a plan: whole and harmless. How it looks in a browser is in `browser`.

use crate::lab::Lab;
use crate::plan::{applied, linear, map};

/// A page with every kind of step, of devices with names that would be markup.
pub fn page() -> (Lab, String) {
    let lab =
        applied(&format!("{}{}{}", linear("data", 0, 8), linear("moved", 16, 8), linear("junk", 32, 1)));
    let named =
        linear("named", 40, 1).replace("targets", "name = \"<script>alert(1)<'script>&\\\"\"\ntargets");
    let hidden = linear("hidden", 44, 1).replace("targets", "name = \"a\\u202eb\"\ntargets");
    let after =
        format!("[policy]\nprune = true\n{}{}{named}{hidden}", linear("data", 0, 16), linear("moved", 48, 8));
    let file = lab.write("after.toml", &map(&after));
    let page = lab.ok(["plan", &file, "--format", "html"]);
    (lab, page)
}

#[test]
fn it_holds_every_step_and_stands_by_itself() {
    let (lab, page) = page();
    let steps = lab.json(["plan", &lab.path("after.toml"), "--json"])["steps"].as_array().unwrap().len();
    assert!(steps >= 5);
    for number in 1..=steps {
        assert!(page.contains(&format!("data-step=\"{number}\"")), "step {number}");
    }
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for fetched in
        ["<script", "http://", "https://", "src=", "href=", "url(", "@import", "<link", "<iframe", "onload"]
    {
        assert!(!page.contains(fetched), "{fetched}");
    }
    let risk = page.find("What is at risk").unwrap();
    assert!(risk < page.find("The stacks, before and after").unwrap());
    assert!(page.contains("needs --allow remap"));
}

#[test]
fn names_are_text() {
    let (_, page) = page();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;&#39;script&gt;&amp;&quot;"), "{page}");
    assert!(!page.contains('\u{202e}') && page.contains("a\\u{202e}b"));
}

#[test]
fn a_stale_plan_says_so_on_its_page() {
    let (lab, _) = page();
    let plan = lab.path("plan.json");
    lab.ok(["plan", &lab.path("after.toml"), "--out", &plan]);
    assert!(!lab.ok(["show", &plan, "--format", "html"]).contains("Stale"));
    lab.ok(["suspend", "data"]);
    let page = lab.ok(["show", &plan, "--format", "html"]);
    assert!(
        page.contains("Stale: this plan can&#39;t be applied")
            || page.contains("Stale: this plan can't be applied")
    );
    assert!(page.contains("`data` is suspended now"));
}
