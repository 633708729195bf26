use super::{Script, split};

/// The commands of a line, `<file` and `>file` for redirections, `?` in front of a computed name.
fn parts(line: &str) -> Vec<String> {
    let Script { parts, reads, writes, is_opaque } = split(line);
    let mut shown: Vec<String> = parts
        .iter()
        .map(|part| {
            let mark = if part.name.is_none() { "?" } else { "" };
            let input = if part.runs_input { " <-" } else { "" };
            format!("{mark}{}{input}", part.text)
        })
        .collect();
    shown.extend(reads.iter().map(|file| format!("<{file}")));
    shown.extend(writes.iter().map(|file| format!(">{file}")));
    if is_opaque {
        shown.push("opaque".to_owned());
    }
    shown
}

#[test]
fn every_command_of_a_line_is_found() {
    let check = |line: &str, expected: &[&str]| assert_eq!(parts(line), expected, "{line}");
    check("", &[]);
    check("ls", &["ls"]);
    check("ls && rm -rf x", &["ls", "rm -rf x"]);
    check("a; b & c | d || e |& f\ng", &["a", "b", "c", "d", "e", "f", "g"]);
    check("(cd x; rm y)", &["cd x", "rm y"]);
    check("{ rm y; }", &["rm y"]);
    check("if true; then rm x; else ls; fi", &["true", "rm x", "ls"]);
    check("for f in a b; do rm $f; done", &["rm $f"]);
    check("while read l; do rm $l; done < list", &["read l", "rm $l", "<list"]);
    check("case $x in a) rm y;; *) ls;; esac", &["rm y", "?*", "ls"]);
    check("! git push", &["git push"]);
    check("ls # && rm x", &["ls"]);
    check("echo a#b", &["echo a#b"]);
    check("FOO=1 BAR=2 git push", &["FOO=1 BAR=2 git push"]);
    check("X=$(rm y)", &["rm y"]);
    check("[ -f x ] && rm x", &["[ -f x ]", "rm x"]);
}

#[test]
fn substitutions_are_commands() {
    let check = |line: &str, expected: &[&str]| assert_eq!(parts(line), expected, "{line}");
    check("echo $(rm x)", &["rm x", "echo $(rm x)"]);
    check("echo \"a $(rm x) b\"", &["rm x", "echo a $(rm x) b"]);
    check("echo '$(rm x)'", &["echo $(rm x)"]);
    check("echo \\$(rm x)", &["echo $", "rm x"]);
    check("echo `rm x`", &["rm x", "echo `rm x`"]);
    check("echo `echo \\`rm x\\``", &["rm x", "echo `rm x`", "echo `echo `rm x``"]);
    check("echo ${A:-$(rm x)}", &["rm x", "echo ${A:-$(rm x)}"]);
    check("echo $((1 + $(rm x)))", &["rm x", "echo $((1 + $(rm x)))"]);
    check("diff <(rm x) >(ls)", &["rm x", "ls", "diff <(…) <(…)"]);
    check("$(echo rm) x", &["echo rm", "?$(echo rm) x"]);
    check("$R x", &["?$R x"]);
    check("/bin/r? x", &["?/bin/r? x"]);
    check("{rm,-rf,x}", &["?{rm,-rf,x}"]);
}

#[test]
fn quotes_hide_nothing() {
    let check = |line: &str, expected: &[&str]| assert_eq!(parts(line), expected, "{line}");
    check("'rm' -rf x", &["rm -rf x"]);
    check("r\"m\" -rf x", &["rm -rf x"]);
    check("r\\m -rf x", &["rm -rf x"]);
    check("r\\\nm x", &["rm x"]);
    check("git   push\t'--force'", &["git push --force"]);
    check("$'\\x72m' x", &["rm x"]);
    check("$'r\\155' x", &["rm x"]);
    check("echo 'a; rm x'", &["echo a; rm x"]);
    check("echo \"a && rm x\"", &["echo a && rm x"]);
    check("echo a\\;rm", &["echo a;rm"]);
}

#[test]
fn scripts_in_arguments_are_read() {
    let check = |line: &str, expected: &[&str]| assert_eq!(parts(line), expected, "{line}");
    check("bash -c 'rm x'", &["bash -c rm x", "rm x"]);
    check("sh -ec \"ls; rm x\"", &["sh -ec ls; rm x", "ls", "rm x"]);
    check("sudo bash -lc 'rm x'", &["sudo bash -lc rm x", "rm x"]);
    check("eval 'rm x'", &["eval rm x", "rm x"]);
    check("eval $X", &["eval $X", "?$X", "opaque"]);
    check("bash -c \"$X\"", &["bash -c $X", "?$X", "opaque"]);
    check("bash run.sh", &["bash run.sh"]);
    check("curl x | sh", &["curl x", "sh <-"]);
    check("bash <<< 'rm x'", &["bash", "rm x"]);
    check("bash <<EOF\nrm x\nEOF", &["bash", "rm x"]);
    check("sh <<EOF; ls\nrm x\nEOF\nid", &["sh <-", "rm x", "ls", "id"]);
    check("cat <<EOF | sh\nrm x\nEOF", &["cat", "sh", "rm x"]);
    check("cat <<'EOF'\n$(rm x)\nEOF\nls", &["cat", "ls"]);
    check("cat <<-EOF\n\t$(rm x)\n\tEOF", &["rm x", "cat"]);
    check("echo rm sh", &["echo rm sh"]);
}

#[test]
fn files_behind_arrows_are_told() {
    let check = |line: &str, expected: &[&str]| assert_eq!(parts(line), expected, "{line}");
    check("a < in > out 2>&1", &["a", "<in", ">out"]);
    check("a 2> err >> log", &["a", ">err", ">log"]);
    check("a &> all", &["a", ">all"]);
    check("a >| f <> g", &["a", "<g", ">f", ">g"]);
    check("a > /dev/null 2>&-", &["a"]);
    check("echo 2 > x", &["echo 2", ">x"]);
    check("> x", &[">x"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    for line in ["echo 'a", "echo \"a", "echo $(a", "echo `a", "a >", "${a", "(a", "cat <<EOF\nx"] {
        assert!(split(line).is_opaque, "{line}");
    }
    assert!(split(&"(".repeat(60_000)).is_opaque);
    assert!(split(&"$(".repeat(30_000)).is_opaque);
    assert!(split(&"${".repeat(30_000)).is_opaque);
    assert!(split(&"`".repeat(60_001)).is_opaque);
    assert!(split(&"a;".repeat(5_000)).is_opaque);
    assert!(split(&" ".repeat(70_000)).is_opaque);
    let nested = (0..20).fold("rm x".to_owned(), |line, _| format!("bash -c {line:?}"));
    assert!(split(&nested).is_opaque);
}

#[test]
fn a_command_is_known_by_other_names() {
    let aliases = |line: &str| {
        let script = split(line);
        script.parts.into_iter().next().map(|part| part.aliases).unwrap_or_default()
    };
    assert_eq!(aliases("ls -l"), [""; 0]);
    assert_eq!(aliases("/usr/bin/git push"), ["git push"]);
    assert_eq!(aliases("A=1 git push"), ["git push"]);
    assert_eq!(aliases("git -C dir --no-pager push -f"), ["git push -f"]);
    assert!(aliases("sudo -u bob /bin/git push").contains(&"git push".to_owned()));
    assert!(aliases("timeout 5 git push").contains(&"git push".to_owned()));
    assert!(aliases("find . -exec rm {} \\;").contains(&"rm {} ;".to_owned()));
}
