//! The command line as data. Nothing here looks at files, keys or the network.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Several AI models answer one question together.
#[derive(Debug, Parser)]
#[command(
    name = "massgen",
    version,
    about,
    long_about = "Several AI models answer one question together: they work in parallel, see each \
                  other's answers, vote or answer again, and the winner presents.\n\nThe answer \
                  goes to stdout, everything else to stderr. Every run is kept and can be \
                  resumed, replayed and checked.",
    after_help = "Examples:\n  \
        massgen demo                                       a whole run, no key, no network\n  \
        massgen \"Which of these proofs is wrong?\"          a team from the keys that are set\n  \
        massgen --config team.yaml \"…\"                     a team from a file\n  \
        massgen --model gpt-5.4 --model deepseek-flash \"…\"  a quick team\n  \
        git diff | massgen --config review.yaml --quiet -  question from stdin\n  \
        massgen -- replay the tape                         a question that begins like a command",
    subcommand_help_heading = "Commands"
)]
pub struct Cli {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub global: GlobalArgs,

    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct GlobalArgs {
    /// Folder where runs are kept
    #[arg(
        long,
        value_name = "DIR",
        env = "MASSGEN_STATE_DIR",
        hide_env_values = true,
        default_value = ".massgen",
        global = true,
        help_heading = "Output and state"
    )]
    pub state_dir: PathBuf,

    /// What goes to stdout: the answer, or every event as a line of JSON
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t = Format::Plain,
        global = true,
        help_heading = "Output and state"
    )]
    pub output: Format,

    /// Print the answer and nothing else
    #[arg(
        long,
        short,
        global = true,
        conflicts_with = "output",
        help_heading = "Output and state"
    )]
    pub quiet: bool,

    /// Print a few stable lines for programs and keep status.json up to date
    #[arg(
        long,
        global = true,
        conflicts_with_all = ["output", "quiet"],
        help_heading = "Output and state"
    )]
    pub automation: bool,

    /// File of lines like `OPENAI_API_KEY=…`; it wins over the environment, which wins over
    /// `./.env` and `~/.massgen/.env`
    #[arg(long, value_name = "FILE", global = true, help_heading = "Output and state")]
    pub env_file: Option<PathBuf>,

    /// No colour, also on a terminal; NO_COLOR in the environment says the same
    #[arg(long, global = true, help_heading = "Output and state")]
    pub no_color: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Plain,
    Json,
}

/// What a new run takes.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(group = clap::ArgGroup::new("named").args(["models", "backend"]).multiple(true))]
pub struct RunArgs {
    /// What to ask; `-` or nothing reads it from stdin
    #[arg(value_name = "QUESTION")]
    pub question: Vec<String>,

    /// File that describes the team and its rules
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Model of a quick team; repeat it for each agent
    ///
    /// The provider follows from the name where it tells (`gpt-…`, `deepseek-…`), or is written in
    /// front of it (`groq/llama-3.3-70b-versatile`), or is any server with `--base-url`.
    #[arg(long = "model", short, value_name = "MODEL", conflicts_with = "config")]
    pub models: Vec<String>,

    /// Type of backend for all of `--model`, or of a team of one with its usual model
    #[arg(long, value_name = "TYPE", conflicts_with = "config")]
    pub backend: Option<String>,

    /// Server for all of `--model`; it speaks OpenAI Chat Completions unless `--backend` says
    /// otherwise
    #[arg(long, value_name = "URL", requires = "named")]
    pub base_url: Option<String>,

    /// File to show to every agent with the question: an image, a PDF, …; repeat it for each
    #[arg(long = "attach", value_name = "FILE")]
    pub attachments: Vec<PathBuf>,

    /// Folder for the files of the winner, besides the run's own; what is there already is kept
    #[arg(long, value_name = "DIR", help_heading = "Files and tools")]
    pub output_dir: Option<PathBuf>,

    /// File or folder that the agents may read; with `:w` at its end, whoever presents the answer
    /// may change it
    #[arg(long = "context", value_name = "PATH[:w]", help_heading = "Files and tools")]
    pub context: Vec<String>,

    /// Show the changes to your own files and ask before they are made
    #[arg(long, help_heading = "Files and tools")]
    pub confirm: bool,

    /// Seed of every random choice of the run
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub seed: Option<u64>,

    /// End coordination after this many seconds and present the best answer
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000), help_heading = "Limits")]
    pub orchestrator_timeout: Option<u64>,

    /// Most US dollars the run may cost, as far as prices are known
    #[arg(long, value_name = "DOLLARS", value_parser = dollars, help_heading = "Limits")]
    pub max_cost: Option<f64>,

    /// Most model calls of the run
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Limits"
    )]
    pub max_calls: Option<u32>,

    /// Keep within the limits that a file has for types and models, or without one within those
    /// of Gemini's free tier
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        help_heading = "Limits"
    )]
    pub rate_limit: Option<Option<PathBuf>>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Play a whole run with scripted agents: no key, no network
    #[command(after_help = "Examples:\n  massgen demo\n  massgen demo --fast --output json")]
    Demo(DemoArgs),

    /// Go on with a run that was killed or stopped; no finished call is repeated
    #[command(after_help = "Examples:\n  massgen resume latest\n  massgen resume 20260131-1425")]
    Resume(ResumeArgs),

    /// Show a run again, or recompute its decisions and compare
    #[command(after_help = "Examples:\n  \
        massgen replay latest --speed 4\n  \
        massgen replay latest --no-wait\n  \
        massgen replay --check latest")]
    Replay(ReplayArgs),

    /// List the runs there are, or show one
    #[command(
        after_help = "Examples:\n  massgen runs\n  massgen runs --json\n  massgen runs show latest\n  \
                      massgen runs show latest --cost",
        args_conflicts_with_subcommands = true
    )]
    Runs(RunsArgs),

    /// List the types of backend and their models: what they offer, what they cost, which keys
    /// are set
    #[command(after_help = "Examples:\n  massgen models\n  massgen models claude\n  \
                            massgen models --json")]
    Models(ModelsArgs),

    /// Say what is found and what is missing, and try each backend with one tiny call
    #[command(after_help = "Examples:\n  massgen doctor\n  massgen doctor --config team.yaml\n  \
                            massgen doctor --no-calls")]
    Doctor(DoctorArgs),

    /// Say what a config comes to, and all that is wrong with it
    #[command(after_help = "Examples:\n  massgen config check team.yaml\n  \
                            massgen config check configs/*.yaml --json")]
    Config(ConfigArgs),

    /// Print what completes commands and flags in a shell
    #[command(after_help = "Examples:\n  \
        massgen completions bash > ~/.local/share/bash-completion/completions/massgen\n  \
        massgen completions fish > ~/.config/fish/completions/massgen.fish")]
    Completions(CompletionsArgs),

    /// Print the manual page
    #[command(after_help = "Example:\n  massgen man | man -l -")]
    Man,
}

#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read configs as a run would, and report every problem with its place and a remedy
    Check {
        /// Configs; without one, the config that a run here would use
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,

        /// Print JSON, the same as `--output json`
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Show everything at once instead of as it would stream
    #[arg(long)]
    pub fast: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// Name of the run, a beginning of it that is unique, or `latest`
    #[arg(value_name = "RUN")]
    pub name: String,
}

#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Name of the run, a beginning of it that is unique, or `latest`
    #[arg(value_name = "RUN")]
    pub name: String,

    /// Feed the logged inputs to the rules again and compare every decision
    #[arg(long, conflicts_with_all = ["speed", "no_wait"])]
    pub check: bool,

    /// How many times faster than it was; 1 is as it was
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,

    /// Show everything at once
    #[arg(long, conflicts_with = "speed")]
    pub no_wait: bool,
}

#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub command: Option<RunsCommand>,

    /// Print JSON, the same as `--output json`
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub enum RunsCommand {
    /// Show one run: who answered, who voted for whom, how it ended
    Show {
        /// Name of the run, a beginning of it that is unique, or `latest`
        #[arg(value_name = "RUN")]
        name: String,

        /// Say who spent what, by agent, round, model and tool: what came from the cache, and
        /// what was wasted
        #[arg(long)]
        cost: bool,

        /// List the files that belong to each answer
        #[arg(long, conflicts_with = "cost")]
        files: bool,
    },

    /// Show what changed between the files of two answers
    #[command(after_help = "Examples:\n  massgen runs diff agent1.1 agent2.1\n  \
                            massgen runs diff agent1.1 agent1.2 --run 20260131-1425")]
    Diff {
        /// Answer, as `agent1.1`
        #[arg(value_name = "ANSWER")]
        from: String,

        /// Answer, as `agent2.1`
        #[arg(value_name = "ANSWER")]
        to: String,

        /// Name of the run, a beginning of it that is unique, or `latest`
        #[arg(long, value_name = "RUN", default_value = "latest")]
        run: String,
    },

    /// Write the files of an answer into a folder
    #[command(after_help = "Example:\n  massgen runs restore agent2.1 ./agent2")]
    Restore {
        /// Answer, as `agent1.1`
        #[arg(value_name = "ANSWER")]
        answer: String,

        /// Folder to write to; it is made, and has to be empty if it is there
        #[arg(value_name = "DIR")]
        dir: PathBuf,

        /// Name of the run, a beginning of it that is unique, or `latest`
        #[arg(long, value_name = "RUN", default_value = "latest")]
        run: String,
    },

    /// Free the disk of what no run needs any more
    #[command(after_help = "Examples:\n  massgen runs gc --dry-run\n  \
                            massgen runs gc --older-than 30")]
    Gc {
        /// Also remove the files of runs that ended more than so many days ago; their logs stay
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u32>,

        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub struct ModelsArgs {
    /// Show one type with the models that are known of it
    #[arg(value_name = "TYPE")]
    pub kind: Option<String>,

    /// Print JSON, the same as `--output json`
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Try the backends of this file instead of those whose keys are set
    #[arg(long = "config", short = 'c', id = "doctor_config", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Look at this machine only; make no call
    #[arg(long)]
    pub no_calls: bool,

    /// Print JSON, the same as `--output json`
    #[arg(long)]
    pub json: bool,
}

impl Command {
    pub const NAMES: [&str; 9] =
        ["demo", "resume", "replay", "runs", "models", "doctor", "config", "completions", "man"];

    pub fn name(&self) -> &'static str {
        match self {
            Command::Demo(_) => "demo",
            Command::Resume(_) => "resume",
            Command::Replay(_) => "replay",
            Command::Runs(_) => "runs",
            Command::Models(_) => "models",
            Command::Doctor(_) => "doctor",
            Command::Config(_) => "config",
            Command::Completions(_) => "completions",
            Command::Man => "man",
        }
    }
}

impl RunArgs {
    /// Returns the flag of a new run that was given although a command makes none, if there is one.
    pub fn misplaced(&self) -> Option<&'static str> {
        let given = [
            ("QUESTION", !self.question.is_empty()),
            ("--config", self.config.is_some()),
            ("--model", !self.models.is_empty()),
            ("--backend", self.backend.is_some()),
            ("--base-url", self.base_url.is_some()),
            ("--attach", !self.attachments.is_empty()),
            ("--output-dir", self.output_dir.is_some()),
            ("--context", !self.context.is_empty()),
            ("--confirm", self.confirm),
            ("--seed", self.seed.is_some()),
            ("--orchestrator-timeout", self.orchestrator_timeout.is_some()),
            ("--max-cost", self.max_cost.is_some()),
            ("--max-calls", self.max_calls.is_some()),
            ("--rate-limit", self.rate_limit.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

/// Returns the whole command line. What is for runs stays out of the help of what
/// starts none; `main` refuses it there.
pub fn command() -> clap::Command {
    let hidden = |command: clap::Command, flags: &[&'static str]| {
        flags.iter().fold(command, |command, &flag| {
            let flag = clap::Arg::new(flag).long(flag).global(true).hide(true);
            command.arg(flag.action(clap::ArgAction::SetTrue))
        })
    };
    <Cli as clap::CommandFactory>::command()
        .mut_subcommand("replay", |replay| hidden(replay, &["automation"]))
        .mut_subcommand("runs", |runs| hidden(runs, &["automation", "quiet"]))
        .mut_subcommand("models", |models| hidden(models, &["automation", "quiet"]))
        .mut_subcommand("doctor", |doctor| hidden(doctor, &["automation", "quiet"]))
        .mut_subcommand("config", |config| hidden(config, &["automation", "quiet"]))
        .mut_subcommand("completions", |shell| hidden(shell, &["automation", "quiet"]))
        .mut_subcommand("man", |man| hidden(man, &["automation", "quiet"]))
}

/// Returns the command that a one-word question is probably a misspelling of. A
/// question costs money, so a slip of the finger must not become one.
pub fn misspelled_command(question: &[String]) -> Option<&'static str> {
    let [word] = question else { return None };
    if word.len() < 3 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let distance_max = |name: &str| if name.len() > 4 { 2 } else { 1 };
    let near = |name: &str| strsim::damerau_levenshtein(name, word) <= distance_max(name);
    Command::NAMES.into_iter().chain(["help"]).find(|name| near(name))
}

fn dollars(text: &str) -> Result<f64, String> {
    positive(text.trim_start_matches('$'), "dollars", 1_000_000.0)
}

fn speed(text: &str) -> Result<f64, String> {
    positive(text.trim_end_matches('x'), "times", 1_000_000.0)
}

/// Reads a number above 0; the bound keeps what follows from overflowing.
fn positive(text: &str, unit: &str, max: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("not a number of {unit}"))?;
    if number > 0.0 && number <= max {
        Ok(number)
    } else {
        Err(format!("must be more than 0 and at most {max} {unit}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        let matches = command().try_get_matches_from([&["massgen"], arguments].concat())?;
        clap::FromArgMatches::from_arg_matches(&matches)
    }

    #[test]
    fn the_description_is_consistent() {
        command().debug_assert();
        let names: Vec<String> =
            command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        assert_eq!(names, Command::NAMES);
    }

    #[test]
    fn only_an_exact_first_word_is_a_command() {
        assert!(parse(&["runs"]).unwrap().command.is_some());
        for question in ["runs in the park", "Replay", "demo?"] {
            let cli = parse(&[question]).unwrap();
            assert!(cli.command.is_none(), "{question}");
            assert_eq!(cli.run.question, [question]);
        }
        let cli = parse(&["--", "replay", "the", "tape"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.run.question.join(" "), "replay the tape");
    }

    #[test]
    fn what_holds_for_all_commands_stands_before_or_after_them() {
        for arguments in [["--quiet", "demo"], ["demo", "--quiet"]] {
            let cli = parse(&arguments).unwrap();
            assert!(cli.global.quiet && cli.command.is_some());
        }
        let cli = parse(&["--seed", "3", "demo"]).unwrap();
        assert_eq!(cli.run.misplaced(), Some("--seed"));
        assert_eq!(parse(&["demo", "--state-dir", "x"]).unwrap().run.misplaced(), None);
    }

    #[test]
    fn numbers_have_bounds() {
        for bad in ["0", "-1", "nan", "inf", "soon", "1e300"] {
            assert!(parse(&["--orchestrator-timeout", bad, "q"]).is_err(), "{bad}");
            assert!(parse(&["--max-cost", bad, "q"]).is_err(), "{bad}");
            assert!(parse(&["replay", "latest", "--speed", bad]).is_err(), "{bad}");
        }
        assert_eq!(parse(&["--max-cost", "$0.50", "q"]).unwrap().run.max_cost, Some(0.5));
        assert!(parse(&["--max-calls", "0", "q"]).is_err());
    }

    #[test]
    fn a_slip_of_the_finger_is_no_question() {
        let question = |text: &str| misspelled_command(&[text.to_owned()]);
        assert_eq!(question("rnus"), Some("runs"));
        assert_eq!(question("reply"), Some("replay"));
        assert_eq!(question("hepl"), Some("help"));
        assert_eq!(question("why"), None);
        assert_eq!(question("rust"), None);
        assert_eq!(question("What"), None);
        assert_eq!(misspelled_command(&["dmeo".to_owned(), "x".to_owned()]), None);
    }
}
