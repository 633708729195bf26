//! The demo: the whole main job without key or network.

use crate::binary::Place;

#[test]
fn the_demo_ends_in_the_teams_answer() {
    let demo = Place::new().run(&["demo", "--fast"]).expect(0);
    assert!(demo.stderr.contains("scripted"), "{}", demo.stderr);
    for claim in ["6 Gpc", "8.95 Gpc", "6.1 Gpc", "discrepancy"] {
        assert!(demo.stderr.contains(claim), "`{claim}` is missing in:\n{}", demo.stderr);
    }
    assert!(demo.stderr.contains("3 of 4 votes"), "{}", demo.stderr);
    assert!(demo.stdout.contains("A) 8 Gpc"), "{}", demo.stdout);
    assert!(demo.stderr.contains("massgen replay latest"), "{}", demo.stderr);
}

#[test]
fn the_settling_figure_is_computed_and_not_written_down() {
    let demo = Place::new().run(&["demo", "--fast", "--quiet"]).expect(0);
    // c/H₀ · ∫ dz/√(Ωm(1+z)³+ΩΛ) by the trapezoid rule, in this test's own words.
    let z = 790.0 / 121.567 - 1.0;
    let n = 20_000;
    let f = |z: f64| 1.0 / (0.3 * (1.0 + z).powi(3) + 0.7).sqrt();
    let step = z / f64::from(n);
    let inner: f64 = (1..n).map(|k| f(f64::from(k) * step)).sum();
    let gpc = 299_792.458 / 70.0 * step * ((f(0.0) + f(z)) / 2.0 + inner) / 1_000.0;
    assert!(demo.stdout.contains(&format!("{gpc:.2} Gpc")), "{gpc}: {}", demo.stdout);
    let source = include_str!("../../src/demo/quasar.yaml");
    assert!(!source.contains(&format!("{gpc:.2}")), "the script holds the figure");
}

#[test]
fn quiet_prints_the_answer_and_nothing_else() {
    let demo = Place::new().run(&["demo", "--fast", "--quiet"]).expect(0);
    assert_eq!(demo.stderr, "");
    assert!(demo.stdout.ends_with('\n') && !demo.stdout.ends_with("\n\n"));
}

#[test]
fn every_demo_takes_the_same_decisions() {
    let decisions = || {
        let place = Place::new();
        place.run(&["demo", "--fast", "--quiet"]).expect(0);
        let shown = place.run(&["runs", "show", "latest", "--json"]).expect(0);
        let status: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        (status["results"].clone(), status["final_answer"].clone())
    };
    assert_eq!(decisions(), decisions());
}

#[test]
fn the_demo_streams_for_seconds_and_not_for_minutes() {
    let began = std::time::Instant::now();
    let place = Place::new();
    place.run(&["demo"]).expect(0);
    let took = began.elapsed().as_secs_f64();
    assert!((1.0..30.0).contains(&took), "{took} s");
}
