//! Figures for a monitoring program.

use crate::lab::Lab;

const MAP: &str = "format = 1\nowner = \"shop\"\n[mappings.one]\n[[mappings.one.targets]]\ntype = \"linear\"\nlength = 8\ndevice = \"/dev/sda\"\n[mappings.two]\nname = \"a\\\"b\"\n[[mappings.two.targets]]\ntype = \"linear\"\nlength = 8\ndevice = \"/dev/sda\"\noffset = 8\n";

#[test]
fn metrics_tell_health_figures_and_who_is_in_sync() {
    let lab = Lab::new();
    let file = lab.write("map.toml", MAP);
    lab.ok(["apply", &file]);
    lab.ok(["create", "meta", "--table", "0 8192 linear 8:0 4096"]);
    lab.ok(["create", "data", "--table", "0 8192 linear 8:0 16384"]);
    lab.ok(["create", "pool", "--table", "0 8192 thin-pool /dev/mapper/meta /dev/mapper/data 128 0"]);
    lab.ok(["reload", "one", "--table", "0 8 zero"]);
    let text = lab.ok(["metrics", &file]);
    for line in [
        "# TYPE dmctl_mapping_in_sync gauge",
        r#"dmctl_mapping_in_sync{owner="shop",mapping="one",name="one"} 0"#,
        r#"dmctl_mapping_in_sync{owner="shop",mapping="two",name="a\"b"} 1"#,
        r#"dmctl_device_health{owner="shop",mapping="one",name="one",state="ok"} 1"#,
        r#"dmctl_device_health{owner="",mapping="",name="pool",state="ok"} 1"#,
        r#"dmctl_thin_pool_data_blocks_limit{owner="",mapping="",name="pool",type="thin-pool",start="0"} 64"#,
        r#"dmctl_thin_pool_mode_info{owner="",mapping="",name="pool",type="thin-pool",start="0",mode="rw"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(!lab.ok(["metrics"]).contains("in_sync"), "without a map nothing is in sync");
}
