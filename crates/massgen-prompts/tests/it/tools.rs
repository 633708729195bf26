use crate::prompts;

#[test]
fn the_tools_of_a_coordinating_agent() {
    let tools = prompts().tools(3);
    assert!(tools.is_sorted_by(|a, b| a.name < b.name));
    insta::assert_snapshot!(serde_json::to_string_pretty(&tools).unwrap());
}

#[test]
fn the_tools_of_a_review() {
    let tools = prompts().review_tools();
    assert!(tools.is_sorted_by(|a, b| a.name < b.name));
    insta::assert_snapshot!(serde_json::to_string_pretty(&tools).unwrap());
}
